package orders

import (
	"context"

	"straks/internal/handover"
)

// Carrier hands messages of one channel over: orders/sms and orders/mail.
type Carrier interface {
	// Check returns every fault that keeps the message from ever being sent (bad
	// sender, too many parts), before anything is stored.
	Check(m Message) []Fault

	// Lane returns the lane of the message. It is called for every order, so it must be cheap.
	Lane(m Message) Lane

	// Send hands the message over and returns its outcome when ctx ends at the
	// latest. It never returns NotSent for a message of which an octet may have left.
	Send(ctx context.Context, m Message) Handover

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
	Detail  string // the carrier's error, for operators; no text, no recipient
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
