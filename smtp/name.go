package smtp

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the most characters of a sender's name. Mailboxes show about half of them.
const maxName = 70

// CheckName returns why a name can't be shown with a sender's address, or nil. Its error continues the sentence that
// begins with the name.
func CheckName(name string) error {
	switch {
	case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl), strings.ContainsFunc(name, unseen):
		return errors.New("must be one line without control characters")
	case utf8.RuneCountInString(name) > maxName:
		return errors.New("must have at most 70 characters")
	case strings.TrimSpace(name) != name:
		return errors.New("must not begin or end with a blank")
	case strings.Contains(name, "@"):
		return errors.New("must not contain an @: readers and filters take it for a false address")
	}
	return nil
}

// unseen reports whether a character changes how others are shown, like U+202E.
func unseen(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// mailbox returns an address with a name as a header field has them (RFC 5322 §3.4): words as they are, in
// quotation marks, or encoded (RFC 2047 §5).
func mailbox(field, name string, a address) string {
	address := "<" + a.String() + ">"
	switch {
	case name == "":
		return address
	case !isPlain(name):
		return shortest(field, name) + " " + address
	case strings.ContainsFunc(name, notInPhrase):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" ` + address
	}
	return name + " " + address
}

// notInPhrase reports whether an ASCII character needs quotation marks in a phrase (RFC 5322 §3.2.5). The dot is
// among them: only the obsolete syntax has it.
func notInPhrase(r rune) bool {
	return r != ' ' && (notAtomText(r) || r == '.')
}
