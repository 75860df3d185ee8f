package dlr

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Dialect is how one SMSC spells message ids, and what its states and error codes mean. The
// zero value is the default: see AsIs for the ids that it matches.
type Dialect struct {
	Answer  Form       // of message_id in submit_sm_resp
	Receipt Form       // of the id in receipts
	Errors  ErrorTable // what its error codes mean; may be nil
	States  StateTable // what its states mean, where that is not the usual; may be nil
	// AcceptedIsFinal: the SMSC sends no receipt after one with the state ACCEPTD, which
	// therefore counts as DELIVRD.
	AcceptedIsFinal bool
	// OneReceipt: the SMSC sends one receipt for all parts of a long message, with the
	// id of any part.
	OneReceipt bool
}

// Form is how message ids are spelled, in submit_sm_resp or in receipts.
type Form uint8

const (
	// AsIs compares ids as written, except for two differences that can't matter:
	// leading zeros, and the letter case of UUIDs and of hexadecimal ids of at least
	// 16 digits.
	//
	// To ignore more would be unsafe. A wrong match is silent and reports a message as
	// delivered that was not; a missing match is logged together with its cure (see
	// MismatchHints). Leading zeros are padding: the ids of one SMSC have one width, or
	// are numbers. Letter case may distinguish two ids: a counter in base 62 gives "1a"
	// and "1A" within 36 messages. It does not in ids that are so long with so few
	// letters; for UUIDs RFC 9562 §4 says so.
	AsIs Form = iota
	// Decimal ids are decimal numbers.
	Decimal
	// Hex ids are hexadecimal numbers in either letter case, with or without "0x".
	Hex
	// Fold ids are strings in which letter case and leading zeros don't count.
	Fold
)

var formNames = [...]string{AsIs: "as-is", Decimal: "decimal", Hex: "hex", Fold: "fold"}

// String returns the form as settings spell it.
func (f Form) String() string {
	if int(f) >= len(formNames) {
		return "invalid"
	}
	return formNames[f]
}

// ParseForm reads a setting: "as-is", "decimal", "hex" or "fold".
func ParseForm(s string) (Form, error) {
	for f, name := range formNames {
		if s == name {
			return Form(f), nil
		}
	}
	return 0, fmt.Errorf(`no form of message ids %q: use "as-is", "decimal", "hex" or "fold"`, s)
}

// AnswerRef returns the reference under which a receipt looks for the message with this
// message_id; empty for an empty id. References are opaque.
func (d Dialect) AnswerRef(id string) string { return idRef(d.Answer.canonical(id)) }

// ReceiptRef returns the reference that a receipt with this id looks for; empty for an empty id.
func (d Dialect) ReceiptRef(id string) string { return idRef(d.Receipt.canonical(id)) }

func idRef(canonical string) string {
	if canonical == "" {
		return ""
	}
	return "id:" + canonical
}

// UserRef returns the reference of a message by user_message_reference
// (SMPP 3.4 §5.3.2.17), which an SMSC may echo. The number has only 16 bits, so it
// counts only together with the recipient. A leading '+' or "00" of the recipient is ignored.
func (d Dialect) UserRef(recipient string, ref uint16) string {
	recipient = strings.TrimPrefix(strings.TrimPrefix(recipient, "+"), "00")
	return "um:" + recipient + ":" + strconv.Itoa(int(ref))
}

