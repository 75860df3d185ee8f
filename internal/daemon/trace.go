package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/internal/audit"
	"straks/orders"
)

// TraceAnswer is the answer of GET /trace: what became of messages, for operators. No text is in it.
type TraceAnswer struct {
	Shipments []TracedShipment `json:"shipments"` // the newest first
	More      bool             `json:"more"`      // there are more than maxTraced
}

// TracedShipment is one shipment and its way. Times in µs are since Accepted; 0: not reached.
type TracedShipment struct {
	ID               uuid.UUID    `json:"shipmentId"`
	Organisation     string       `json:"organisation"`
	SendersReference string       `json:"sendersReference,omitempty"`
	Recipient        string       `json:"recipient"`
	Status           string       `json:"status"`
	Final            bool         `json:"final"`
	Delivered        bool         `json:"delivered"`
	Relayed          bool         `json:"relayed,omitempty"` // delivered to a mail server that sends no reports; a failure may follow
	Accepted         time.Time    `json:"accepted"`
	Updated          time.Time    `json:"updated"`
	Deadline         time.Time    `json:"deadline"` // after which it is Failed_TTL
	Carrier          string       `json:"carrier,omitempty"`
	Bind             string       `json:"bind,omitempty"`
	Encoding         string       `json:"encoding,omitempty"`
	Detail           string       `json:"detail,omitempty"` // the carrier's last word: "DELIVRD err:000"
	Parts            []TracedPart `json:"parts,omitempty"`

	StoredMicros   int64 `json:"storedMicros"`
	SlotMicros     int64 `json:"slotMicros"`
	WrittenMicros  int64 `json:"writtenMicros"`
	AnsweredMicros int64 `json:"answeredMicros"`
	ReportedMicros int64 `json:"reportedMicros"`
}

// TracedPart is one part of a message.
type TracedPart struct {
	MessageIDs []string `json:"messageIds"` // the carrier's, as the journal has them
	State      string   `json:"state"`      // "unanswered", "taken", "delivered" or "failed"
}

var partStates = [...]string{orders.PartUnanswered: "unanswered", orders.PartTaken: "taken", orders.PartDelivered: "delivered", orders.PartFailed: "failed"}

const (
	maxTraced    = 50   // shipments in one answer
	maxTraceWord = 1024 // octets of what is looked for
	maxTraceTime = 10 * 365 * 24 * time.Hour
)

// serveTrace looks messages up: q is a phone number, an e-mail address, a shipment's id, an idempotencyId, a
// sender's reference or a carrier's message id; since is how far back. Each look-up is a line in the log, with
// who asked and why, and without what was asked for.
func (d *Daemon) serveTrace(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	text := strings.TrimSpace(q.Get("q"))
	since, err := time.ParseDuration(q.Get("since"))
	switch {
	case text == "" || len(text) > maxTraceWord:
		http.Error(w, "q is what to look for: a number, an address, or one of a message's ids", http.StatusBadRequest)
		return
	case err != nil || since <= 0 || since > maxTraceTime:
		http.Error(w, fmt.Sprintf("since is %q, want a time like 24h", q.Get("since")), http.StatusBadRequest)
		return
	}
	kind, found, err := d.trace(r.Context(), text, time.Now().UTC().Add(-since))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	d.log.Info("messages looked up by an operator", "by_what", kind, "found", len(found),
		"by", cut(q.Get("by")), "reason", cut(q.Get("reason")))
	d.operated(r, audit.Event{Action: audit.Lookup, Object: kind, Count: len(found), Outcome: "ok", Reason: q.Get("reason")}, q.Get("by"))
	answer := TraceAnswer{Shipments: []TracedShipment{}}
	for i := range found {
		if i == maxTraced {
			answer.More = true
			break
		}
		answer.Shipments = append(answer.Shipments, traced(&found[i]))
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, answer)
}

// cut bounds an operator's words in the log.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxBlockWords)], "?") }

// trace finds the shipments, and says what the text was taken for.
func (d *Daemon) trace(ctx context.Context, text string, since time.Time) (kind string, found []orders.Shipment, err error) {
	query := orders.FindQuery{Since: since, Limit: maxTraced + 1}
	if id, err := uuid.Parse(text); err == nil {
		query.Shipment = id
		if found, err = d.service.Find(ctx, query); err != nil || len(found) > 0 {
			return "shipment", found, err
		}
		query.Shipment = uuid.Nil
	}
	if _, to, err := d.recipient(text); err == nil {
		query.Recipient = to
		found, err = d.service.Find(ctx, query)
		return "recipient", found, err
	}
	for _, name := range d.config().Names() {
		s, known, err := d.journal.Known(ctx, name, text, time.Now().UTC())
		if err != nil {
			return "", nil, err
		}
		if known {
			found, err = d.service.Find(ctx, orders.FindQuery{Shipment: s.ID, Limit: 1})
			return "idempotencyId", found, err
		}
	}
	query.Word = text
	found, err = d.service.Find(ctx, query)
	return "reference", found, err
}

func traced(s *orders.Shipment) TracedShipment {
	t := TracedShipment{ID: s.ID, Organisation: s.Organisation, SendersReference: s.SendersReference, Recipient: string(s.Recipient),
		Status: s.Status.String(), Final: s.Status.Final(), Delivered: s.Status.Delivered(), Relayed: s.Relayed, Accepted: s.Accepted, Updated: s.Updated, Deadline: s.Deadline,
		Carrier: s.Carrier, Bind: s.Trace.Bind, Encoding: s.Trace.Encoding, Detail: s.Detail,
		StoredMicros: s.Trace.Stored.Microseconds(), SlotMicros: s.Trace.Slot.Microseconds(), WrittenMicros: s.Trace.Written.Microseconds(),
		AnsweredMicros: s.Trace.Answered.Microseconds(), ReportedMicros: s.Trace.Reported.Microseconds()}
	for i := range s.Parts {
		p := &s.Parts[i]
		part := TracedPart{MessageIDs: append([]string{}, p.MessageIDs()...), State: "invalid"}
		if int(p.State) < len(partStates) {
			part.State = partStates[p.State]
		}
		t.Parts = append(t.Parts, part)
	}
	return t
}
