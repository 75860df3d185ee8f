package dlr

import (
	"strconv"
	"strings"
)

// Bits of esm_class in a deliver_sm (SMPP 3.4 §5.2.12). The type is a pattern of
// four bits, of which receipts and notifications have one each that no other type has.
const (
	classReceipt      = 0x04
	classIntermediate = 0x20
	classType         = 0x3C
)

const (
	maxID    = 128 // octets of a message id; SMPP 3.4 §5.2.23 has 64
	maxError = 16
	maxWord  = 20 // of a state
)

// Parse reads a receipt; false where d is not one (see "What is a receipt").
func Parse(d Deliver) (Receipt, bool) {
	f := scan(readable(d.Text))
	r := Receipt{
		ID:           token(d.ReceiptedMessageID, maxID),
		State:        stateOf(d.MessageState),
		Intermediate: d.ESMClass&classIntermediate != 0,
		NetworkError: networkError(d.NetworkErrorCode),
		Recipient:    d.Source,
	}
	known := d.ESMClass&(classReceipt|classIntermediate) != 0 || r.ID != "" || r.State != None
	if !known && (d.ESMClass&classType != 0 || !f.unmistakable()) {
		return Receipt{}, false
	}
	r.Unmarked = !known
	r.addText(f)
	r.UserReference, r.HasReference = reference(d.UserReference)
	return r, true
}

// addText fills in what the TLVs left open.
func (r *Receipt) addText(f fields) {
	if r.ID == "" {
		r.ID = token(f.value[fieldID], maxID)
	}
	if r.State == None {
		r.State, r.Cause = parseState(f.value[fieldStat]), parseCause(f.value[fieldStat])
	}
	if r.State == None {
		r.Strange = strange(f.value[fieldStat])
	}
	r.Error = code(f.value[fieldErr])
	if r.Error == "" {
		r.Error = r.NetworkError
	}
	r.Submitted = parseDate(f.value[fieldSubmit])
	r.Done = parseDate(f.value[fieldDone])
}

// stateOf reads TLV message_state. It has one octet; a wider number is taken too.
func stateOf(tlv []byte) State {
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

// token returns the first word of a value, without quotes and commas round it;
// empty where it is longer than most or not printable ASCII.
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

// code is a token of letters, digits, '-' and '_': an error code goes into logs,
// and must bring nothing else there.
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
