package dlr

import (
	"strconv"
	"strings"
)

// Dialect is how one SMSC spells what receipts are matched by, and what they are about. The zero value
// is the default: see AsIs for what it matches.
type Dialect struct {
	Answer  Form       // of message_id in submit_sm_resp
	Receipt Form       // of the id in receipts
	Errors  ErrorTable // what its error codes mean; may be nil
	// OneReceipt: there is one receipt for all parts of a long message, whichever of
	// their ids it bears.
	OneReceipt bool
}

// AnswerRef returns the reference under which a receipt will look for the
// message with this message_id; empty for an empty id. References are opaque.
func (d Dialect) AnswerRef(id string) string { return idRef(d.Answer.canonical(id)) }

// ReceiptRef returns the reference that a receipt with this id looks for; empty for an empty id.
func (d Dialect) ReceiptRef(id string) string { return idRef(d.Receipt.canonical(id)) }

// UserRef returns the reference of a message by user_message_reference
// (SMPP 3.4 §5.3.2.17), which an SMSC may echo. As it has but 16 bits, it
// counts only together with the recipient, whose '+' or "00" does not matter.
func (d Dialect) UserRef(recipient string, ref uint16) string {
	recipient = strings.TrimPrefix(strings.TrimPrefix(recipient, "+"), "00")
	return "um:" + recipient + ":" + strconv.Itoa(int(ref))
}

// Refs returns the references that a receipt bears, the surest first.
func (d Dialect) Refs(r Receipt) []string {
	var refs []string
	if ref := d.ReceiptRef(r.ID); ref != "" {
		refs = append(refs, ref)
	}
	if r.HasReference && r.Recipient != "" {
		refs = append(refs, d.UserRef(r.Recipient, r.UserReference))
	}
	return refs
}

// Cause returns why the message failed: what the receipt's error code means to this
// SMSC, the network's code if the table has it, else that of the text; else what the
// word for the state says.
func (d Dialect) Cause(r Receipt) Cause {
	if cause := d.Errors.Cause(r.NetworkError); cause != CauseNone {
		return cause
	}
	if cause := d.Errors.Cause(r.Error); cause != CauseNone {
		return cause
	}
	return r.Cause
}

func idRef(canonical string) string {
	if canonical == "" {
		return ""
	}
	return "id:" + canonical
}

// Hint says: if a message is bound to Ref, this receipt is about it, and the
// SMSC's forms should be set to Answer and Receipt.
type Hint struct {
	Answer, Receipt Form
	Ref             string
}

// String returns the settings that would have matched, like "answers hex, receipts decimal".
func (h Hint) String() string {
	return "answers " + h.Answer.String() + ", receipts " + h.Receipt.String()
}

// Hints returns the references that a receipt with this id would have to be matched
// by if a form were set otherwise, the likeliest first, none twice and
// never ReceiptRef's own. They serve to tell, not to match: of two numbers that one
// id can be, one may belong to another message.
func (d Dialect) Hints(id string) []Hint {
	plain := AsIs.canonical(id)
	hints := hintList{own: d.ReceiptRef(id)}
	hints.add(d.Answer, Hex, Hex.canonical(id))
	hints.add(d.Answer, AsIs, plain)
	if hex, ok := number(plain, 10, 16); ok { // answers are in hex, and were taken as they are
		hints.add(Hex, Decimal, hex)
		hints.add(Hex, Decimal, strings.ToUpper(hex))
	}
	cased := Fold
	if all(plain, hexDigit) {
		cased = Hex
	}
	hints.add(cased, cased, strings.ToLower(plain))
	hints.add(cased, cased, strings.ToUpper(plain))
	return hints.list
}

// hintList collects hints with distinct references.
type hintList struct {
	own  string
	list []Hint
}

func (l *hintList) add(answer, receipt Form, canonical string) {
	ref := idRef(canonical)
	if ref == l.own || ref == "" {
		return
	}
	for _, have := range l.list {
		if have.Ref == ref {
			return
		}
	}
	l.list = append(l.list, Hint{Answer: answer, Receipt: receipt, Ref: ref})
}
