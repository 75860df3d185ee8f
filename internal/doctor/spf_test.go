package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"straks/internal/doctor/dnstest"
)

// ours are two networks that relays send from.
func ours(t *testing.T, networks ...string) []egress {
	var all []egress
	for _, n := range networks {
		addr, err := netip.ParseAddr(n)
		network := netip.PrefixFrom(addr, addr.BitLen())
		if err != nil {
			if network, err = netip.ParsePrefix(n); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, egress{"mx", network})
	}
	return all
}

func TestSPF(t *testing.T) {
	many := func(n int, of string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, of, i)
		}
		return b.String()
	}
	s := dnstest.Serve(t, `
pass.example. 60 IN TXT "v=spf1 ip4:198.51.100.7 ip6:2001:db8::/32 -all"
pass.example. 60 IN TXT "other=text"
split.example. 60 IN TXT "v=spf1 ip4:198.5" "1.100.7 ip6:2001:db8::/32 -all"
upper.example. 60 IN TXT "V=SPF1 IP4:198.51.100.7 IP6:2001:db8::/32 -ALL"
include.example. 60 IN TXT "v=spf1 include:_spf.include.example ~all"
_spf.include.example. 60 IN TXT "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all"
redirect.example. 60 IN TXT "v=spf1 redirect=_spf.include.example"
alias.example. 60 IN CNAME pass.example.
hosts.example. 60 IN TXT "v=spf1 a mx:mail.hosts.example ?all"
hosts.example. 60 IN A 198.51.100.7
mail.hosts.example. 60 IN MX 10 mx.hosts.example.
mx.hosts.example. 60 IN AAAA 2001:db8::7
macro.example. 60 IN TXT "v=spf1 exists:%{ir}._spf.%{d} -all"
7.100.51.198._spf.macro.example. 60 IN A 127.0.0.2
modifier.example. 60 IN TXT "v=spf1 rr=x ip4:198.51.100.7 ip6:2001:db8::7 exp=why.example -all"
other.example. 60 IN TXT "v=spf1 include:_spf.include.example -all"
noall.example. 60 IN TXT "v=spf1 ip4:192.0.2.1"
none.example. 60 IN TXT "other=text"
nearly.example. 60 IN TXT "\"v=spf1 ip4:198.51.100.7 -all\""
aliased.example. 60 IN CNAME target.example.
two.example. 60 IN TXT "v=spf1 ip4:192.0.2.1 ~all"
two.example. 60 IN TXT "v=spf1 include:_spf.include.example -all"
typo.example. 60 IN TXT "v=spf1 ipv4:198.51.100.7 inlude:x.example ip4:300.1.1.1 ip6:198.51.100.7 a/33 include: all:x all/8 -all"
equals.example. 60 IN TXT "v=spf1 include=_spf.include.example -all"
open.example. 60 IN TXT "v=spf1 +all"
self.example. 60 IN TXT "v=spf1 include:self.example -all"
norecord.example. 60 IN TXT "v=spf1 include:none.example -all"
void.example. 60 IN TXT "v=spf1 a:v1.void.example a:v2.void.example a:v3.void.example ip4:198.51.100.7 ip6:2001:db8::7 -all"
onevoid.example. 60 IN TXT "v=spf1 a:v1.void.example ip4:198.51.100.7 ip6:2001:db8::7 -all"
broken.example. 60 IN TXT "v=spf1 -all"
depends.example. 60 IN TXT "v=spf1 include:broken.example ip4:198.51.100.7 ip6:2001:db8::7 -all"
crowd.example. 60 IN TXT "v=spf1 mx -all"
`+many(11, "h%d.a.example. 60 IN A 192.0.2.1\n")+many(11, "crowd.example. 60 IN MX 10 h%d.a.example.\n"))
	s.Add(t, TXT("eleven.example", "v=spf1"+many(11, " a:h%d.a.example")+" ip4:198.51.100.7 ip6:2001:db8::7 -all"))
	s.Add(t, TXT("ten.example", "v=spf1"+many(10, " a:h%d.a.example")+" ip4:198.51.100.7 ip6:2001:db8::7 -all"))
	s.Change(func(now *dnstest.State) { now.Rcodes["broken.example."] = dns.RcodeServerFailure })
	r := resolver(t, s)
	v4, v6 := "198.51.100.7", "2001:db8::7"
	holds := [][]string{{"ok", v4}, {"ok", v6}}
	ok := func(first ...string) [][]string { return append([][]string{first}, holds...) }
	for domain, want := range map[string][][]string{
		"pass.example":     ok("ok", "0 of at most 10"),
		"split.example":    ok("ok"),
		"upper.example":    ok("ok"),
		"include.example":  ok("ok", "1 of at most 10"),
		"redirect.example": ok("ok", "1 of"),
		"alias.example":    ok("ok"),
		"hosts.example":    ok("ok", "2 of"),
		"modifier.example": ok("ok"),
		"ten.example":      ok("ok", "10 of"),
		"onevoid.example":  ok("note", "v1.void.example"),
		"macro.example": {{"note", "%{ir}"}, {"ok", v4},
			{"fix", v6, `publish: macro.example. 3600 IN TXT ( "v=spf1 ip6:2001:db8::7 exists:%{ir}._spf.%{d} -all" )`}},
		"noall.example": {{"ok"}, {"fix", "neutral", v4, v6,
			`remove: noall.example. 3600 IN TXT ( "v=spf1 ip4:192.0.2.1" )`,
			`publish: noall.example. 3600 IN TXT ( "v=spf1 ip4:198.51.100.7 ip6:2001:db8::7 ip4:192.0.2.1" )`}},
		"none.example":    {{"fix", "no SPF record", `publish: none.example. 3600 IN TXT ( "v=spf1 ip4:198.51.100.7 ip6:2001:db8::7 ~all" )`}},
		"absent.example":  {{"fix", "no SPF record", "publish: absent.example. 3600"}},
		"nearly.example":  {{"fix", "nearly", `remove: nearly.example. 3600 IN TXT ( "\"v=spf1 ip4:198.51.100.7 -all\"" )`}},
		"aliased.example": {{"fix", "alias", "publish: target.example."}},
		"two.example": {{"fix", "2 SPF records", `remove: two.example. 3600 IN TXT ( "v=spf1 ip4:192.0.2.1 ~all" )`,
			`publish: two.example. 3600 IN TXT ( "v=spf1 ip4:198.51.100.7 ip6:2001:db8::7 ip4:192.0.2.1 include:_spf.include.example -all" )`}},
		"typo.example": {{"fix", `did you mean "ip4"?`}, {"fix", `did you mean "include"?`}, {"fix", "ip4:300.1.1.1"},
			{"fix", "ip6:198.51.100.7"}, {"fix", "a/33"}, {"fix", `"include:" lacks`}, {"fix", "all:x"}, {"fix", "all/8"}},
		"equals.example":   {{"fix", "takes ':'"}},
		"open.example":     {{"fix", "every address"}, {"ok", v4}, {"ok", v6}},
		"self.example":     {{"fix", "51 look-ups"}, {"fix", "too many look-ups before it"}},
		"norecord.example": {{"fix", "0 SPF records"}},
		"void.example":     {{"fix", "3 names", "v2.void.example"}, {"fix", "without an answer", v4, v6}},
		"broken.example":   {{"unknown", "SERVFAIL"}},
		"depends.example":  {{"unknown", "SERVFAIL", "broken.example"}},
		"crowd.example":    {{"fix", "11 hosts"}},
		"eleven.example": {{"fix", "11 look-ups", "a:h3.a.example: 1"}, {"fix", "too many look-ups before it",
			"publish: eleven.example. 3600 IN TXT ( \"v=spf1 ip4:198.51.100.7 ip6:2001:db8::7 a:h0"}},
	} {
		t.Run(domain, func(t *testing.T) {
			got := spfCheck(within(t), r, domain, ours(t, v4, v6), nil)
			wants(t, got, want...)
			publishes(t, got)
		})
	}
}

