package smpp

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/internal/silence"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
)

// Impatient has every SMSC count as silent after d. For a gateway that has sent nothing.
func (g *Gateway) Impatient(d time.Duration) {
	g.slots.mu.Lock()
	defer g.slots.mu.Unlock()
	for _, c := range g.smscs() {
		c.silence = silence.New(d)
	}
}

// impatience is how soon an SMSC counts as silent in these tests.
const impatience = time.Second

func isSilent(r Result) bool {
	var silent *silence.Error
	return r.Outcome == handover.NotSent && errors.As(r.Err, &silent)
}

// mute runs a gateway with an SMSC that accepts messages and responds to enquire_link only, and
// sends it one message. It returns when the SMSC counts as silent.
func mute(t *testing.T, change func(*SMSC)) (*running, *smsctest.SMSC) {
	t.Helper()
	s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Lose: 1}})
	c := account("telco", s)
	c.EnquireLink, c.DeadLink, c.ResponseTimeout = 50*time.Millisecond, 10*time.Second, time.Minute
	if change != nil {
		change(&c)
	}
	g := run(t, Config{SMSCs: []SMSC{c}, DrainTime: 10 * time.Millisecond}).allUp(t)
	g.Impatient(impatience)
	wantOutcome(t, g.send("hei", 2*impatience), handover.Unknown)
	eventually.True(t, "the silence to show", func() bool { return g.Ready() != nil })
	return g, s
}

// While responses are missing, messages are refused at once, except one a second.
func TestSilentSMSC(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, s := mute(t, nil)
		if why := g.Ready().Error(); !strings.HasPrefix(why, "telco does not answer (") || !strings.HasSuffix(why, " s overdue)") {
			t.Error(why)
		}
		if b := g.States()[0]; b.State != StateStalled || b.Overdue == 0 || !strings.HasPrefix(b.Reason, "telco does not answer (") {
			t.Errorf("%+v", b)
		}
		if g.value(t, "straks_smpp_overdue_seconds", "smsc", "telco") == 0 {
			t.Error("the metric does not show it")
		}
		start, before := time.Now(), s.Stats().Submits
		results := make([]Result, 150)
		var sends sync.WaitGroup
		for i := range results {
			sends.Go(func() { results[i] = g.send("hei", 4*time.Second) })
			time.Sleep(20 * time.Millisecond)
		}
		most := 2 + int(time.Since(start).Seconds())
		sends.Wait()
		refused := 0
		for _, r := range results {
			if isSilent(r) {
				refused++
			} else {
				wantOutcome(t, r, handover.Unknown)
			}
		}
		if probes := s.Stats().Submits - before; int(probes) != len(results)-refused || int(probes) > most || probes == 0 {
			t.Errorf("%d were refused, %d reached the SMSC; one to %d should", refused, probes, most)
		}
		if n := g.value(t, "straks_smpp_refused_unanswered_total", "smsc", "telco"); int(n) != refused {
			t.Errorf("counted %v of %d", n, refused)
		}

		s.SetProfile(smsctest.Profile{})
		before = s.Stats().Submits
		eventually.True(t, "a message to be let through", func() bool {
			r := g.send("hei", 4*time.Second)
			if !isSilent(r) {
				wantOutcome(t, r, handover.Accepted)
			}
			return r.Outcome == handover.Accepted
		})
		for range 50 {
			wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
		}
		if n := s.Stats().Submits - before; n != 51 || g.Ready() != nil || g.value(t, "straks_smpp_overdue_seconds", "smsc", "telco") != 0 {
			t.Errorf("%d submits for 51 messages, %v", n, g.Ready())
		}
	})
}

// A message that waits for a slot when the SMSC becomes silent is refused then.
func TestWaitingForASilentSMSC(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Lose: 1}})
		c := account("telco", s)
		c.Window, c.ResponseTimeout = 1, time.Minute
		g := run(t, Config{SMSCs: []SMSC{c}, DrainTime: 10 * time.Millisecond}).allUp(t)
		g.Impatient(impatience)
		results := make(chan Result, 5)
		for range cap(results) {
			go func() { results <- g.send("hei", 5*time.Second) }()
		}
		for range cap(results) - 1 {
			if r := peertest.Wait(t, results); !isSilent(r) {
				t.Errorf("%+v", r)
			}
		}
		wantOutcome(t, peertest.Wait(t, results), handover.Unknown)
	})
}

// Messages go to the other SMSC, and the first gets none to find out with.
func TestFailsOverWhenSilent(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, a, b := pair(t, smsctest.Behaviour{Lose: 1}, smsctest.Behaviour{}, func(c *Config) {
			c.SMSCs[0].StallAfter, c.SMSCs[0].ResponseTimeout, c.DrainTime = time.Hour, time.Minute, 10*time.Millisecond
		})
		g.Impatient(impatience)
		wantOutcome(t, g.send("hei", impatience/2), handover.Unknown)
		eventually.True(t, "the silence to show", func() bool { return g.States()[0].Overdue > 0 })
		for range 30 {
			if r := g.send("hei", peertest.Patience); r.SMSC != "second" {
				t.Errorf("%+v", r)
			}
		}
		if x, y := a.Stats().Submits, b.Stats().Taken; x != 1 || y != 30 || g.Ready() != nil {
			t.Errorf("%d and %d, %v", x, y, g.Ready())
		}
	})
}

