package smpp

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
)

var errLease = errors.New("the lease has ended")

// TestNotAllowed: nothing is written while Allow says no, and the message surely was not sent.
func TestNotAllowed(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{})
		var ended atomic.Bool
		allow := func() error {
			if ended.Load() {
				return errLease
			}
			return nil
		}
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}, Allow: allow}).allUp(t)
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
		ended.Store(true)
		for _, text := range []string{"hei", threeParts} {
			r := g.send(text, 300*time.Millisecond)
			wantOutcome(t, r, handover.NotSent)
			if !errors.Is(r.Err, errLease) {
				t.Errorf("reason: %v", r.Err)
			}
		}
		if n := s.Stats().Submits; n != 1 {
			t.Errorf("%d submits, want the one that was allowed", n)
		}
		if n := g.value(t, "straks_smpp_retries_total", "smsc", "telco", "cause", "not_allowed"); n == 0 {
			t.Error("the attempts are not counted")
		}
		g.idle(t)
	})
}

// TestAllowedAgain: a message that still has time leaves when Allow says yes again.
func TestAllowedAgain(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	var asked atomic.Int32
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}, Allow: func() error {
		if asked.Add(1) < 3 {
			return errLease
		}
		return nil
	}}).allUp(t)
	wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	if n := s.Stats().Submits; n != 1 {
		t.Errorf("%d submits", n)
	}
}

// TestNotAllowedBetweenParts: a message whose first part was sent ends as incomplete, not as one that may be sent again.
func TestNotAllowedBetweenParts(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 50 * time.Millisecond}})
		c := account("telco", s)
		c.Window = 1
		var asked atomic.Int32
		g := run(t, Config{SMSCs: []SMSC{c}, Allow: func() error {
			if asked.Add(1) > 1 {
				return errLease
			}
			return nil
		}}).allUp(t)
		r := g.send(strings.Repeat("x", 153*2), time.Second)
		if r.Outcome != handover.Refused || r.Refusal != RefusedIncomplete || !errors.Is(r.Err, errLease) {
			t.Errorf("%+v", r)
		}
		eventually.True(t, "the first part", func() bool { return s.Stats().Submits == 1 })
	})
}
