package api

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"straks/orders"
)

// shipmentRequest is the query of a look-up.
type shipmentRequest struct {
	keys   []string // idempotencyId, as often as it is given
	events bool
}

// shipmentQuery reads the query. The names of its parameters ignore case, and unknown ones are ignored.
func shipmentQuery(raw string) (q shipmentRequest, f faults) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		f.add("$", "the query is malformed")
		return q, f
	}
	for name, texts := range values {
		switch {
		case strings.EqualFold(name, "idempotencyId"):
			q.keys = append(q.keys, texts...)
		case !strings.EqualFold(name, "include"):
		case q.events || len(texts) != 1 || !strings.EqualFold(texts[0], "events"):
			f.add(name, `must be "events", once, or be left out`)
		default:
			q.events = true
		}
	}
	return q, f
}

// answer returns the shipment, with its events where the query asks for them.
func (q *shipmentRequest) answer(s *orders.Shipment) shipmentAnswer {
	answer := answerOf(*s)
	if q.events {
		for _, step := range s.Steps() {
			answer.Events = append(answer.Events, answerOfStep(step))
		}
	}
	return answer
}

// eventAnswer is one step of a shipment's way on the wire. The text of the message is in none.
type eventAnswer struct {
	Type         string    `json:"type"`
	Time         timestamp `json:"time"`
	Milliseconds elapsed   `json:"milliseconds"` // since the order was accepted
	Carrier      string    `json:"carrier,omitempty"`
	Bind         string    `json:"bind,omitempty"`
	Encoding     string    `json:"encoding,omitempty"`
	Parts        int       `json:"parts,omitempty"`
	MessageIDs   []string  `json:"messageIds,omitempty"`
	Status       string    `json:"status,omitempty"`
	Detail       string    `json:"detail,omitempty"`
}

func answerOfStep(step orders.Step) eventAnswer {
	e := eventAnswer{Type: string(step.Kind), Time: timestamp(step.At), Milliseconds: elapsed(step.After),
		Carrier: step.Carrier, Bind: step.Bind, Encoding: step.Encoding, Parts: step.Parts, MessageIDs: step.MessageIDs, Detail: step.Detail}
	if step.Status.Valid() {
		e.Status = step.Status.String()
	}
	return e
}

// elapsed is a time in milliseconds, with three digits after the point.
type elapsed time.Duration

// MarshalJSON writes all three digits, and no exponent.
func (m elapsed) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(m).Microseconds())/1000, 'f', 3, 64), nil
}
