package numbers

import (
	"fmt"
	"strconv"
	"strings"
)

// Rule lets the numbers of one range in, or keeps them out, whatever the metadata say.
type Rule struct {
	Prefix string // E.164: "+8160"
	Length int    // digits of the national number, behind the country code; 0: any
	Deny   bool

	satellite bool // of our own table: the range is denied since it is of satellite phones
}

// Rules are what decides before the metadata do. The zero value has the rules of our own
// table only. A Rules is safe for concurrent use once it is made.
type Rules struct {
	byPrefix map[string][]Rule
	own      *Own // nil: no organisation's
}

// E.164 §6: at most 15 digits. No country has numbers of fewer than 4, code included.
const leastDigits, mostDigits = 4, 15

// ParseRule reads a rule as the configuration has it: a prefix in E.164, and the length of the
// national number where it matters, like "+4678" or "+4678/9".
func ParseRule(s string, deny bool) (Rule, error) {
	prefix, length, given := strings.Cut(s, "/")
	r := Rule{Prefix: prefix, Deny: deny}
	digits, ok := strings.CutPrefix(prefix, "+")
	if !ok || digits == "" || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" || len(digits) > mostDigits {
		return Rule{}, fmt.Errorf("%q is no prefix: write '+', the country code, and the digits that the numbers begin with, like \"+4678\"", s)
	}
	code := countryCode(prefix)
	if code == "" {
		return Rule{}, fmt.Errorf("%q does not begin with a country code", s)
	}
	if !given {
		return r, nil
	}
	n, err := strconv.Atoi(length)
	if least, most := max(1, len(digits)-len(code)), mostDigits-len(code); err != nil || n < least || n > most {
		return Rule{}, fmt.Errorf("%q has no length of a national number behind the slash: give a whole number from %d to %d, or leave the slash out", s, least, most)
	}
	r.Length = n
	return r, nil
}

// NewRules returns the operator's rules, over those of our own table.
func NewRules(rules []Rule) *Rules { return &Rules{byPrefix: by(rules)} }

func by(rules []Rule) map[string][]Rule {
	by := make(map[string][]Rule)
	for _, r := range rules {
		by[r.Prefix] = append(by[r.Prefix], r)
	}
	return by
}

// of returns the rule of the longest prefix, the operator's before our own; nil where there is none.
func (r *Rules) of(number string) *Rule {
	if r != nil && len(r.byPrefix) > 0 {
		if rule := longest(r.byPrefix, number); rule != nil {
			return rule
		}
	}
	return longest(table(), number)
}

func longest(rules map[string][]Rule, number string) *Rule {
	for n := min(len(number), mostDigits+1); n > 1; n-- {
		var found *Rule
		for i, rule := range rules[number[:n]] {
			if rule.covers(number) && (found == nil || rule.Deny) {
				found = &rules[number[:n]][i]
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// covers reports whether a number with the rule's prefix has the rule's length.
func (r Rule) covers(number string) bool {
	digits := len(number) - 1
	if r.Length == 0 {
		return r.Deny || digits >= leastDigits && digits <= mostDigits
	}
	return digits == len(countryCode(number))+r.Length
}

// countryCode returns the country code of a number in E.164, empty where it has none.
func countryCode(number string) string {
	codes := countryCodes()
	for n := 2; n <= min(4, len(number)); n++ { // 1 to 3 digits, and none begins another
		if codes[number[1:n]] {
			return number[1:n]
		}
	}
	return ""
}
