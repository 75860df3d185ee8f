package orders

import (
	"context"
	"time"

	"straks/internal/handover"
)

// Carrier hands messages of one channel over: orders/sms and orders/mail.
type Carrier interface {
	// Check returns every fault that keeps the message from ever being sent (bad
	// sender, too many parts), before anything is stored.
	Check(m Message) []Fault

	// Lane returns the lane of the message. It is called for every order, so it must be cheap.
	Lane(m Message) Lane

	// Estimate returns how many parts the message has at the most, and what it costs at the most, whichever carrier
	// gets it. It is called for every order, so it must be cheap.
	Estimate(m Message) (parts int, most Cost)

	// Send hands the message over and returns its outcome when ctx ends at the
	// latest. It never returns NotSent for a message of which an octet may have left.
	Send(ctx context.Context, m Message) Handover

	// Reach returns the SMSCs or relays that the message may go to, and whether one of them could take it now.
	Reach(m Message) (carriers []string, now bool)

	// Ready returns nil when a message could be sent now, else the reason why not.
	Ready() error
}

// Handover is how Send ended.
type Handover struct {
	Outcome handover.Outcome
	Status  Status // for Refused
	Carrier string // SMSC or relay; empty where none was reached
	Total   int    // parts that the message has
	Parts   []PartAnswer
	Cost    Cost   // Parts is 0 where none was reached
	Detail  string // the carrier's error, for operators; no text, no recipient

	Wait       time.Duration // these two are as in Answer
	Unreported bool

	Bind     string    // the connection, like "telco/1"; may be empty
	Encoding string    // of an SMS; may be empty
	Slot     time.Time // these three are as in Trace; zero where a stage was not reached
	Written  time.Time
	Answered time.Time
}

// trace returns what a journal keeps of the hand-over of an order that was accepted, and stored so much
// later.
func (h *Handover) trace(accepted time.Time, stored time.Duration) Trace {
	since := func(t time.Time) time.Duration {
		if t.IsZero() {
			return 0
		}
		return t.Sub(accepted)
	}
	return Trace{Bind: h.Bind, Encoding: h.Encoding, Stored: stored,
		Slot: since(h.Slot), Written: since(h.Written), Answered: since(h.Answered)}
}

// Field names what a Fault is about, apart from its name on the wire.
type Field string

const (
	FieldRecipient Field = "recipient"
	FieldSender    Field = "sender"
	FieldSubject   Field = "subject"
	FieldBody      Field = "body"
	FieldChannel   Field = "channel"
)

// Fault is one reason why an order can't be taken, in words for the caller.
type Fault struct {
	Field   Field
	Message string
}
