package api

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// country is what the metadata tell of a country code, or of the main one of the
// regions that share it.
type country struct {
	code int32
	// prefix is what people dial before a national number and may write by
	// mistake behind the country code.
	prefix string
	// isMobile tells whether a national number is surely a mobile phone's. Most
	// are, and phonenumbers.IsValidNumber asks for each other kind of number first.
	isMobile func(national string) bool
}

// countries are those that can be told by their code, without those whose prefix
// is more than a few digits.
var countries = sync.OnceValue(func() map[string]*country {
	codes := make(map[string]*country)
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return codes // parseAny tells
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

// matcher tells whether a national number is of a kind.
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
