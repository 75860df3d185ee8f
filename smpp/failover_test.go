package smpp

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// pair runs a gateway with two SMSCs, tried in this order.
func pair(t *testing.T, first, second smsctest.Behaviour, change func(*Config)) (g *running, a, b *smsctest.SMSC) {
	t.Helper()
	a, b = centre(t, smsctest.Profile{Behaviour: first}), centre(t, smsctest.Profile{Behaviour: second})
	c := Config{SMSCs: []SMSC{account("first", a), account("second", b)}}
	if change != nil {
		change(&c)
	}
	return run(t, c).allUp(t), a, b
}

func TestFailsOverWhenItSurelyDidNotLeave(t *testing.T) {
	for name, status := range map[string]wire.Status{
		"throttled": wire.ESMEThrottled, "queue full": wire.ESMEMsgQFul,
		"system error": wire.ESMESysErr, "not bound": wire.ESMEInvBndSts,
	} {
		t.Run(name, func(t *testing.T) {
			g, a, b := pair(t, smsctest.Behaviour{Status: status}, smsctest.Behaviour{}, nil)
			r := g.send("hei", peertest.Patience)
			wantOutcome(t, r, handover.Accepted)
			if r.SMSC != "second" || a.Stats().Submits != 1 || b.Stats().Taken != 1 {
				t.Errorf("%+v; first got %d, second took %d", r, a.Stats().Submits, b.Stats().Taken)
			}
			g.idle(t)
		})
	}
}

func TestFailsOverWhenDown(t *testing.T) {
	g, a, b := pair(t, smsctest.Behaviour{}, smsctest.Behaviour{}, nil)
	a.Down()
	eventually.True(t, "the loss to be noticed", func() bool { return g.States()[0].State != StateBound })
	if r := g.send("hei", peertest.Patience); r.SMSC != "second" || b.Stats().Taken != 1 {
		t.Errorf("%+v", r)
	}
}

// The first SMSC has a window of one and responds slowly.
func TestFailsOverWhenTheWindowStaysFull(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, _, _ := pair(t, smsctest.Behaviour{Delay: 900 * time.Millisecond}, smsctest.Behaviour{}, func(c *Config) {
			c.SMSCs[0].Window, c.SMSCs[0].WindowWait = 1, 10*time.Millisecond
		})
		slow := make(chan Result, 1)
		go func() { slow <- g.send("hei", peertest.Patience) }()
		eventually.True(t, "a submit in flight", func() bool { return g.States()[0].InFlight == 1 })
		if r := g.send("hei", peertest.Patience); r.SMSC != "second" {
			t.Errorf("%+v", r)
		}
		if r := peertest.Wait(t, slow); r.SMSC != "first" || r.Outcome != handover.Accepted {
			t.Errorf("%+v", r)
		}
	})
}

// Once a message may have left, no other SMSC gets it: not when the connection breaks,
// not without a response, not after a nack that may mean anything.
func TestUnknownStaysUnknown(t *testing.T) {
	for name, first := range map[string]smsctest.Behaviour{
		"closed": {Close: 1}, "lost": {Lose: 1}, "frozen": {Freeze: 1}, "nack": {Nack: 1},
	} {
		t.Run(name, func(t *testing.T) {
			memory.Bubble(t, func(t *testing.T) {
				g, a, b := pair(t, first, smsctest.Behaviour{}, func(c *Config) {
					c.SMSCs[0].ResponseTimeout, c.DrainTime = 200*time.Millisecond, 200*time.Millisecond
				})
				r := g.send("hei", 5*time.Second)
				wantOutcome(t, r, handover.Unknown)
				if r.SMSC != "first" || len(r.Parts) != 1 || r.Parts[0].Taken || r.Err == nil {
					t.Errorf("%+v", r)
				}
				if n := a.Stats().Submits + b.Stats().Submits; n != 1 {
					t.Errorf("%d submits", n)
				}
				g.idle(t)
			})
		})
	}
}