// Both are silent: each gets its probe, and the others are refused.
func TestWholeRouteSilent(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		lose := smsctest.Behaviour{Lose: 1}
		g, a, b := pair(t, lose, lose, func(c *Config) { c.DrainTime = 10 * time.Millisecond })
		g.Impatient(impatience)
		for range 2 {
			wantOutcome(t, g.send("hei", 2*impatience), handover.Unknown)
		}
		eventually.True(t, "the silence to show", func() bool { return g.Ready() != nil })
		if why := g.Ready().Error(); !strings.Contains(why, "first does not answer") || !strings.Contains(why, "second does not answer") {
			t.Error(why)
		}
		eventually.True(t, "a refusal", func() bool { return isSilent(g.send("hei", 10*time.Millisecond)) })
		b.SetProfile(smsctest.Profile{})
		eventually.True(t, "the second one's probe", func() bool { return g.send("hei", 2*impatience).Outcome == handover.Accepted })
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
		if a.Stats().Submits == 0 || b.Stats().Taken < 2 {
			t.Errorf("%+v, %+v", a.Stats(), b.Stats())
		}
	})
}

// A new session is worth an attempt.
func TestBoundAgainAfterSilence(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, s := mute(t, nil)
		s.SetProfile(smsctest.Profile{})
		s.Drop()
		eventually.True(t, "the new session", func() bool { return g.Ready() == nil })
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	})
}

// The responses that were held back come, and end the silence.
func TestLateResponseEndsSilence(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 4 * time.Second}})
		c := account("telco", s)
		c.ResponseTimeout = 1500 * time.Millisecond
		g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
		g.Impatient(impatience)
		for range 2 {
			go g.send("hei", 100*time.Millisecond)
		}
		eventually.True(t, "the silence to show", func() bool { return g.Ready() != nil })
		eventually.True(t, "the slots to be given up", func() bool { return g.States()[0].InFlight == 0 })
		if g.Ready() == nil && g.States()[0].Answers["ESME_ROK"] == 0 {
			t.Error("given up, and well without a response")
		}
		eventually.True(t, "the end of the silence", func() bool { return g.Ready() == nil })
		synctest.Wait() // until the response is counted too
		if n := g.States()[0].Answers["ESME_ROK"]; n == 0 {
			t.Error("no response ended the silence")
		}
		g.idle(t)
	})
}

// A carrier that takes two to three seconds is slow, not silent.
func TestSlowSMSCIsNotSilent(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 2 * time.Second, Jitter: 800 * time.Millisecond}})
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
		var sends sync.WaitGroup
		for i := range 40 {
			sends.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				if r := g.send("hei", peertest.Patience); r.Outcome != handover.Accepted {
					t.Errorf("%+v", r)
				}
			})
		}
		done := make(chan struct{})
		go func() { sends.Wait(); close(done) }()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := g.Ready(); err != nil {
					t.Error(err)
				}
			case <-done:
				return
			}
		}
	})
}

// A single response is lost, and the others come.
func TestLostResponseIsNoSilence(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		var p smsctest.Profile
		p.Delay = 10 * time.Millisecond
		p.On("0", func(b *smsctest.Behaviour) { b.Lose = 1 })
		s := centre(t, p)
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}, DrainTime: 10 * time.Millisecond}).allUp(t)
		g.Impatient(impatience)
		lost := make(chan Result, 1)
		go func() { lost <- g.Send(t.Context(), Message{To: "+4799999990", Text: "hei"}) }()
		for end := time.Now().Add(3 * impatience); time.Now().Before(end); {
			wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
		}
		if len(lost) > 0 {
			t.Error("the lost response was not awaited")
		}
	})
}

// A message waits for an SMSC that has just gone; while it stays away, messages are refused at once.
func TestRefusedAtOnceWhileDown(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{})
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
		s.Down()
		eventually.True(t, "the loss to be noticed", func() bool { return g.Ready() != nil })
		early := make(chan Result, 1)
		go func() { early <- g.send("hei", time.Minute) }()
		eventually.True(t, "the message to wait", func() bool { return g.slots.queued(g.smscs())["telco"] == 1 })
		time.Sleep(knownDown)
		results := make(chan Result, 50)
		for range cap(results) {
			go func() { results <- g.Send(context.Background(), Message{To: number, Text: "hei"}) }() // has no deadline
		}
		for range cap(results) {
			if r := peertest.Wait(t, results); r.Outcome != handover.NotSent || !errors.Is(r.Err, errNoBind) {
				t.Errorf("%+v", r)
			}
		}
		if err := s.Up(); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, peertest.Wait(t, early), handover.Accepted)
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	})
}