// TestSPFPublished: when what a finding says is published, nothing is left to change.
func TestSPFPublished(t *testing.T) {
	for _, zone := range []string{
		``,
		`example.org. 60 IN TXT "v=spf1 -all"`,
		`example.org. 60 IN TXT "v=spf1 ip4:192.0.2.1"`,
		`example.org. 60 IN TXT "v=spf1 mx ~all"` + "\n" + `example.org. 60 IN TXT "v=spf1 a -all"` + "\nexample.org. 60 IN MX 1 example.org.\nexample.org. 60 IN A 192.0.2.1",
	} {
		networks := ours(t, "198.51.100.7", "203.0.113.0/24", "2001:db8::/64")
		s := dnstest.Serve(t, zone)
		published := 0
		for _, f := range spfCheck(within(t), resolver(t, s), "example.org", networks, nil) {
			for _, gone := range f.Remove {
				rr, _ := dns.NewRR(gone)
				s.Change(func(now *dnstest.State) {
					now.Records = slices.DeleteFunc(now.Records, func(have dns.RR) bool { return dns.IsDuplicate(rr, have) })
				})
			}
			for _, line := range f.Publish {
				s.Add(t, line)
				published++
			}
		}
		if published != 1 {
			t.Errorf("%q: %d records to publish", zone, published)
		}
		if again := spfCheck(within(t), resolver(t, s), "example.org", networks, nil); Count(again, OK) != len(again) {
			t.Errorf("%q: %+v", zone, again)
		}
	}
}

