package numbers

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Everywhere stands for all countries.
const Everywhere = "*"

// CheckCountry returns what is wrong with a country as the configuration has it: two letters of ISO 3166-1 ("NO"), or a
// country code and perhaps more digits ("+47"), for regions that share a code and for networks of no country.
func CheckCountry(s string) error {
	if strings.HasPrefix(s, "+") {
		if _, err := ParseRule(s, false); err != nil || strings.Contains(s, "/") {
			return fmt.Errorf(`%q is no prefix: write '+', the country code, and perhaps more digits, like "+47"`, s)
		}
		return nil
	}
	if s != Everywhere && !phonenumbers.GetSupportedRegions()[s] {
		return fmt.Errorf(`%q is no country: write its two letters, like "NO", or its prefix, like "+47"; %q alone is all`, s, Everywhere)
	}
	return nil
}

// InCountry reports whether a number is of a country in that form.
func InCountry(country, number string) bool {
	if country == Everywhere || strings.HasPrefix(country, "+") {
		return country == Everywhere || strings.HasPrefix(number, country)
	}
	return Region(number) == country
}

// Region returns the two letters of a number's country, "" for a network of no country. Where the metadata do not know
// the number, it is the main country of its code.
func Region(number string) string {
	code := countryCode(number)
	n, err := strconv.Atoi(code)
	if err != nil {
		return ""
	}
	main := phonenumbers.GetRegionCodeForCountryCode(n)
	if main == noCountry {
		return ""
	}
	if len(phonenumbers.GetRegionCodesForCountryCode(n)) < 2 {
		return main
	}
	if c, national := plainNumber(number); c != nil && c.isMobile(national) {
		return main
	}
	parsed, err := phonenumbers.Parse(number, "ZZ")
	if err != nil {
		return main
	}
	if region := phonenumbers.GetRegionCodeForNumber(parsed); region != "" {
		return region
	}
	return main
}

// noCountry is the library's region of networks that belong to no country.
const noCountry = "001"

// where names a number's country for people.
func where(number string) string {
	if region := Region(number); region != "" {
		return region
	}
	return "no country (+" + countryCode(number) + ")"
}
