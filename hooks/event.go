package hooks

import (
	"net/http"
	"strconv"
	"time"
)

// The types of events.
const (
	TypeCompleted             = "shipment.completed"     // the status is final
	TypeChanged               = "shipment.changed"       // it is not
	TypeVerificationCompleted = "verification.completed" // the verification has ended
	TypeVerificationChanged   = "verification.changed"   // it is pending
	TypeTest                  = "webhook.test"           // "straks webhook test" sent it; its data is made up
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

// eventID returns the webhook-id of an entry: the organisation, the feed if it is not that of shipments, and the entry's
// number.
func (w *Webhook) eventID(seq uint64) string {
	return w.Organisation + "." + w.kind(".") + strconv.FormatUint(seq, 10)
}

// kind returns the name of a feed that is not that of shipments, and what follows it.
func (w *Webhook) kind(then string) string {
	if w.Verifications {
		return "verifications" + then
	}
	return ""
}

// cursorName returns the name under which the webhook's cursor is kept. No webhook has a '/' in its name.
func (w *Webhook) cursorName() string { return w.kind("/") + w.Name }

// eventOf returns the event of an entry. previous is the number of the entry before, 0 where there is none.
func eventOf(w *Webhook, e Entry, previous uint64) event {
	kinds := [2]string{TypeChanged, TypeCompleted}
	if w.Verifications {
		kinds = [2]string{TypeVerificationChanged, TypeVerificationCompleted}
	}
	kind := kinds[0]
	if e.Final {
		kind = kinds[1]
	}
	ev := event{id: w.eventID(e.Seq), body: body(kind, e.At, e.Encode())}
	if previous > 0 {
		ev.previous = w.eventID(previous)
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
