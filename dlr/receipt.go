package dlr

import (
	"log/slog"
	"time"
)

// State is what a receipt says became of a message. Its numbers are those of
// message_state (SMPP 3.4 §5.2.28); Skipped is SMPP 5.0's.
type State uint8

const (
	None          State = 0 // no state was found
	Enroute       State = 1
	Delivered     State = 2
	Expired       State = 3
	Deleted       State = 4
	Undeliverable State = 5
	Accepted      State = 6
	Unknown       State = 7
	Rejected      State = 8
	Skipped       State = 9
)

// stateNames are the spellings of SMPP 3.4 Appendix B, table B-2.
var stateNames = [...]string{
	None: "NONE", Enroute: "ENROUTE", Delivered: "DELIVRD", Expired: "EXPIRED", Deleted: "DELETED",
	Undeliverable: "UNDELIV", Accepted: "ACCEPTD", Unknown: "UNKNOWN", Rejected: "REJECTD", Skipped: "SKIPPED",
}

// String returns the state as receipts spell it, like "DELIVRD"; "NONE" for None.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "INVALID"
	}
	return stateNames[s]
}

// Final tells whether no other state follows (SMPP 3.4 §5.2.28).
func (s State) Final() bool {
	switch s {
	case Delivered, Expired, Deleted, Undeliverable, Unknown, Rejected, Skipped:
		return true
	}
	return false
}

// Deliver is what the fields and TLVs of a deliver_sm or data_sm say, as far
// as receipts go. It is this package's own, so that it depends on no codec.
type Deliver struct {
	ESMClass    byte
	DataCoding  byte
	Source      string // source_addr: in a receipt, the recipient of the message
	Destination string
	Text        []byte // short_message, or message_payload, without a user data header

	ReceiptedMessageID string // TLV 0x001E, without its NUL
	MessageState       []byte // TLV 0x0427
	NetworkErrorCode   []byte // TLV 0x0423: network type and a 16-bit code
	UserReference      []byte // TLV 0x0204, user_message_reference
}

// LogValue keeps numbers and text out of logs.
func (d Deliver) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("esm_class", int(d.ESMClass)),
		slog.Int("data_coding", int(d.DataCoding)),
		slog.Int("octets", len(d.Text)))
}

// Receipt is what a delivery receipt says, before any dialect is applied.
type Receipt struct {
	ID            string // message id as the receipt spells it; empty where it has none
	State         State
	Cause         Cause     // what the word for the state says of why; see Dialect.Cause
	Strange       string    // the word for the state, where it is none known, masked for logs; else empty
	Intermediate  bool      // a notification on the way (esm_class 0x20), see Final
	Error         string    // err: field as written, else NetworkError; empty where there is neither
	NetworkError  string    // code of TLV network_error_code, in decimal; empty where absent or 0
	Submitted     time.Time // submit date; zero where absent or unreadable
	Done          time.Time // done date; likewise
	Recipient     string    // whom the message was for
	UserReference uint16    // of the submit_sm that it answers
	HasReference  bool      // whether UserReference is set
	Unmarked      bool      // only its text says that it is a receipt: see "What is a receipt"
}

// Final tells whether this is the last word on the message. In an
// intermediate notification only Delivered is: other states there tell of one
// attempt, and the SMSC tries again.
func (r Receipt) Final() bool {
	return r.State.Final() && (!r.Intermediate || r.State == Delivered)
}

// Detail returns the state and error for operators, like "UNDELIV err:013".
func (r Receipt) Detail() string {
	if r.Error == "" {
		return r.State.String()
	}
	return r.State.String() + " err:" + r.Error
}

// LogValue keeps the recipient out of logs.
func (r Receipt) LogValue() slog.Value {
	return slog.GroupValue(slog.String("message_id", r.ID), slog.String("state", r.Detail()))
}
