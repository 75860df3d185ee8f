package dlr

import "time"

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

// Receipt is what a delivery receipt says, before any dialect is applied.
type Receipt struct {
	ID            string // message id as the receipt spells it; empty where it has none
	State         State
	Error         string    // err: field or network error code, as written; empty where there is none
	Submitted     time.Time // submit date; zero where absent or unreadable
	Done          time.Time // done date; likewise
	Recipient     string    // whom the message was for
	UserReference uint16    // of the submit_sm that it answers
	HasReference  bool      // whether UserReference is set
}
