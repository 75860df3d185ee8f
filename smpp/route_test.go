package smpp

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/smpp/smsctest"
)

func TestRouteOf(t *testing.T) {
	s := new(setup)
	for _, r := range []Route{
		{Name: "default"},
		{Name: "ttd", Organisations: []string{"ttd"}},
		{Name: "bank", Senders: []string{"Bank"}},
		{Name: "norway", Prefixes: []string{"+47"}},
		{Name: "norway mobile", Prefixes: []string{"+474", "+479"}},
		{Name: "norway bank", Prefixes: []string{"+47"}, Senders: []string{"Bank"}},
		{Name: "norway second", Prefixes: []string{"+47"}},
		{Name: "svalbard ttd", Prefixes: []string{"+4779"}, Organisations: []string{"ttd"}},
	} {
		s.routes = append(s.routes, &route{Route: r})
	}
	for _, c := range []struct{ to, from, organisation, want string }{
		{"+4512345678", "", "", "default"},
		{"+4512345678", "", "ttd", "ttd"},
		{"+4512345678", "Bank", "ttd", "bank"},
		{"+4722222222", "", "ttd", "norway"},
		{"+4722222222", "Bank", "", "norway bank"},
		{"+4799999999", "Bank", "ttd", "norway mobile"},
		{"+4779000000", "Bank", "", "norway bank"},
		{"+4779000000", "", "ttd", "svalbard ttd"},
	} {
		if r := s.routeOf(&Message{To: c.to, From: c.from, Organisation: c.organisation}); r.Name != c.want {
			t.Errorf("%+v goes by %q", c, r.Name)
		}
	}
	s.routes = s.routes[1:]
	if r := s.routeOf(&Message{To: "+4512345678"}); r != nil {
		t.Errorf("goes by %q", r.Name)
	}
}

// A lane is a route, with the windows of all binds that it leads to.
func TestLane(t *testing.T) {
	g := unrun(t, Config{
		SMSCs:  []SMSC{{Name: "a", Binds: 2, Window: 10}, {Name: "b", Window: 5}, {Name: "c"}},
		Routes: []Route{{Name: "norway", Prefixes: []string{"+47"}, SMSCs: []string{"a", "b"}}, {Prefixes: []string{"+46"}, SMSCs: []string{"c", "a"}}},
	})
	for _, c := range []struct {
		to, name string
		window   int
	}{{"+4799999999", "norway", 25}, {"+46701234567", "route-2", 52}, {"+4512345678", "", 1}} {
		if name, window := g.Lane(Message{To: c.to}); name != c.name || window != c.window {
			t.Errorf("%s: lane %q with a window of %d, want %q with %d", c.to, name, window, c.name, c.window)
		}
	}
	if name, window := undialled(t, SMSC{Name: "a", Window: 7}).Lane(Message{To: number}); name != "default" || window != 7 {
		t.Errorf("without routes: lane %q with a window of %d", name, window)
	}
}

func TestOrderByWeights(t *testing.T) {
	var all []*smsc
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, &smsc{SMSC: SMSC{Name: name}})
	}
	r := route{Route: Route{Weights: map[string]int{"b": 1, "d": 4}}, smscs: all}
	seen := map[string]int{}
	for range 1000 {
		s := ""
		for _, c := range r.order() {
			s += c.Name
		}
		seen[s]++
	}
	if len(seen) != 2 || seen["abdc"] < 100 || seen["adbc"] < 600 {
		t.Errorf("%v", seen)
	}
}

// TestParts: the SMSC of a route that makes most parts counts, and a text that is taken for a single
// part unseen is one.
func TestParts(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	payload, latin := account("payload", s), account("latin", s)
	payload.LongMessages, latin.Alphabet = LongPayload, AlphabetLatin1
	g, err := New(Config{SMSCs: []SMSC{payload, latin}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		"123456":                 1,
		strings.Repeat("x", 150): 2, // in Latin-1; in GSM it is one
		strings.Repeat("€", 71):  2, // in UCS-2, since Latin-1 has none
		strings.Repeat("x", 300): 3,
	} {
		n := 0
		g.Sizes(Message{To: number, Text: text}, func(s Size) { n = max(n, s.Parts) })
		if n != want {
			t.Errorf("%d octets: %d parts, want %d", len(text), n, want)
		}
	}
	for _, char := range []string{"[", "ж", "\u0958", "🦔", "é"} {
		text := strings.Repeat(char, singlePart/len(char))
		for _, c := range g.smscs() {
			var b build
			if err := b.fill(c, text); err != nil || len(b.parts) != 1 {
				t.Errorf("%s: %q has %d parts, %v", c.Name, text, len(b.parts), err)
			}
		}
	}
}
