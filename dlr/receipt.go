package dlr

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// State is what happened to a message. The numbers are those of message_state
// (SMPP 3.4 §5.2.28); Skipped is of SMPP 5.0.
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

// Final reports whether no other state follows (SMPP 3.4 §5.2.28).
func (s State) Final() bool {
	switch s {
	case Delivered, Expired, Deleted, Undeliverable, Unknown, Rejected, Skipped:
		return true
	}
	return false
}

// Deliver has the fields and TLVs of a deliver_sm or data_sm that a receipt uses. It is
// this package's own type, so that the package depends on no codec.
type Deliver struct {
	ESMClass    byte
	DataCoding  byte
	Source      string // source_addr: in a receipt, the recipient of the message
	Destination string
	Text        []byte // short_message or message_payload, without a user data header

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

// Receipt is what a delivery receipt says.
type Receipt struct {
	ID            string // message id as the receipt spells it: the TLV's, else the text's; empty if it has none
	TextID        string // the id in the text, if it is another than ID
	State         State
	Cause         Cause     // the reason that the word for the state gives; see Dialect.Cause
	UnknownState  string    // the word for a state that is not known, masked for logs; else empty
	Intermediate  bool      // an intermediate notification (esm_class 0x20), see Final
	Error         string    // err: field as written, else NetworkError; empty if there is neither
	NetworkError  string    // code of TLV network_error_code, in decimal; empty if absent or 0
	Submitted     time.Time // submit date; zero if absent or unreadable
	Done          time.Time // done date; zero if absent or unreadable
	Recipient     string    // recipient of the message that the receipt is about
	UserReference uint16    // user_message_reference of that message's submit_sm
	HasReference  bool      // UserReference is set
	Unverified    bool      // only the text says that it is a receipt: see "What is a receipt"
}

// Final reports whether this is the last receipt for the message. In an intermediate
// notification only Delivered is final: its other states are about one attempt, and the
// SMSC tries again.
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

// Bits of esm_class in a deliver_sm (SMPP 3.4 §5.2.12). The message type is a pattern of
// four bits. Receipts and intermediate notifications each have a bit that no other type has.
const (
	classReceipt      = 0x04
	classIntermediate = 0x20
	classType         = 0x3C
)

// IsReceipt reports whether esm_class marks a receipt or an intermediate notification.
func IsReceipt(esmClass byte) bool { return esmClass&(classReceipt|classIntermediate) != 0 }

// Longest values that are taken, in octets.
const (
	maxID    = 128 // of a message id; SMPP 3.4 §5.2.23 has 64
	maxError = 16
	maxWord  = 32 // of a state
)

// Parse is Dialect.Parse for an SMSC without settings.
func Parse(m Deliver) (Receipt, bool) { return Dialect{}.Parse(m) }

// Parse reads a receipt. It returns false if m is not a receipt (see "What is a receipt").
func (d Dialect) Parse(m Deliver) (Receipt, bool) {
	f := scan(readable(m.Text))
	r := Receipt{
		ID:           token(m.ReceiptedMessageID, maxID),
		State:        messageState(m.MessageState),
		Intermediate: m.ESMClass&classIntermediate != 0,
		NetworkError: networkError(m.NetworkErrorCode),
		Recipient:    m.Source,
	}
	verified := IsReceipt(m.ESMClass) || r.ID != "" || r.State != None
	if !verified && (m.ESMClass&classType != 0 || !d.unmistakable(f)) {
		return Receipt{}, false
	}
	r.Unverified = !verified
	r.addText(f.whole(r.State))
	d.addState(&r, f.whole(r.State).value[fieldStat], m.MessageState)
	r.UserReference, r.HasReference = reference(m.UserReference)
	return r, true
}

// addText fills in what the TLVs left open, except the state.
func (r *Receipt) addText(f fields) {
	id := token(f.value[fieldID], maxID)
	switch {
	case r.ID == "":
		r.ID = id
	case !sameID(r.ID, id):
		r.TextID = id
	}
	r.Error = code(f.value[fieldErr])
	if r.Error == "" {
		r.Error = r.NetworkError
	}
	r.Submitted = parseDate(f.value[fieldSubmit])
	r.Done = parseDate(f.value[fieldDone])
}

// addState decides what the receipt says of the message: what the SMSC's table says of the
// stat: value, and of TLV message_state; else that TLV; else the words that all SMSCs share.
func (d Dialect) addState(r *Receipt, stat string, tlv []byte) {
	if means, ok := d.States.lookUp(stat); ok {
		r.State, r.Cause = means.state, means.cause
	} else if means, ok := d.States[stateNumber(tlv)]; ok {
		r.State, r.Cause = means.state, means.cause
	} else if r.State == None {
		r.State, r.Cause = parseState(stat), parseCause(stat)
	}
	if r.State == None {
		r.UnknownState = unknownState(stat)
	}
	if r.State == Accepted && d.AcceptedIsFinal && !r.Intermediate {
		r.State = Delivered
	}
}

// stateNumber returns TLV message_state as a StateTable spells it; empty if it is no number.
func stateNumber(tlv []byte) string {
	if len(tlv) == 0 || len(tlv) > 4 {
		return ""
	}
	n := 0
	for _, octet := range tlv {
		n = n<<8 | int(octet)
	}
	return strconv.Itoa(n)
}

// messageState reads TLV message_state. It has one octet; a wider number is taken too.
func messageState(tlv []byte) State {
	if len(tlv) == 0 || len(tlv) > 4 {
		return None
	}
	for _, high := range tlv[:len(tlv)-1] {
		if high != 0 {
			return None
		}
	}
	if s := State(tlv[len(tlv)-1]); s <= Skipped {
		return s
	}
	return None
}

// networkError reads TLV network_error_code: an octet for the network type,
// then a 16-bit code (SMPP 3.4 §5.3.2.31).
func networkError(tlv []byte) string {
	if len(tlv) != 3 || tlv[1] == 0 && tlv[2] == 0 {
		return ""
	}
	return strconv.Itoa(int(tlv[1])<<8 | int(tlv[2]))
}

// reference reads TLV user_message_reference (SMPP 3.4 §5.3.2.17).
func reference(tlv []byte) (uint16, bool) {
	if len(tlv) != 2 {
		return 0, false
	}
	return uint16(tlv[0])<<8 | uint16(tlv[1]), true
}

// token returns the first word of a value, without surrounding quotes and commas. It is
// empty if the word is longer than most octets or is not printable ASCII.
func token(value string, most int) string {
	words := strings.FieldsFunc(value, blank)
	if len(words) == 0 {
		return ""
	}
	word := strings.Trim(words[0], ",;|\"'")
	if len(word) > most || !all(word, func(r rune) bool { return r > ' ' && r <= '~' }) {
		return ""
	}
	return word
}

// code returns a token of letters, digits, '-' and '_'. An error code is logged, so
// nothing else may pass as one.
func code(value string) string {
	word := token(value, maxError)
	if !all(word, func(r rune) bool { return letter(r) || digit(r) || r == '-' || r == '_' }) {
		return ""
	}
	return word
}

func all(s string, is func(rune) bool) bool {
	for _, r := range s {
		if !is(r) {
			return false
		}
	}
	return true
}

func blank(r rune) bool         { return r <= ' ' }
func letterOrDigit(r rune) bool { return letter(r) || digit(r) }
func letter(r rune) bool        { return r|0x20 >= 'a' && r|0x20 <= 'z' }
func digit(r rune) bool         { return r >= '0' && r <= '9' }
func hexDigit(r rune) bool      { return digit(r) || r|0x20 >= 'a' && r|0x20 <= 'f' }
