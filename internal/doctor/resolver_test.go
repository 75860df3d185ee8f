package doctor

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"straks/internal/doctor/dnstest"
)

func TestTXT(t *testing.T) {
	long := strings.Repeat("0123456789", 60)
	s := dnstest.Serve(t, `
example.org. 60 IN TXT "one" " two"
example.org. 60 IN TXT "a \"quoted\" \\ and \200 octet"
alias.example.org. 60 IN CNAME middle.example.org.
middle.example.org. 60 IN CNAME EXAMPLE.org.
other.example.org. 60 IN A 192.0.2.1
dangling.example.org. 60 IN CNAME nowhere.example.org.
a.example.org. 60 IN CNAME b.example.org.
b.example.org. 60 IN CNAME a.example.org.
`)
	s.Add(t, TXT("long.example.org", long))
	for range 8 { // beyond what UDP may carry
		s.Add(t, TXT("many.example.org", long))
	}
	for _, bare := range []bool{false, true} {
		s.Change(func(now *dnstest.State) { now.Bare = bare })
		r := resolver(t, s)
		both := []string{"one two", "a \"quoted\" \\ and \xc8 octet"}
		for _, c := range []struct {
			name, alias string
			texts       []string
		}{
			{"example.org", "", both},
			{"ExAmple.ORG", "", both},
			{"alias.example.org", "example.org", both},
			{"other.example.org", "", nil},
			{"absent.example.org", "", nil},
			{"dangling.example.org", "nowhere.example.org", nil},
			{"long.example.org", "", []string{long}},
		} {
			texts, alias, err := r.txt(within(t), c.name)
			if err != nil || alias != c.alias || !slices.Equal(texts, c.texts) {
				t.Errorf("%s, bare %v: %q, alias %q, %v", c.name, bare, texts, alias, err)
			}
		}
		if _, _, err := r.txt(within(t), "a.example.org"); err == nil && bare {
			t.Error("an alias of itself has records")
		}
		if texts, _, err := r.txt(within(t), "many.example.org"); err != nil || len(texts) != 8 {
			t.Errorf("%d records, %v", len(texts), err)
		}
	}
	if s.TimesAsked("udp many.example.org. TXT") != 2 || s.TimesAsked("tcp many.example.org. TXT") != 2 {
		t.Errorf("asked %v", s.Asked)
	}
}

func TestServersThatFail(t *testing.T) {
	s := dnstest.Serve(t, `
broken.example.org. 60 IN TXT "x"
refused.example.org. 60 IN TXT "x"
fine.example.org. 60 IN TXT "x"
`)
	s.Change(func(now *dnstest.State) { now.Rcodes["broken.example.org."] = dns.RcodeServerFailure })
	s.Change(func(now *dnstest.State) { now.Rcodes["refused.example.org."] = dns.RcodeRefused })
	r := resolver(t, s)
	for name, want := range map[string]string{"broken.example.org": "SERVFAIL", "refused.example.org": "REFUSED"} {
		_, _, err := r.txt(within(t), name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if f := r.unreachable("x", err); f.Level != Unknown || !strings.Contains(f.Says, want) {
			t.Errorf("%+v", f)
		}
	}
	if n := s.TimesAsked("udp broken.example.org. TXT"); n != askRounds {
		t.Errorf("asked %d times", n)
	}
	s.Change(func(now *dnstest.State) { now.Plain = true })
	if texts, _, err := resolver(t, s).txt(within(t), "fine.example.org"); err != nil || len(texts) != 1 {
		t.Errorf("without EDNS: %q, %v", texts, err)
	}
	for _, name := range []string{"", ".", "a..b", strings.Repeat("a", 64) + ".org"} {
		if _, _, err := r.txt(within(t), name); err == nil {
			t.Errorf("%q has records", name)
		}
	}
}

// TestSilentServer: a server that gives no answer costs two seconds, and the next is asked.
func TestSilentServer(t *testing.T) {
	s := dnstest.Serve(t, `example.org. 60 IN TXT "x"`)
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	r := &Resolver{servers: []string{mute.LocalAddr().String(), s.Addr}, known: make(map[question]answer)}
	if texts, _, err := r.txt(within(t), "example.org"); err != nil || len(texts) != 1 {
		t.Errorf("%q, %v", texts, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Change(func(now *dnstest.State) { now.Silent["silent.example.org."] = true })
	_, _, err = resolver(t, s).txt(ctx, "silent.example.org")
	if err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("%v", err)
	}
}

func TestNewResolver(t *testing.T) {
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "[2001:db8::1]": "[2001:db8::1]:53", "2001:db8::1": "[2001:db8::1]:53"} {
		if r, err := NewResolver(in); err != nil || r.String() != want {
			t.Errorf("%s: %v, %v", in, r, err)
		}
	}
	if _, err := NewResolver(":53"); err == nil {
		t.Error("taken without a host")
	}
}