// Both throttle; the first accepts the third attempt.
func TestThrottledIsTriedAgain(t *testing.T) {
	g, a, _ := pair(t, smsctest.Behaviour{ThrottleFirst: 2}, smsctest.Behaviour{Status: wire.ESMEThrottled}, nil)
	r := g.send("hei", peertest.Patience)
	wantOutcome(t, r, handover.Accepted)
	if r.SMSC != "first" || a.Stats().Submits != 3 {
		t.Errorf("%+v after %d submits", r, a.Stats().Submits)
	}
}

func TestThrottledToTheEnd(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, _, _ := pair(t, smsctest.Behaviour{Status: wire.ESMEThrottled}, smsctest.Behaviour{Status: wire.ESMEMsgQFul}, nil)
		r := g.send("hei", time.Second)
		wantOutcome(t, r, handover.NotSent)
		if r.Status == wire.ESMEOK || r.Err == nil || len(r.Parts) != 0 {
			t.Errorf("%+v", r)
		}
		g.idle(t)
	})
}

// A bind that the SMSC counts as not bound is bound again.
func TestBindsAgainWhenTheSMSCSaysThatItIsNotBound(t *testing.T) {
	s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Status: wire.ESMEInvBndSts}})
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
	results := make(chan Result, 1)
	go func() { results <- g.send("hei", peertest.Patience) }()
	if err := s.Wait(t.Context(), func(st smsctest.Stats) bool { return st.Submits > 0 }); err != nil {
		t.Fatal(err)
	}
	s.SetProfile(smsctest.Profile{})
	wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
	if n := s.Stats().Binds; n < 2 {
		t.Errorf("%d binds", n)
	}
}

// A frozen SMSC holds the messages that it has at that time, and then delays no others.
func TestFrozenSMSCIsPassedBy(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, a, b := pair(t, smsctest.Behaviour{}, smsctest.Behaviour{}, func(c *Config) {
			c.SMSCs[0].StallAfter = 50 * time.Millisecond
			c.DrainTime = 200 * time.Millisecond
		})
		a.Freeze(0)
		defer a.Thaw()
		first := make(chan Result, 1)
		go func() { first <- g.send("hei", time.Second) }()
		eventually.True(t, "the bind to be stalled", func() bool { return g.States()[0].State == StateStalled })
		for range 100 {
			if r := g.send("hei", peertest.Patience); r.SMSC != "second" || r.Outcome != handover.Accepted {
				t.Fatalf("%+v", r)
			}
		}
		wantOutcome(t, peertest.Wait(t, first), handover.Unknown)
		if n := b.Stats().Taken; n != 100 {
			t.Errorf("second took %d", n)
		}
	})
}

// One in 25 is throttled, whatever the rate: no message is lost and none takes long.
func TestThrottledOneInTwentyFive(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Throttle: 25}})
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
		var sends sync.WaitGroup
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range 300 {
			<-tick.C
			sends.Go(func() {
				if r := g.send("hei", 5*time.Second); r.Outcome != handover.Accepted {
					t.Errorf("%+v", r)
				}
			})
		}
		sends.Wait()
		if st := s.Stats(); st.Taken != 300 || st.Throttled == 0 {
			t.Errorf("took %d, throttled %d", st.Taken, st.Throttled)
		}
		if rate := g.States()[0].Rate; rate != 0 {
			t.Errorf("the bind was slowed down to %v/s", rate)
		}
		g.idle(t)
	})
}

// An SMSC that reports congestion is sent less, although it accepts everything.
func TestCongestionStateSlowsTheBindDown(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Congestion: 95, Delay: 5 * time.Millisecond}})
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
		load := func(until func() bool) {
			for end := time.Now().Add(20 * time.Second); !until() && time.Now().Before(end); {
				wantOutcome(t, g.send("hei", 10*time.Second), handover.Accepted)
			}
		}
		load(func() bool { return s.Stats().Taken == 100 })
		if rate := g.States()[0].Rate; rate != 0 {
			t.Errorf("nearly congested: %v/s", rate)
		}
		s.SetProfile(smsctest.Profile{Behaviour: smsctest.Behaviour{Congestion: 100, Delay: 5 * time.Millisecond}})
		load(func() bool { return g.States()[0].Rate != 0 })
		if st, rate := s.Stats(), g.States()[0].Rate; rate == 0 || st.Throttled > 0 {
			t.Errorf("congested: %v/s, %d throttled", rate, st.Throttled)
		}
	})
}

