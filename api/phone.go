package api

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// maxPhone is the longest spelling of a number that is looked at: 15 digits
// (ITU-T E.164 §6.1), a prefix, and blanks or hyphens between.
const maxPhone = 40

var errPhone = errors.New(`must be a valid phone number in international form: "+" or "00", then country code and number, like +4799999999`)

// ParsePhone returns the number in E.164 form with its plus sign, by the rules for
// recipients of orders. Blanks and hyphens between the digits are taken as people write
// them; letters, extensions and a number without its country code are not. An error
// says what a number must be, and not which one it was.
func ParsePhone(s string) (string, error) {
	digits, err := internationalDigits(s)
	if err != nil {
		return "", err
	}
	if c, national := plainNumber(digits); c != nil && (c.isMobile(national) || phonenumbers.IsValidNumber(c.number(national))) {
		return digits, nil
	}
	return parseAny(digits)
}

// parseAny knows every country's way of writing numbers.
func parseAny(digits string) (string, error) {
	// "ZZ" is no region: nothing but the country code may tell where it belongs.
	number, err := phonenumbers.Parse(digits, "ZZ")
	if err != nil || !phonenumbers.IsValidNumber(number) {
		return "", errPhone
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

// plainNumber splits a number that is country code and national number and
// nothing else, as nearly all are; of others it returns nil. It spares an order the
// dozen regular expressions by which phonenumbers.Parse looks for what is not there:
// extensions, letters, national prefixes.
func plainNumber(digits string) (c *country, national string) {
	all := countries()
	for n := 2; n <= min(4, len(digits)-1); n++ { // country codes have 1 to 3 digits, none begins another
		c, ok := all[digits[1:n]]
		if !ok {
			continue
		}
		national := digits[n:]
		if national[0] == '0' || c.prefix != "" && strings.HasPrefix(national, c.prefix) || len(national) > 15 {
			return nil, ""
		}
		return c, national
	}
	return nil, ""
}

// internationalDigits strips what people put between digits and turns a
// leading 00 into a plus sign. A country code never starts with 0 (ITU-T E.164
// §6.2.1), so "+00" and "0000" are no prefixes.
func internationalDigits(s string) (string, error) {
	if len(s) > maxPhone {
		return "", errPhone
	}
	rest, ok := strings.CutPrefix(s, "+")
	if !ok {
		rest, ok = strings.CutPrefix(s, "00")
	}
	if !ok || rest == "" || rest[0] < '1' || rest[0] > '9' {
		return "", errPhone
	}
	digits := make([]byte, 1, maxPhone)
	digits[0] = '+'
	for _, c := range []byte(rest) {
		switch {
		case c >= '0' && c <= '9':
			digits = append(digits, c)
		case c == ' ' || c == '-':
		default:
			return "", errPhone
		}
	}
	return string(digits), nil
}
