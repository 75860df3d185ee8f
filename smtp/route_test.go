package smtp

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// routedPool returns a pool of relays a, b and c that are not there, with these routes. It is not run.
func routedPool(t *testing.T, routes ...Route) *Pool {
	t.Helper()
	var c Config
	for _, name := range []string{"a", "b", "c"} {
		c.Relays = append(c.Relays, Relay{Name: name, Addr: "127.0.0.1:1", MaxConns: 3})
	}
	c.Routes = routes
	p, err := New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mailOf returns a mail of an organisation.
func mailOf(organisation, from, recipient string) Message {
	m := to(recipient)
	m.Organisation, m.From = organisation, from
	return m
}

func TestRoutes(t *testing.T) {
	p := routedPool(t,
		Route{Name: "norway", RecipientDomains: []string{"no"}, Relays: []string{"a"}},
		Route{Name: "blue", RecipientDomains: []string{"Blåbær.no"}, Relays: []string{"b"}},
		Route{Name: "bank", RecipientDomains: []string{"no", "se"}, SenderDomains: []string{"bank.example"}, Relays: []string{"b"}},
		Route{Name: "alerts", RecipientDomains: []string{"no"}, SenderDomains: []string{"alerts.bank.example"}, Relays: []string{"c"}},
		Route{Name: "nav", RecipientDomains: []string{"no"}, Organisations: []string{"nav"}, Relays: []string{"c", "a"}},
		Route{Name: "nav too", RecipientDomains: []string{"no"}, Organisations: []string{"nav"}, Relays: []string{"a"}},
		Route{Name: "org only", Organisations: []string{"ttd"}, Relays: []string{"a"}},
	)
	for _, test := range []struct{ org, from, to, route string }{
		{"x", "a@x.example", "kari@mail.example.no", "norway"},
		{"x", "a@x.example", "kari@EXAMPLE.NO", "norway"},
		{"x", "a@x.example", "kari@blåbær.no", "blue"}, // the longest recipient domain
		{"nav", "a@alerts.bank.example", "kari@post.xn--blbr-roah.no", "blue"},
		{"x", "a@bank.example", "kari@example.no", "bank"},
		{"nav", "a@bank.example", "kari@example.no", "bank"}, // the sender before the organisation
		{"x", "a@alerts.bank.example", "kari@example.no", "alerts"},
		{"x", "a@notbank.example", "kari@example.no", "norway"},
		{"nav", "a@x.example", "kari@example.no", "nav"}, // the first of equals
		{"x", "a@x.example", "kari@noexample.se", ""},
		{"ttd", "a@x.example", "kari@example.com", "org only"},
		{"x", "a@x.example", "kari@example.com", ""},
		{"x", "a@bank.example", "kari@example.com", ""},
	} {
		m := mailOf(test.org, test.from, test.to)
		lane, window := p.Lane(m)
		if plan := p.Explain(m); plan.Route != test.route || lane != test.route || window < 1 {
			t.Errorf("%+v: route %q, lane %q of %d", test, plan.Route, lane, window)
		}
		if err := p.Check(m); (err == nil) != (test.route != "") {
			t.Errorf("%+v: %v", test, err)
		}
	}
	if _, window := p.Lane(mailOf("nav", "a@x.example", "kari@example.no")); window != 6 {
		t.Errorf("a window of %d for two relays", window)
	}
	if res := p.Send(within(t), mailOf("x", "a@x.example", "kari@example.com")); res.Outcome != handover.Refused || res.Relay != "" {
		t.Errorf("without a route: %+v", res)
	}
}

// Relays with weights share the mails; a relay without one keeps its place.
func TestRouteByWeight(t *testing.T) {
	p := routedPool(t, Route{Relays: []string{"a", "b", "c"}, Weights: map[string]int{"b": 3, "c": 1}})
	seen := make(map[string]int)
	for range 400 {
		plan := p.Explain(to("kari@mottaker.example"))
		var names []string
		for _, r := range plan.Relays {
			names = append(names, r.Name)
		}
		seen[strings.Join(names, "")]++
		if plan.Lots != 4 || plan.Route != "mail-route-1" {
			t.Fatalf("%+v", plan)
		}
	}
	if seen["abc"]+seen["acb"] != 400 || seen["abc"] < 240 || seen["abc"] > 360 {
		t.Errorf("orders %v", seen)
	}
}

// A mail goes to the relays of its route only, and to the second of them where the first is down.
func TestMailsFollowRoutes(t *testing.T) {
	one, two := listen(t, relaytest.Profile{}), listen(t, relaytest.Profile{})
	dead := listen(t, relaytest.Profile{})
	dead.Close()
	p, err := New(Config{Relays: []Relay{plain("one", one), plain("two", two), plain("dead", dead)}, Routes: []Route{
		{Name: "no", RecipientDomains: []string{"no"}, Relays: []string{"dead", "one"}}, {Name: "rest", Relays: []string{"two"}},
	}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, p)
	for range 5 {
		if res := p.Send(within(t), to("kari@mottaker.no")); res.Outcome != handover.Accepted || res.Relay != "one" {
			t.Errorf("got %+v", res)
		}
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || res.Relay != "two" {
			t.Errorf("got %+v", res)
		}
	}
	if one.Taken() != 5 || two.Taken() != 5 {
		t.Errorf("%d and %d mails", one.Taken(), two.Taken())
	}
}

func TestCheckRoutes(t *testing.T) {
	relays := []Relay{{Name: "a", Addr: "127.0.0.1:1"}, {Name: "b", Addr: "127.0.0.1:1"}}
	for _, test := range []struct {
		route Route
		keys  string
	}{
		{Route{Relays: []string{"a"}, RecipientDomains: []string{"no", "example.org", "blåbær.example"}, Weights: map[string]int{"a": 1}}, ""},
		{Route{}, "relays"},
		{Route{Relays: []string{"a", "c", "a"}}, "relays[1] relays[2]"},
		{Route{Relays: []string{"a"}, RecipientDomains: []string{"", "a@example.org", "*.example.org", "10"}}, "recipient_domains[0] recipient_domains[1] recipient_domains[2] recipient_domains[3]"},
		{Route{Relays: []string{"a"}, SenderDomains: []string{".example.org"}}, "sender_domains[0]"},
		{Route{Relays: []string{"a"}, Weights: map[string]int{"b": 1}}, "weights.b"},
		{Route{Relays: []string{"a"}, Weights: map[string]int{"a": 1001}}, "weights.a"},
		{Route{Name: "first", Relays: []string{"a"}}, "name"},
	} {
		found := Config{Relays: relays, Routes: []Route{{Name: "first", Relays: []string{"a"}}, test.route}}.Check()
		var want []string
		for key := range strings.FieldsSeq(test.keys) {
			want = append(want, "mail_route[1]."+key)
		}
		if got := keys(found); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: %v", test.route, found)
		}
	}
}
