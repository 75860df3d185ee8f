package nodes

import (
	"strings"
	"testing"
	"time"

	"straks/smpp/wire"
)

// An order may be without an outcome only if the SMSC has nothing of it, and something happened to its node.
func TestWhy(t *testing.T) {
	out := []Outage{{What: Killed}}
	for name, c := range map[string]struct {
		Open
		why     string
		allowed bool
	}{
		"killed":          {Open{Outages: out}, "not sent, its node was killed", true},
		"frozen":          {Open{Outages: []Outage{{What: Frozen}}}, "not sent, its node was frozen", true},
		"cut off":         {Open{Outages: []Outage{{What: Cut}}}, "not sent, its node was cut off from the SMSC", true},
		"nothing":         {Open{}, "not sent, though its node lived", false},
		"claimed":         {Open{Claimed: true, Outages: out}, "nobody has ended its claim", false},
		"sent":            {Open{Order: Order{Submits: 1}, Outages: out}, "the SMSC has it, and its receipt was not acknowledged", false},
		"receipt ignored": {Open{Order: Order{Submits: 1, Acked: time.Now()}, Outages: out}, "its receipt was acknowledged, and has not settled it", false},
	} {
		if why, allowed := c.Why(); why != c.why || allowed != c.allowed {
			t.Errorf("%s: %q, %v", name, why, allowed)
		}
	}
}

// An outage counts for its node, while it lasts.
func TestDuring(t *testing.T) {
	w := &World{}
	w.Outage("a", Killed)()
	ended := w.outages.list[0].To
	w.Outage("b", Frozen)
	now := time.Now()
	for name, c := range map[string]struct {
		node     string
		from, to time.Time
		want     string
	}{
		"at its end":       {"a", ended, now, Killed},
		"after it":         {"a", ended.Add(time.Microsecond), now, ""},
		"before it":        {"a", ended.Add(-time.Hour), ended.Add(-time.Minute), ""},
		"it lasts":         {"b", now.Add(time.Hour), now.Add(time.Hour), Frozen},
		"another node's":   {"c", ended, now, ""},
		"it began in time": {"b", ended, now.Add(time.Hour), Frozen},
	} {
		var got []string
		for _, o := range w.during(c.node, c.from, c.to) {
			got = append(got, o.What)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
}

// The book has when the SMSC was told that a receipt is stored.
func TestAcknowledged(t *testing.T) {
	b := newBook()
	first, second := b.New(), b.New()
	b.acknowledged(&wire.Message{Source: strings.TrimPrefix(second.Number, "+")}, 0)
	b.acknowledged(&wire.Message{Source: "4799999999"}, 0)
	all := b.Orders()
	if !all[0].Acked.IsZero() || all[1].Acked.IsZero() || all[0].Key != first.Key {
		t.Errorf("%+v", all)
	}
}
