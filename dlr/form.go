package dlr

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Form is how message ids are spelled on one of the two ways: in submit_sm_resp or
// in receipts.
type Form uint8

const (
	// AsIs compares what is there, but for differences that can't matter: leading
	// zeros, and the letter case of hexadecimal ids of at least 16 digits
	// and of UUIDs.
	//
	// More would be unsafe. A wrong match is silent and tells somebody that a message
	// came which did not; a missing one is loud and names its cure (see
	// Hints). Leading zeros are padding: one SMSC's ids have one
	// width, or are numbers. Letter case may well tell two ids apart: a
	// counter in base 62 gives "1a" and "1A" within 36 messages. It does not in
	// ids so long and with so few letters, and RFC 9562 §4 settles UUIDs.
	AsIs Form = iota
	// Decimal ids are decimal numbers.
	Decimal
	// Hex ids are hexadecimal numbers, in either case, perhaps with "0x".
	Hex
	// Fold ids are strings whose letter case and leading zeros mean nothing.
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

// canonical returns the id so that equal ids of any forms are equal strings:
// numbers in decimal, without leading zeros. An id that is not of the form
// is taken as it is; it has a character that no number has, so it meets none.
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

// number rewrites a number of any length up to maxID digits, without a sign,
// from one base to another, in lower case and without leading zeros.
func number(id string, from, to int) (string, bool) {
	if from == 16 && len(id) > 2 && (id[:2] == "0x" || id[:2] == "0X") {
		id = id[2:]
	}
	if id == "" || len(id) > maxID || !all(id, func(r rune) bool { return digit(r) || from == 16 && hexDigit(r) }) {
		return "", false
	}
	if n, err := strconv.ParseUint(id, from, 64); err == nil { // as nearly always
		return strconv.FormatUint(n, to), true
	}
	n, ok := new(big.Int).SetString(id, from)
	if !ok {
		return "", false
	}
	return n.Text(to), true
}

// unpadded strips leading zeros, but for the last character.
func unpadded(id string) string {
	for len(id) > 1 && id[0] == '0' {
		id = id[1:]
	}
	return id
}

// caseless tells whether the id is hexadecimal beyond doubt.
func caseless(id string) bool {
	return len(id) >= 16 && all(id, func(r rune) bool { return hexDigit(r) || r == '-' })
}

func hexDigit(r rune) bool { return digit(r) || r|0x20 >= 'a' && r|0x20 <= 'f' }
