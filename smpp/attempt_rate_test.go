package smpp

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// undialled is a gateway that does not bind: the test opens its binds itself.
func undialled(t *testing.T, accounts ...SMSC) *Gateway {
	t.Helper()
	return unrun(t, Config{SMSCs: accounts})
}

// unrun is a gateway that is not run. The accounts are completed.
func unrun(t *testing.T, c Config) *Gateway {
	t.Helper()
	for i := range c.SMSCs {
		c.SMSCs[i].Addr, c.SMSCs[i].SystemID = "127.0.0.1:1", "straks"
	}
	g, err := New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// acceptAll accepts every submit after the delay, until the session ends.
func acceptAll(p *peertest.Peer, delay time.Duration) {
	for {
		f, err := p.Frames.Next()
		switch {
		case err != nil:
			return
		case f.ID == wire.SubmitSM:
			time.AfterFunc(delay, func() {
				p.Tell(wire.SubmitSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{MessageID: "a"})
			})
		case f.ID == wire.EnquireLink:
			p.Tell(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
		}
	}
}

// Parts of a message that has started take free slots at once, even if so many tokens are promised
// that other messages look for another bind.
func TestAStartedMessageDoesNotWaitBesideFreeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := undialled(t, SMSC{Name: "telco", Rate: 20})
		s, p := boundInMemory(t, 1<<16)
		defer s.Close()
		go acceptAll(p, 900*time.Millisecond)
		g.slots.open(g.smscs()[0].binds[0], s)
		ctx, cancel := context.WithTimeout(t.Context(), 1400*time.Millisecond)
		defer cancel()
		start := time.Now()
		r := g.Send(ctx, Message{ID: "m1", To: number, Text: strings.Repeat("x", 153*10)})
		if want := 9*50*time.Millisecond + 900*time.Millisecond; r.Outcome != handover.Accepted || time.Since(start) != want {
			t.Errorf("%+v after %v, want %v", r, time.Since(start), want)
		}
	})
}

// If the first part could not be written, the others don't wait for that bind
// to come back: the message can go elsewhere.
func TestNoPartWaitsAfterOneThatCouldNotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := undialled(t, SMSC{Name: "telco"})
		b := g.smscs()[0].binds[0]
		s, _ := boundInMemory(t, 1<<16)
		g.slots.open(b, s)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		j, _ := g.newJob(&Message{ID: "m1", To: number, Text: threeParts})
		l, err := g.slots.acquire(ctx, want{order: j.order})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		g.slots.shut(b)
		if r, settled := j.newAttempt(l).run(ctx, ctx); settled || time.Since(start) != 0 {
			t.Errorf("%+v after %v", r, time.Since(start))
		}
	})
}

// A refused part also holds back a part that waits for its token: the outcome is known at
// once, and the token is free for another message.
func TestNoPartWaitsForATokenAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := undialled(t, SMSC{Name: "telco", Rate: 1})
		s, p := boundInMemory(t, 1<<16)
		defer s.Close()
		g.slots.open(g.smscs()[0].binds[0], s)
		start := time.Now()
		long, short := make(chan Result, 1), make(chan Result, 1)
		go func() { long <- g.Send(t.Context(), Message{ID: "m1", To: number, Text: threeParts}) }()
		refuse(p, p.Next(wire.SubmitSM), wire.ESMEInvDstAdr)
		if r := <-long; r.Refusal != RefusedInvalidRecipient || r.Err != nil || time.Since(start) != 0 {
			t.Errorf("%+v after %v", r, time.Since(start))
		}
		go func() { short <- g.Send(t.Context(), Message{ID: "m2", To: number, Text: "hei"}) }()
		p.Accept(p.Next(wire.SubmitSM), "a")
		if r := <-short; r.Outcome != handover.Accepted || time.Since(start) != time.Second {
			t.Errorf("%+v after %v", r, time.Since(start))
		}
	})
}

// A message that waits for a token of a bind goes elsewhere at once when the bind is lost.
func TestNoMessageWaitsForTheRateOfALostBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := undialled(t, SMSC{Name: "first", Rate: 1}, SMSC{Name: "second"})
		var sessions []*session.Session
		for range 2 {
			s, p := boundInMemory(t, 1<<16)
			go acceptAll(p, 0)
			sessions = append(sessions, s)
		}
		first, second := g.smscs()[0].binds[0], g.smscs()[1].binds[0]
		g.slots.open(first, sessions[0])
		results := make(chan Result, 5)
		for range cap(results) {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				results <- g.Send(ctx, Message{ID: "m1", To: number, Text: "hei"})
			}()
		}
		time.Sleep(500 * time.Millisecond)
		start := time.Now()
		sessions[0].Close()
		g.slots.shut(first)
		g.slots.open(second, sessions[1])
		for range cap(results) {
			if r := <-results; r.Outcome != handover.Accepted || time.Since(start) != 0 {
				t.Errorf("%+v after %v", r, time.Since(start))
			}
		}
		if w := first.pacer.wait(time.Now()); w != 500*time.Millisecond {
			t.Errorf("a wait of %v for the next message, want that of one token", w)
		}
		sessions[1].Close()
	})
}
