package api

import (
	"net/mail"
	"strings"
	"testing"
	"unicode"
)

var addresses = []struct {
	in string
	ok bool
}{
	{"ola@example.org", true},
	{"ola.nordmann+kode@example.org", true},
	{"o'hara!#$%&*=?^_`{|}~/@example.org", true},
	{"OLA@EXAMPLE.ORG", true},
	{"gørild.åsæl@example.org", true},
	{"ola@blåbærøl.no", true},
	{"ØYVIND@ÆØÅ.NO", true},
	{"ola@xn--blbrl-grab9p.no", true},
	{"ola@sub.sub.example.museum", true},
	{"1@1.no", true},
	{strings.Repeat("a", 64) + "@example.org", true},
	{"ola@" + strings.Repeat("a", 63) + ".no", true},

	{"", false},
	{"ola", false},
	{"@example.org", false},
	{"ola@", false},
	{"ola@@example.org", false},
	{"ola@kari@example.org", false},
	{"ola@example.org,kari@example.org", false},
	{"ola@example.org;kari@example.org", false},
	{"ola@example.org kari@example.org", false},
	{"Ola Nordmann <ola@example.org>", false},
	{"<ola@example.org>", false},
	{"ola@example.org> SIZE=1", false},
	{"ola@example.org\r\nRCPT TO:<kari@example.org>", false},
	{"ola\x00@example.org", false},
	{"ola @example.org", false},
	{" ola@example.org", false},
	{"ola@example.org ", false},
	{"\"ola nordmann\"@example.org", false},
	{".ola@example.org", false},
	{"ola.@example.org", false},
	{"ola..nordmann@example.org", false},
	{"ola@localhost", false},
	{"ola@example", false},
	{"ola@.example.org", false},
	{"ola@example..org", false},
	{"ola@example.org.", false},
	{"ola@-example.org", false},
	{"ola@example-.org", false},
	{"ola@exa_mple.org", false},
	{"ola@[127.0.0.1]", false},
	{"ola@127.0.0.1", false},
	{"ola@example.o", false},
	{"ola@xn--a.no", false}, // no punycode
	{"ola\u200b@example.org", false},
	{"ola\u202e@example.org", false},
	{"ola\u00a0@example.org", false},
	{"ola@exa\u3002mple@no", false},
	{"ola\xff@example.org", false},
	{strings.Repeat("a", 65) + "@example.org", false},
	{strings.Repeat("å", 33) + "@example.org", false}, // 66 octets
	{"ola@" + strings.Repeat("a", 64) + ".no", false},
	{"ola@" + strings.Repeat("å", 60) + ".no", false}, // too long as an A-label
	{"ola@" + strings.Repeat("abcdefghi.", 25) + "no", false},
}

func TestCheckAddress(t *testing.T) {
	for _, c := range addresses {
		if err := checkAddress(c.in); (err == nil) != c.ok {
			t.Errorf("checkAddress(%q) = %v; want ok %v", c.in, err, c.ok)
		}
	}
}

// What is taken can stand between the angle brackets of an SMTP command, and
// net/mail reads it as that one address too.
func FuzzAddress(f *testing.F) {
	for _, c := range addresses {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkAddress(s) != nil {
			return
		}
		if strings.Count(s, "@") != 1 || strings.ContainsAny(s, "<> \"") || strings.ContainsFunc(s, unicode.IsControl) || len(s) > maxAddress {
			t.Fatalf("%q was taken", s)
		}
		if a, err := mail.ParseAddress("<" + s + ">"); err != nil || a.Address != s {
			t.Fatalf("%q was taken, but net/mail says %v, %v", s, a, err)
		}
	})
}