// An SMSC that accepts 100/s gets little more, and every message is accepted.
func TestRateFollowsTheSMSC(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Rate: 100, Delay: 5 * time.Millisecond}})
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				for ctx.Err() == nil {
					if r := g.send("hei", 10*time.Second); r.Outcome != handover.Accepted {
						t.Errorf("%+v", r)
					}
				}
			})
		}
		clients.Wait()
		st := s.Stats()
		t.Logf("took %d, throttled %d", st.Taken, st.Throttled)
		if st.Taken < 200 || st.Throttled > st.Taken {
			t.Errorf("took %d, throttled %d", st.Taken, st.Throttled)
		}
		g.idle(t)
	})
}

// A message that the rate does not allow in time is not sent at once, instead of waiting.
func TestTooMuchForTheRate(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{})
		c := account("telco", s)
		c.Rate = 5
		g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
		results := make(chan Result, 30)
		for range 30 {
			go func() { results <- g.send("hei", 2*time.Second) }()
		}
		outcomes := map[handover.Outcome]int{}
		for range 30 {
			r := peertest.Wait(t, results)
			outcomes[r.Outcome]++
			if r.Outcome == handover.NotSent && !errors.Is(r.Err, errRate) {
				t.Errorf("%+v", r)
			}
		}
		if n := outcomes[handover.Accepted]; n < 5 || n > 15 || n+outcomes[handover.NotSent] != 30 {
			t.Errorf("%v", outcomes)
		}
		g.idle(t)
	})
}

// A message does not start on a bind whose rate leaves no time for all of its parts: no
// recipient must get half of it, and another SMSC may carry the whole.
func TestTooManyPartsForTheRate(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, a, b := pair(t, smsctest.Behaviour{}, smsctest.Behaviour{}, func(c *Config) {
			c.SMSCs[0].Rate = 1
		})
		r := g.send(threeParts, 2*time.Second)
		wantOutcome(t, r, handover.Accepted)
		if r.SMSC != "second" || a.Stats().Submits != 0 || b.Stats().Taken != 3 {
			t.Errorf("%+v; first got %d, second took %d", r, a.Stats().Submits, b.Stats().Taken)
		}
		b.Down()
		eventually.True(t, "the loss to be noticed", func() bool { return g.States()[1].State != StateBound })
		wantOutcome(t, g.send(threeParts, time.Second), handover.NotSent)
		if r := g.send(threeParts, 4*time.Second); r.SMSC != "first" || a.Stats().Taken != 3 {
			t.Errorf("with time enough: %+v; first took %d", r, a.Stats().Taken)
		}
		g.idle(t)
	})
}

// Of long messages that compete for one rate, and for few slots, those that have started
// are sent whole.
func TestLongMessagesShareARate(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 20 * time.Millisecond}})
		c := account("telco", s)
		c.Rate, c.Window = 30, 5
		g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
		results := make(chan Result, 40)
		for range cap(results) {
			go func() { results <- g.send(threeParts, 4*time.Second) }()
		}
		outcomes := map[handover.Outcome]int{}
		for range cap(results) {
			outcomes[peertest.Wait(t, results).Outcome]++
		}
		whole := outcomes[handover.Accepted]
		if torn := int(s.Stats().Taken) - 3*whole; whole < 10 || torn > 15 { // a pause of the machine may tear those in flight
			t.Errorf("%v, %d parts of others were taken", outcomes, torn)
		}
		g.idle(t)
	})
}

