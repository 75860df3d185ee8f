package smpp

import (
	"time"

	"straks/internal/handover"
	"straks/smpp/wire"
)

// Message is one short message of any length to one number.
type Message struct {
	ID           string    // chosen by the caller; in logs and LateResponse
	Organisation string    // the caller's; chooses the route
	To           string    // "+4799999999"
	From         string    // sender; empty means the route's, then the SMSC's
	Text         string    // never logged, stored or put into an error
	Expires      time.Time // when it stops being worth delivering; zero for never
}

// Result is the outcome of handing a message over.
type Result struct {
	Outcome handover.Outcome
	SMSC    string // the one that has the message, may have it or refused it; empty if none was reached
	Bind    string // likewise, like "telco/1"
	Total   int    // number of parts there
	// Parts are those that were accepted or may have been, by index. A part
	// that surely was not accepted is not among them.
	Parts   []Part
	Status  wire.Status // the last that was not ESME_ROK
	Refusal Refusal     // for Refused
	Err     error       // the reason, for NotSent, Unknown and RefusedIncomplete. Has no text, no number
}

// Part is one part of a message at the SMSC.
type Part struct {
	Index     int    // from 0
	MessageID string // as the SMSC gave it; empty without a response
	Reference uint16 // our user_message_reference (SMPP 3.4 §5.3.2.17)
	Taken     bool   // false: it may have left, no response came
}

// LateResponse is the response to one part whose Send had already ended with Unknown.
type LateResponse struct {
	Message   string // its ID
	SMSC      string
	Index     int
	Total     int
	MessageID string // empty unless Status is ESME_ROK
	Reference uint16
	Status    wire.Status
	Refusal   Refusal // for a Status other than ESME_ROK
}

// Field is the part of a message that a Fault is about.
type Field string

const (
	FieldRecipient Field = "recipient"
	FieldSender    Field = "sender"
	FieldBody      Field = "body"
)

// Fault is one reason why a message can never be sent, in words for the caller.
type Fault struct {
	Field   Field
	Message string
}
