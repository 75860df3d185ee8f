package numbers

import (
	"cmp"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// maxSpelling is the longest spelling that is looked at, in octets: 15 digits and a prefix, with
// characters of three octets between them.
const maxSpelling = 128

var errForm = errors.New(`must be a valid phone number in international form: "+" or "00", then country code and number, like +4799999999`)

// Parse returns the number in E.164 with its plus sign. It takes every spelling that
// libphonenumber reads of a number with its country code: blanks, hyphens, dots, slashes and
// parentheses of any kind between the digits, full-width and Arabic digits, and invisible marks.
// Letters, extensions and a number without its country code are refused. A valid number that must get no SMS comes
// with a *Refusal. An error says how a number must be, never which one it was.
func (r *Rules) Parse(s string) (string, error) {
	digits, ok := internationalDigits(s)
	if !ok {
		return "", errForm
	}
	number, err := parseDigits(digits)
	rule := r.of(cmp.Or(number, digits))
	if err != nil && rule == nil {
		return "", err
	}
	number = cmp.Or(number, digits)
	if refusal := r.refuse(number, rule); refusal != nil {
		return number, refusal
	}
	return number, nil
}

// parseDigits holds digits behind a plus sign against the metadata. The number may lack a national
// prefix that the digits had.
func parseDigits(digits string) (string, error) {
	if c, national := plainNumber(digits); c != nil && (c.isMobile(national) || phonenumbers.IsValidNumber(c.number(national))) {
		return digits, nil
	}
	return parseAny(digits)
}

// parseAny knows every country's way of writing numbers.
func parseAny(digits string) (string, error) {
	// "ZZ" is no region: nothing but the country code may say where the number belongs.
	number, err := phonenumbers.Parse(digits, "ZZ")
	if err != nil || !phonenumbers.IsValidNumber(number) {
		return "", errForm
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

// plainNumber splits a number that is country code and national number and nothing else, as nearly
// all are; for others it returns nil. It spares an order the dozen regular expressions by which
// phonenumbers.Parse looks for extensions, letters and national prefixes (14 % of an order's CPU).
func plainNumber(digits string) (c *country, national string) {
	all := countries()
	for n := 2; n <= min(4, len(digits)-1); n++ { // country codes have 1 to 3 digits, and none begins another
		c, ok := all[digits[1:n]]
		if !ok {
			continue
		}
		national := digits[n:]
		if national[0] == '0' || c.prefix != "" && strings.HasPrefix(national, c.prefix) || len(national) > mostDigits {
			return nil, ""
		}
		return c, national
	}
	return nil, ""
}

// internationalDigits returns the digits behind one plus sign, without what people put between
// them; a leading 00 stands for the plus sign. No country code begins with 0 (ITU-T E.164 §6.2.1), so
// "+00" and "0000" are no prefixes.
func internationalDigits(s string) (string, bool) {
	if len(s) > maxSpelling || !utf8.ValidString(s) {
		return "", false
	}
	digits := make([]byte, 0, maxSpelling)
	for _, r := range s {
		switch d, ok := digit(r); {
		case ok:
			digits = append(digits, d)
		case r == '+' || r == '＋':
			if len(digits) > 0 {
				return "", false
			}
			digits = append(digits, '+')
		case !between(r):
			return "", false
		}
	}
	number := string(digits)
	if rest, ok := strings.CutPrefix(number, "00"); ok {
		number = "+" + rest
	}
	return number, len(number) > 1 && number[0] == '+' && number[1] != '0'
}

// digit returns r as an ASCII digit, if it is one of those that libphonenumber reads: ASCII,
// full-width, Arabic-Indic and Eastern Arabic-Indic.
func digit(r rune) (byte, bool) {
	for _, zero := range [...]rune{'0', '０', '٠', '۰'} {
		if r >= zero && r <= zero+9 {
			return '0' + byte(r-zero), true
		}
	}
	return 0, false
}

// between reports whether r may stand round and between digits without a meaning: blanks, dashes,
// marks that are not seen, and libphonenumber's other punctuation.
func between(r rune) bool {
	if r < utf8.RuneSelf {
		return strings.ContainsRune(" -./()[]~\t\r\n", r)
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) ||
		strings.ContainsRune("−ー－．／（）［］～⁓∼", r)
}
