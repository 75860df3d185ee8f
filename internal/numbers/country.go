package numbers

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// country is the metadata of a country code; where regions share the code, of the main one.
type country struct {
	code int32
	// prefix is the national prefix. People dial it before a national number, and may write it
	// by mistake behind the country code.
	prefix string
	// isMobile reports whether a national number is surely a mobile phone's. Most
	// are, and phonenumbers.IsValidNumber tries every other kind of number first.
	isMobile func(national string) bool
}

// countries are the countries by their code, without those whose national prefix is more than
// a few digits.
var countries = sync.OnceValue(func() map[string]*country {
	codes := make(map[string]*country)
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return codes // parseAny returns the error
	}
	for _, m := range all.GetMetadata() {
		code, prefix := m.GetCountryCode(), m.GetNationalPrefixForParsing()
		if m.GetId() == phonenumbers.GetRegionCodeForCountryCode(int(code)) && strings.Trim(prefix, "0123456789") == "" {
			codes[strconv.Itoa(int(code))] = &country{code, prefix, mobile(m)}
		}
	}
	return codes
})

// number returns the country's number in the library's form. national has at most
// 15 digits and no leading zero.
func (c *country) number(national string) *phonenumbers.PhoneNumber {
	significant, _ := strconv.ParseUint(national, 10, 64)
	return &phonenumbers.PhoneNumber{CountryCode: new(c.code), NationalNumber: new(significant)}
}

// mobile returns the isMobile of a country. Expressions are compiled when they are
// first needed: few countries are.
func mobile(m *phonenumbers.PhoneMetadata) func(string) bool {
	kind := m.GetMobile()
	if m.GetSameMobileAndFixedLinePattern() {
		kind = m.GetFixedLine()
	}
	here, valid, one := expression(m.GetLeadingDigits(), ""), matcher(m.GetGeneralDesc()), matcher(kind)
	return func(national string) bool { return here(national) && valid(national) && one(national) }
}

// matcher reports whether a national number is of a kind.
func matcher(kind *phonenumbers.PhoneNumberDesc) func(string) bool {
	lengths, whole := kind.GetPossibleLength(), expression(kind.GetNationalNumberPattern(), "$")
	return func(national string) bool {
		return (len(lengths) == 0 || slices.Contains(lengths, int32(len(national)))) && whole(national)
	}
}

// expression matches the beginning of a string, or with end "$" the whole.
func expression(pattern, end string) func(string) bool {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")" + end) })
	return func(s string) bool { return compiled().MatchString(s) }
}

// countryCodes are the codes of all countries and of the networks that belong to none.
var countryCodes = sync.OnceValue(func() map[string]bool {
	codes := make(map[string]bool)
	for code := range phonenumbers.GetSupportedCallingCodes() {
		codes[strconv.Itoa(code)] = true
	}
	return codes
})

// CountryCode returns the country code of a number in E.164, without its plus sign; empty where no country has it.
func CountryCode(number string) string {
	codes := countryCodes()
	digits := strings.TrimPrefix(number, "+")
	for n := 1; n <= min(3, len(digits)); n++ { // no code begins another
		if codes[digits[:n]] {
			return digits[:n]
		}
	}
	return ""
}
