package smtp

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

func TestParseAddress(t *testing.T) {
	good := map[string]string{
		"kari@mottaker.example":             "kari@mottaker.example",
		"Kari.Nordmann+tag@Mottaker.NO":     "Kari.Nordmann+tag@mottaker.no",
		"o'brien/x=y_z@a-b.c-d.example":     "o'brien/x=y_z@a-b.c-d.example",
		"pål@blåbær.example":                "pål@xn--blbr-roah.example",
		"kari@BLÅBÆR.example":               "kari@xn--blbr-roah.example",
		"kari@xn--blbr-roah.example":        "kari@xn--blbr-roah.example",
		"pa\u030al@mottaker.example":        "pål@mottaker.example",
		strings.Repeat("a", 64) + "@b.no":   strings.Repeat("a", 64) + "@b.no",
		"kari@x." + strings.Repeat("b", 63): "kari@x." + strings.Repeat("b", 63),
	}
	for s, want := range good {
		a, err := parseAddress(s)
		if err != nil || a.String() != want {
			t.Errorf("%q gives %q, %v", s, a, err)
		}
	}
	bad := []string{
		"", "kari", "@", "@x.example", "kari@", "kari@x", "kari@.example", "kari@x.", "kari@x..example",
		"a@b@x.example", "a b@x.example", " a@x.example", "a@x.example ", "a\t@x.example",
		"a@x.example> SIZE=1", "a>@x.example", "<a@x.example>", "a@x.example\r\nDATA", "a\n@x.example", "a\x00@x.example",
		"a@x.example,b@x.example", "a;b@x.example", "Kari <kari@x.example>", `"a b"@x.example`, `a\@x.example`,
		"a(b)@x.example", "a@[127.0.0.1]", "a@127.0.0.1", "a@-x.example", "a@x-.example", "a@x_y.example", "a@x.example:25",
		".a@x.example", "a.@x.example", "a..b@x.example", "a\u00a0b@x.example", "a\u2028@x.example", "a\u200b@x.example",
		"a\x7f@x.example", "a\xff@x.example", "a@x\u3002.example\u3002", "a@blå bær.example", "a@xn--\u00e5.example",
		strings.Repeat("a", 65) + "@x.example", "a@" + strings.Repeat("b", 64) + ".example", "a@" + strings.Repeat("b.", 130) + "no",
	}
	for _, s := range bad {
		if a, err := parseAddress(s); err == nil {
			t.Errorf("%q is taken, as %q", s, a)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("kari@mottaker.example")
	f.Add("pål@blåbær.example")
	f.Add("a@x.example> SIZE=1\r\n")
	f.Add("0@0.0\xe800")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			return
		}
		out := a.String()
		if strings.ContainsAny(out, " <>\r\n\t\x00\"(),:;[]\\") || strings.Count(out, "@") != 1 || !utf8.ValidString(out) || len(out) > 254 {
			t.Errorf("%q gives %q", s, out)
		}
		if !isASCII(a.domain) {
			t.Errorf("%q has domain %q", s, a.domain)
		}
		if again, err := parseAddress(out); err != nil || again != a {
			t.Errorf("%q gives %q, and that %q, %v", s, out, again, err)
		}
	})
}

func TestNorwegianAddresses(t *testing.T) {
	able := listen(t, relaytest.Profile{SMTPUTF8: true})
	unable := listen(t, relaytest.Profile{})
	local, domain := "pål@blåbær.example", "kari@blåbær.example"

	t.Run("domain only, without SMTPUTF8", func(t *testing.T) {
		p := newPool(t, plain("unable", unable))
		if res := p.Send(within(t), to(domain)); res.Outcome != handover.Accepted {
			t.Fatalf("got %+v", res)
		}
		if m := unable.Messages()[0]; m.To != "kari@xn--blbr-roah.example" || m.UTF8 {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("local part, without SMTPUTF8", func(t *testing.T) {
		p := newPool(t, plain("unable", unable))
		if res := p.Send(within(t), to(local)); res.Outcome != handover.Refused || res.Refusal != BadAddress {
			t.Fatalf("got %+v", res)
		}
	})
	t.Run("local part, another relay has SMTPUTF8", func(t *testing.T) {
		p := newPool(t, plain("unable", unable), plain("able", able))
		if res := p.Send(within(t), to(local)); res.Outcome != handover.Accepted || res.Relay != "able" {
			t.Fatalf("got %+v", res)
		}
		m := able.Messages()[0]
		if m.To != "pål@xn--blbr-roah.example" || !m.UTF8 {
			t.Errorf("got %+v", m)
		}
		header, _ := read(t, m.Data)
		if got := header.Get("To"); got != "<pål@xn--blbr-roah.example>" {
			t.Errorf("To: %s", got)
		}
	})
	// The relay that is down may have SMTPUTF8: a lasting failure would be a lie.
	t.Run("local part, another relay is down", func(t *testing.T) {
		down := listen(t, relaytest.Profile{})
		down.Close()
		p := newPool(t, plain("unable", unable), plain("down", down))
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		if res := p.Send(ctx, to(local)); res.Outcome != handover.NotSent {
			t.Fatalf("got %+v", res)
		}
	})
}

func TestDSN(t *testing.T) {
	for _, test := range []struct{ wanted, offered, off bool }{{true, true, false}, {true, false, false}, {false, true, false}, {true, true, true}} {
		relay := listen(t, relaytest.Profile{DSN: test.offered})
		config := plain("mx", relay)
		config.NoDSN = test.off
		p := newPool(t, config)
		m := to("kari@mottaker.example")
		m.Reports = test.wanted
		if res := p.Send(within(t), m); res.Outcome != handover.Accepted {
			t.Fatalf("got %+v", res)
		}
		got := relay.Messages()[0]
		if asked := got.EnvelopeID == m.ID && len(got.Notify) == 3; asked != (test.wanted && test.offered && !test.off) {
			t.Errorf("%+v: id %q, notify %v", test, got.EnvelopeID, got.Notify)
		}
	}
}
