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

	// Reference is the user_message_reference (SMPP 3.4 §5.3.2.17) of the first part; that of each
	// further part is one more, 0 after 65535. It is the same at every SMSC that is tried.
	Reference uint16
}

// Result is the outcome of handing a message over.
type Result struct {
	Outcome handover.Outcome
	SMSC    string // the one that has the message, may have it or refused it; empty if none was reached
	Bind    string // likewise, like "telco/1"
	Total   int    // number of parts there
	// Segments is the number of short messages that the phone gets; more than Total for a message_payload.
	Segments int
	// Parts are those that were accepted or may have been, by index. A part
	// that surely was not accepted is not among them.
	Parts   []Part
	Status  wire.Status // the last that was not ESME_ROK
	Refusal Refusal     // for Refused
	Times   Times
	// Encoding is that of the text at SMSC, like "gsm"; empty if none was reached.
	Encoding string
	Err      error // the reason, for NotSent, Unknown and RefusedIncomplete. Has no text, no number
}

// Times says when a hand-over got how far, on the bind that has the message. A stage that was not
// reached is zero.
type Times struct {
	Slot     time.Time // a slot of the window was obtained, and a token of the rate
	Written  time.Time // the first submit_sm was written
	Answered time.Time // the last submit_sm_resp came; zero unless all parts have theirs
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
