package smpp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
)

// TestPause: no message starts on a paused SMSC. Others take its messages; where there is none they are refused at
// once, those that wait too. Receipts still come.
func TestPause(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		one, two := centre(t, smsctest.Profile{}), centre(t, smsctest.Profile{})
		g := run(t, Config{SMSCs: []SMSC{account("one", one), account("two", two)}}).allUp(t)
		if err := g.Pause("one"); err != nil {
			t.Fatal(err)
		}
		if r := g.send("hei", 5*time.Second); r.Outcome != handover.Accepted || r.SMSC != "two" {
			t.Errorf("one of two is paused: %+v", r)
		}
		if err := g.Ready(); err != nil {
			t.Error(err)
		}
		g.Pause("two")
		start := time.Now()
		if r := g.send("hei", time.Minute); r.Outcome != handover.NotSent || !errors.Is(r.Err, ErrPaused) || time.Since(start) > 30*time.Second {
			t.Errorf("both are paused: %+v", r)
		}
		if g.value(t, "straks_smpp_paused", "smsc", "one") != 1 {
			t.Error("the metric does not show it")
		}
		if err := g.Ready(); err == nil || !strings.Contains(err.Error(), "one is paused by an operator") {
			t.Errorf("ready: %v", err)
		}
		for _, b := range g.States() {
			if b.State != StateBound || b.Paused.IsZero() {
				t.Errorf("%+v", b)
			}
		}
		g.Resume("one")
		if r := g.send("hei", 5*time.Second); r.Outcome != handover.Accepted || r.SMSC != "one" {
			t.Errorf("one is resumed: %+v", r)
		}
		if err := g.Pause("three"); err == nil {
			t.Error("there is no such SMSC")
		}
	})
}

// TestPauseWakes: a message that waits for a slot is refused when its SMSC is paused; one that was
// submitted gets its response.
func TestPauseWakes(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{})
		s.Freeze(time.Minute)
		c := account("telco", s)
		c.Window, c.EnquireLink, c.DeadLink = 1, time.Minute, 2*time.Minute
		g := run(t, Config{SMSCs: []SMSC{c}})
		s.Thaw()
		g.allUp(t)
		s.Freeze(time.Minute)
		submitted, waiting := make(chan Result, 1), make(chan Result, 1)
		go func() { submitted <- g.send("hei", time.Minute) }()
		eventually.True(t, "the submit", func() bool { return g.States()[0].InFlight == 1 })
		go func() { waiting <- g.send("hei", time.Minute) }()
		eventually.True(t, "the message that waits", func() bool { return g.slots.queued(g.smscs())["telco"] == 1 })
		g.Pause("telco")
		if r := peertest.Wait(t, waiting); r.Outcome != handover.NotSent || !errors.Is(r.Err, ErrPaused) {
			t.Errorf("it waited: %+v", r)
		}
		s.Thaw()
		if r := peertest.Wait(t, submitted); r.Outcome != handover.Accepted {
			t.Errorf("it was submitted: %+v", r)
		}
	})
}

// TestPauseKeepsParts: a message whose first part was sent goes on, also while the SMSC is drained.
func TestPauseKeepsParts(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 100 * time.Millisecond}})
		c := account("telco", s)
		c.Window, c.Binds = 1, 1
		g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
		sent := make(chan Result, 1)
		go func() { sent <- g.send(strings.Repeat("hei på deg ", 80), time.Minute) }()
		eventually.True(t, "the first part", func() bool { return s.Stats().Submits > 0 })
		g.Drain("telco")
		if r := peertest.Wait(t, sent); r.Outcome != handover.Accepted || len(r.Parts) < 5 {
			t.Errorf("%+v", r)
		}
		eventually.True(t, "the bind to be closed", func() bool { return g.States()[0].State == StateClosed && len(s.Binds()) == 0 })
		if b := g.States()[0]; b.Reason != "drained by an operator" || b.Paused.IsZero() {
			t.Errorf("%+v", b)
		}
		g.Resume("telco")
		eventually.True(t, "the bind", func() bool { return g.Ready() == nil })
		wantOutcome(t, g.send("hei", 5*time.Second), handover.Accepted)
	})
}

// TestTryNow: after refused credentials, the next attempt comes when an operator wants it.
func TestTryNow(t *testing.T) {
	s := centre(t, smsctest.Profile{Accounts: map[string]string{"straks": "another"}})
	c := account("telco", s)
	c.RefusedDelay, c.ReconnectMax, c.Binds = time.Hour, time.Hour, 1
	g := run(t, Config{SMSCs: []SMSC{c}})
	eventually.True(t, "the refusal", func() bool { return g.States()[0].State == StateRefused })
	s.SetProfile(smsctest.Profile{})
	eventually.True(t, "the bind", func() bool {
		g.TryNow("telco")
		return g.Ready() == nil
	})
	if err := g.TryNow("none"); err == nil {
		t.Error("there is no such SMSC")
	}
}

// TestDrainAtShutdown: a drained gateway ends.
func TestDrainAtShutdown(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
	g.Drain("telco")
	eventually.True(t, "the bind to be closed", func() bool { return g.States()[0].State == StateClosed })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if r := g.Send(ctx, Message{ID: "m", To: "+4799999999", Text: "hei", Expires: time.Now().Add(time.Hour)}); !errors.Is(r.Err, ErrPaused) {
		t.Errorf("%+v", r)
	}
}
