package numbers

import (
	"errors"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// TestRefusals: which valid numbers get no SMS, and why; and what lets them in.
func TestRefusals(t *testing.T) {
	home := rules(t, []string{"+4678/9", "+4782012", "+8816"}, nil)
	general := home.For(Own{Deny: rules(t, nil, []string{"+4799999"}).byPrefix["+4799999"]})
	nordic := home.For(Own{Countries: []string{"NO", "SE", "FI", "+4779", "GB", "+883"}, Key: "numbers.home"})
	america := NewRules(nil).For(Own{Countries: []string{"US"}, Key: "organisation.countries"})
	for _, c := range []struct {
		rules  *Rules
		number string
		want   string // the rule; empty: it is taken
	}{
		{none, "+4799999999", ""},
		{none, "+4721000000", ""}, // a fixed line may take SMS
		{none, "+14155552671", ""},
		{none, "+46781234567", ""}, // mobile, and not known to the library
		{none, "+4782012345", RefusedType},
		{none, "+19005551234", RefusedType},
		{none, "+469001234567", RefusedType},
		{none, "+979123456789", RefusedType},
		{none, "+448431234567", RefusedType}, // shared cost
		{none, "+881612345678", RefusedType},
		{none, "+870773111632", RefusedType},
		{none, "+8821612345678", RefusedType},
		{none, "+883510012345678", ""}, // a network of no country, and no satellite
		{home, "+881612345678", ""},    // let in by the operator
		{home, "+881712345678", RefusedType},
		{home, "+4782012345", ""},
		{home, "+4782022345", RefusedType},
		{general, "+4799999999", RefusedOwnPrefix},
		{general, "+4799899999", ""},
		{nordic, "+4799999999", ""},
		{nordic, "+46701740605", ""},
		{nordic, "+46781234567", ""},
		{nordic, "+358457123456", ""},
		{nordic, "+4779012345", ""}, // Svalbard, by its prefix
		{nordic, "+4542123456", RefusedCountry},
		{nordic, "+447400123456", ""},
		{nordic, "+447797712345", RefusedCountry}, // Jersey
		{nordic, "+883510012345678", ""},
		{nordic, "+881612345678", RefusedCountry},
		{america, "+12025550123", ""},
		{america, "+14165551234", RefusedCountry}, // Canada
		{america, "+18765551234", RefusedCountry}, // Jamaica
		{NewRules(nil).For(Own{Countries: []string{Everywhere}}), "+18765551234", ""},
		{NewRules(nil).For(Own{}), "+18765551234", ""},
	} {
		got, err := c.rules.Parse(c.number)
		refusal, rule := (*Refusal)(nil), ""
		if errors.As(err, &refusal) {
			rule = refusal.Rule
		}
		if rule != c.want || got != c.number || (err == nil) != (c.want == "") {
			t.Errorf("Parse(%q) = %q, %v; want rule %q", c.number, got, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), c.number[4:]) {
			t.Errorf("%v has the number", err)
		}
	}
	if _, err := america.Parse("+14165551234"); err == nil || !strings.Contains(err.Error(), "US (organisation.countries); this one is of CA") {
		t.Error(err)
	}
}

// TestMobilesAreTaken: no rule refuses what the library calls a mobile phone, or a line that may be one, except satellites.
func TestMobilesAreTaken(t *testing.T) {
	taken := 0
	for region := range phonenumbers.GetSupportedRegions() {
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE} {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil {
				continue
			}
			number := phonenumbers.Format(example, phonenumbers.E164)
			if _, err := none.Parse(number); err != nil {
				t.Errorf("%s %s: %v", region, number, err)
			}
			if got := Region(number); got != region {
				t.Logf("%s of %s counts as %s", number, region, got)
			}
			taken++
		}
	}
	if taken < 200 {
		t.Errorf("%d numbers", taken)
	}
}

// TestRegion: the short way and the library agree about every country's numbers.
func TestRegion(t *testing.T) {
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind < phonenumbers.UNKNOWN; kind++ {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil {
				continue
			}
			number := phonenumbers.Format(example, phonenumbers.E164)
			if got, want := Region(number), phonenumbers.GetRegionCodeForNumber(example); got != want && want != noCountry {
				t.Errorf("%s is of %q, the library says %q", number, got, want)
			}
		}
	}
}

func TestCheckCountry(t *testing.T) {
	for _, good := range []string{"NO", "XK", "+47", "+4779", "+883", "*"} {
		if err := CheckCountry(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "no", "NOR", "Norway", "47", "+", "+47/8", "+0", "001", "XX"} {
		if CheckCountry(bad) == nil {
			t.Errorf("%q is a country", bad)
		}
	}
}

func BenchmarkParseOwn(b *testing.B) {
	r := NewRules(nil).For(Own{Countries: []string{"SE", "NO"}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Parse("+4799999999"); err != nil {
			b.Fatal(err)
		}
	}
}