func TestWeights(t *testing.T) {
	g, a, b := pair(t, smsctest.Behaviour{}, smsctest.Behaviour{}, func(c *Config) {
		c.Routes = []Route{{SMSCs: []string{"first", "second"}, Weights: map[string]int{"first": 1, "second": 3}}}
	})
	for range 400 {
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	}
	if x, y := a.Stats().Taken, b.Stats().Taken; x < 50 || y < 200 || x+y != 400 {
		t.Errorf("%d and %d", x, y)
	}
}

func TestLongMessages(t *testing.T) {
	text := strings.Repeat("Blåbærsyltetøy og 10 € til deg. ", 12)
	unicode := strings.Repeat("Ёжик в тумане 🦔. ", 12)
	for _, mode := range []LongMode{LongUDH8, LongUDH16, LongSAR, LongPayload} {
		for _, text := range []string{text, unicode} {
			s := centre(t, smsctest.Profile{})
			c := account("telco", s)
			c.LongMessages = mode
			g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
			r := g.send(text, peertest.Patience)
			wantOutcome(t, r, handover.Accepted)
			g.Sizes(Message{To: number, Text: text}, func(s Size) {
				if s.SMSC != "telco" || s.Parts != r.Total || s.Segments != r.Segments || s.Segments < 2 {
					t.Errorf("%s: expected %+v, sent %d parts and %d segments", mode, s, r.Total, r.Segments)
				}
			})
			checkLong(t, mode, text, r, s.Submits())
			g.idle(t)
		}
	}
}

func checkLong(t *testing.T, mode LongMode, text string, r Result, got []smsctest.Submit) {
	t.Helper()
	if r.Total != len(got) || len(r.Parts) != len(got) || (mode == LongPayload) != (len(got) == 1) {
		t.Fatalf("%s: %d submits, %+v", mode, len(got), r)
	}
	var joined strings.Builder
	first, _ := got[0].Segment()
	refs := map[uint16]bool{}
	for i, p := range got {
		joined.WriteString(p.Text())
		seg, ok := p.Segment()
		if mode != LongPayload && (!ok || seg.Index != i+1 || seg.Total != len(got) || seg.Reference != first.Reference) {
			t.Errorf("%s: part %d has %+v, %v", mode, i, seg, ok)
		}
		ref, _ := p.UserReference()
		refs[ref] = true
		if p.MessageID != r.Parts[i].MessageID || ref != r.Parts[i].Reference || !r.Parts[i].Taken || r.Parts[i].Index != i {
			t.Errorf("%s: part %d is %+v", mode, i, r.Parts[i])
		}
	}
	if joined.String() != text || len(refs) != len(got) {
		t.Errorf("%s: got %q with %d references", mode, joined.String(), len(refs))
	}
}

func TestLongMessageWithASmallWindow(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 5 * time.Millisecond, Jitter: 10 * time.Millisecond}})
		c := account("telco", s)
		c.Window = 2
		g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
		var sends sync.WaitGroup
		for range 8 {
			sends.Go(func() {
				if r := g.send(strings.Repeat("x", 153*5), peertest.Patience); r.Outcome != handover.Accepted {
					t.Errorf("%+v", r)
				}
			})
		}
		sends.Wait()
		if n := s.Stats().Taken; n != 40 {
			t.Errorf("%d parts taken", n)
		}
		g.idle(t)
	})
}

// After an unbind the pause is kept; after a lost connection it is not.
func TestRebindPause(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	paused, quick := account("paused", s), account("quick", s)
	paused.RebindPause = 10 * time.Minute
	g := run(t, Config{SMSCs: []SMSC{paused, quick}}).allUp(t)
	binds := func(n uint64) {
		t.Helper()
		if err := s.Wait(t.Context(), func(st smsctest.Stats) bool { return uint64(st.Binds) >= n }); err != nil {
			t.Fatal(err)
		}
	}
	binds(2)
	s.Drop()
	binds(4) // both are back
	g.allUp(t)
	s.Unbind()
	for n := uint64(5); n < 8; n++ { // only the other one comes back, time after time
		binds(n)
		s.Drop()
	}
	for _, b := range g.States() {
		if b.SMSC == "paused" && b.State == StateBound {
			t.Error("bound again during the pause")
		}
	}
}