func TestEgressUnsaid(t *testing.T) {
	s := dnstest.Serve(t, `example.org. 60 IN TXT "v=spf1 mx -all"`+"\nexample.org. 60 IN MX 1 mx.example.org.\nmx.example.org. 60 IN A 192.0.2.1")
	wants(t, spfCheck(within(t), resolver(t, s), "example.org", nil, []string{"mx"}), []string{"ok"}, []string{"note", `configure: egress = [`, `name = "mx"`})
	s = dnstest.Serve(t, ``)
	got := spfCheck(within(t), resolver(t, s), "example.org", nil, []string{"mx"})
	wants(t, got, []string{"fix", "publish: example.org. 3600 IN TXT"})
	publishes(t, got)
}

// TestNetworkPartlyHeld: both ends of a network must pass.
func TestNetworkPartlyHeld(t *testing.T) {
	s := dnstest.Serve(t, `example.org. 60 IN TXT "v=spf1 ip4:203.0.113.0/25 -all"`)
	wants(t, spfCheck(within(t), resolver(t, s), "example.org", ours(t, "203.0.113.0/25", "203.0.113.0/24"), nil),
		[]string{"ok"}, []string{"ok", "203.0.113.0/25"}, []string{"fix", "203.0.113.0/24 of relay mx (fail)"})
}

func FuzzSPF(f *testing.F) {
	for _, seed := range []string{"v=spf1 a/24//64 mx:x/8 include:y redirect=z exp=w -all", "v=spf1 :", "v=spf1 =", "v=spf1 /", "v=spf1 ++all a:%{"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record string) {
		if len(spfRecords([]string{record})) == 0 {
			return
		}
		terms, wrong := parseTerms(record)
		if n := len(strings.Fields(record)) - 1; len(terms)+len(wrong) != n {
			t.Errorf("%d terms and %d wrong ones of %d", len(terms), len(wrong), n)
		}
		if got := TXT("example.org", record); !strings.HasSuffix(got, ")") {
			t.Errorf("%q", got)
		}
	})
}
