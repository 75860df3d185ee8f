package numbers

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

var none *Rules // none but our own table's

// phones holds every example of the contract, and what people write.
var phones = []struct{ in, want string }{
	{"+4799999999", "+4799999999"},
	{"004799999999", "+4799999999"},
	{"+233242426224", "+233242426224"},
	{"00233242426224", "+233242426224"},
	{"+47 999 99 999", "+4799999999"},
	{"+47-99-99-99-99", "+4799999999"},
	{"00 47 999 99 999", "+4799999999"},
	{"+47\u00a0999\u202f99\u2009999", "+4799999999"},
	{"+47‑999‑99‑999", "+4799999999"}, // non-breaking hyphens
	{"+47–999—99−999", "+4799999999"},
	{"+47.999.99.999", "+4799999999"},
	{"+47/999/99/999", "+4799999999"},
	{"+1 (415) 555-2671", "+14155552671"},
	{"+1（415）555‐2671", "+14155552671"},
	{"+44 (0)20 7946 0958", "+442079460958"},
	{"+44 (0) 20 7946 0958", "+442079460958"},
	{"＋４７９９９９９９９９", "+4799999999"},
	{"+47 999999９９", "+4799999999"},
	{"+٤٧٩٩٩٩٩٩٩٩", "+4799999999"},
	{"\u202a+4799999999\u202c", "+4799999999"}, // as Windows copies it from a contact
	{"\u200e+47\u200b99999999\ufeff", "+4799999999"},
	{" +4799999999\r\n", "+4799999999"}, {"+ 47 99999999", "+4799999999"},
	{"+4721000000", "+4721000000"},
	{"+14155552671", "+14155552671"},
	{"+442079460958", "+442079460958"},
	{"+4402079460958", "+442079460958"}, // the national prefix does not belong there, but is known
	{"+390236618300", "+390236618300"},  // Italy keeps its leading zero

	{"+4712345678", ""},
	{"+4750000004", ""},
	{"+47900000001", ""},
	{"+14790000000", ""},
	{"1234567890", ""},
	{"99315000", ""},
	{"++4799999999", ""},
	{"+47VARSLING", ""},
	{"+4799999999x12", ""},
	{"+4799999999;ext=12", ""},
	{"tel:+4799999999", ""},
	{"", ""}, {" ", ""}, {"+", ""}, {"00", ""},
	{"+004799999999", ""}, {"00004799999999", ""}, {"00+4799999999", ""},
	{"+4799999999,+4799999998", ""},
	{"+47\x0099999999", ""},
	{"+4799999999" + strings.Repeat(" ", maxSpelling), ""},
	{"+999999999999", ""},
	{"+47+99999999", ""}, {"4799999999+", ""}, {"+47*99999999", ""}, {"+4799999999\xff", ""},
	{"+47 (0) 999 99 999", ""}, // Norway has no national prefix
}

func TestParse(t *testing.T) {
	for _, c := range phones {
		got, err := none.Parse(c.in)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Parse(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{3,16}$`)

// What comes out is E.164, and is itself a number that gives the same.
func FuzzParse(f *testing.F) {
	for _, c := range phones {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := none.Parse(s)
		if err != nil {
			return
		}
		if !e164.MatchString(got) {
			t.Fatalf("Parse(%q) = %q, which is not E.164", s, got)
		}
		if again, err := none.Parse(got); err != nil || again != got {
			t.Fatalf("Parse(%q) = %q, but that gives %q, %v", s, got, again, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := none.Parse("+4799999999"); err != nil {
			b.Fatal(err)
		}
	}
}

// The short way and the long one agree on every country's numbers, right and wrong.
func TestPlainNumbers(t *testing.T) {
	plain, codes := 0, phonenumbers.GetSupportedCallingCodes()
	try := func(digits string) {
		got, err := parseDigits(digits)
		want, wantErr := parseAny(digits)
		if got != want || (err == nil) != (wantErr == nil) {
			t.Fatalf("parseDigits(%q) = %q, %v; the long way %q, %v", digits, got, err, want, wantErr)
		}
		if c, _ := plainNumber(digits); c != nil && err == nil {
			plain++
		}
	}
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind < phonenumbers.UNKNOWN; kind++ {
			number := phonenumbers.GetExampleNumberForType(region, kind)
			if number == nil {
				continue
			}
			digits := phonenumbers.Format(number, phonenumbers.E164)
			code := 1 + len(strconv.Itoa(int(number.GetCountryCode())))
			for d := range 10 {
				try(digits[:code] + strconv.Itoa(d) + digits[code:]) // a prefix that may be one
				try(digits[:code] + strconv.Itoa(d) + digits[code+1:])
				try(digits + strconv.Itoa(d))
			}
			try(digits)
			try(digits[:len(digits)-1])
		}
	}
	if plain < len(codes) {
		t.Errorf("%d valid numbers went the short way, of %d country codes", plain, len(codes))
	}
}
