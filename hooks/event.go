package hooks

import (
	"net/http"
	"strconv"
	"time"

	"straks/orders"
)

// The types of events.
const (
	TypeCompleted = "shipment.completed" // the status is final
	TypeChanged   = "shipment.changed"   // it is not
	TypeTest      = "webhook.test"       // "straks webhook test" sent it; its data is made up
)

// The headers of a request. Previous is ours: the webhook-id of the entry before, so that a receiver of final
// statuses, whose numbers are not dense, sees a gap. A webhook's first request has none.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
	headerPrevious  = "Straks-Previous-Id"
)

// event is what one request carries.
type event struct {
	id, previous string
	body         []byte
}

// eventID returns the webhook-id of an entry: the organisation and the entry's number.
func eventID(organisation string, seq uint64) string {
	return organisation + "." + strconv.FormatUint(seq, 10)
}

// eventOf returns the event of an entry. previous is the number of the entry before, 0 where there is none. data is
// the entry as the API's feed has it.
func eventOf(e orders.FeedEntry, previous uint64, data []byte) event {
	kind := TypeChanged
	if e.Shipment.Status.Final() {
		kind = TypeCompleted
	}
	ev := event{id: eventID(e.Shipment.Organisation, e.Seq), body: body(kind, e.Shipment.Updated, data)}
	if previous > 0 {
		ev.previous = eventID(e.Shipment.Organisation, previous)
	}
	return ev
}

// body returns {"type", "timestamp", "data"}. kind needs no escapes.
func body(kind string, at time.Time, data []byte) []byte {
	b := make([]byte, 0, len(data)+96)
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","timestamp":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","data":`...)
	return append(append(b, data...), '}')
}

// sign sets the headers of an attempt now, signed with each of the secrets.
func (ev *event) sign(h http.Header, now time.Time, secrets ...Secret) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signatures := ""
	for _, s := range secrets {
		if !s.None() {
			if signatures != "" {
				signatures += " "
			}
			signatures += s.Sign(ev.id, timestamp, ev.body)
		}
	}
	h.Set(headerID, ev.id)
	h.Set(headerTimestamp, timestamp)
	h.Set(headerSignature, signatures)
	if ev.previous != "" {
		h.Set(headerPrevious, ev.previous)
	}
}