// Refs returns the references of a receipt, the most reliable first, and how many of them are
// message ids: these come first. The id in the text is a reference of its own where the TLV has
// another: an SMSC behind another one may give its own there.
func (d Dialect) Refs(r Receipt) (refs []string, ids int) {
	for _, id := range []string{r.ID, r.TextID} {
		if ref := d.ReceiptRef(id); ref != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	ids = len(refs)
	if r.HasReference && r.Recipient != "" {
		refs = append(refs, d.UserRef(r.Recipient, r.UserReference))
	}
	return refs, ids
}

// Cause returns why the message failed. The receipt's error code decides if the SMSC's
// table has it, the network's code before that of the text; else the word for the state does.
func (d Dialect) Cause(r Receipt) Cause {
	if cause := d.Errors.Cause(r.NetworkError); cause != CauseNone {
		return cause
	}
	if cause := d.Errors.Cause(r.Error); cause != CauseNone {
		return cause
	}
	return r.Cause
}

// MismatchHint says which forms would have matched a receipt: if a message is bound to
// Ref, the receipt is about that message, and the SMSC's forms should be Answer and Receipt.
type MismatchHint struct {
	Answer, Receipt Form
	// OtherRecipient: Ref is the receipt's own, of the id in its text. It counts only for a
	// message to the recipient that the receipt names, and the message has another.
	OtherRecipient bool
	Ref            string
}

// String returns the settings that would have matched, like "answers hex, receipts decimal".
func (h MismatchHint) String() string {
	if h.OtherRecipient {
		return otherRecipient
	}
	return mismatchForms[int(h.Answer)*len(formNames)+int(h.Receipt)]
}

const otherRecipient = "the id in the text, but another recipient"

// mismatchForms are the values of MismatchHint.String that name forms. Each receipt has hints, so they are made once.
var mismatchForms = func() (all []string) {
	for _, answer := range formNames {
		for _, receipt := range formNames {
			all = append(all, "answers "+answer+", receipts "+receipt)
		}
	}
	return all
}()

// MismatchForms returns all values that MismatchHint.String can have.
func MismatchForms() []string { return append(slices.Clone(mismatchForms), otherRecipient) }

// Hints returns the references by which a receipt's message would be found if something were
// set otherwise, the likeliest first and without duplicates: MismatchHints of each of its ids,
// and the id in its text. They are for a log line, not for matching.
func (d Dialect) Hints(r Receipt) []MismatchHint {
	hints := d.MismatchHints(r.ID)
	if r.TextID == "" {
		return hints
	}
	if ref := d.ReceiptRef(r.TextID); ref != d.ReceiptRef(r.ID) {
		hints = append(hints, MismatchHint{OtherRecipient: true, Ref: ref})
	}
	for _, h := range d.MismatchHints(r.TextID) {
		if !slices.ContainsFunc(hints, func(have MismatchHint) bool { return have.Ref == h.Ref }) {
			hints = append(hints, h)
		}
	}
	return hints
}

// MismatchHints returns the references that a receipt with this id would have under other
// forms, the likeliest first, without duplicates and without ReceiptRef's own. They are for
// a log line, not for matching: an id can be read as two numbers, and the other number may
// be another message's.
func (d Dialect) MismatchHints(id string) []MismatchHint {
	plain := AsIs.canonical(id)
	hints := hintList{own: d.ReceiptRef(id), list: make([]MismatchHint, 0, 4)}
	hints.add(d.Answer, Hex, Hex.canonical(id))
	hints.add(d.Answer, AsIs, plain)
	if hex, ok := number(plain, 10, 16); ok { // answers are in hex, and were bound as they are
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
	list []MismatchHint
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
	l.list = append(l.list, MismatchHint{Answer: answer, Receipt: receipt, Ref: ref})
}

// canonical returns the same string for equal ids of any forms: a number is written in
// decimal, without leading zeros. An id that is not of the form is taken as written; it
// has a character that no number has, so it equals no number.
func (f Form) canonical(id string) string {
	id = strings.TrimSpace(id)
	switch f {
	case Decimal:
		if n, ok := number(id, 10, 10); ok {
			return n
		}
	case Hex:
		if n, ok := number(id, 16, 10); ok {
			return n
		}
	case Fold:
		return unpadded(strings.ToLower(id))
	}
	if caseless(id) {
		id = strings.ToLower(id)
	}
	return unpadded(id)
}

// sameID reports whether two ids are one, in whatever form each is spelled.
func sameID(a, b string) bool {
	return Fold.canonical(a) == Fold.canonical(b) ||
		Hex.canonical(a) == Decimal.canonical(b) || Decimal.canonical(a) == Hex.canonical(b)
}

// number rewrites a number of up to maxID digits, without a sign, from one base to
// another, in lower case and without leading zeros.
func number(id string, from, to int) (string, bool) {
	if from == 16 && len(id) > 2 && (id[:2] == "0x" || id[:2] == "0X") {
		id = id[2:]
	}
	if id == "" || len(id) > maxID || !all(id, func(r rune) bool { return digit(r) || from == 16 && hexDigit(r) }) {
		return "", false
	}
	if n, err := strconv.ParseUint(id, from, 64); err == nil { // the usual case
		return strconv.FormatUint(n, to), true
	}
	n, ok := new(big.Int).SetString(id, from)
	if !ok {
		return "", false
	}
	return n.Text(to), true
}

// unpadded strips leading zeros, except for a last character.
func unpadded(id string) string {
	for len(id) > 1 && id[0] == '0' {
		id = id[1:]
	}
	return id
}

// caseless reports whether the id is certainly hexadecimal: a UUID, or 16 digits or more.
func caseless(id string) bool {
	return len(id) >= 16 && all(id, func(r rune) bool { return hexDigit(r) || r == '-' })
}
