package smpp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/internal/memnet"
	"straks/smpp/peertest"
	"straks/smpp/session"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// The slot of a submit is released by every way in which it can end: the next message,
// over a window of one, is accepted on the same bind.
func TestSlotsAreReleased(t *testing.T) {
	for name, end := range map[string]struct {
		of   time.Duration // how long Send may take
		want handover.Outcome
		by   func(p *peertest.Peer, f wire.Frame) // what the SMSC does
	}{
		"response": {peertest.Patience, handover.Accepted, func(p *peertest.Peer, f wire.Frame) { p.Accept(f, "a") }},
		"refusal":  {peertest.Patience, handover.Refused, func(p *peertest.Peer, f wire.Frame) { refuse(p, f, wire.ESMEInvDstAdr) }},
		"generic_nack": {peertest.Patience, handover.Unknown, func(p *peertest.Peer, f wire.Frame) {
			p.Send(wire.GenericNack, wire.ESMESysErr, f.Sequence, nil)
		}},
		"time-out":              {peertest.Patience, handover.Unknown, func(*peertest.Peer, wire.Frame) {}},
		"time-out after Send":   {100 * time.Millisecond, handover.Unknown, func(*peertest.Peer, wire.Frame) {}},
		"response after Send":   {100 * time.Millisecond, handover.Unknown, func(p *peertest.Peer, f wire.Frame) { acceptLater(p, f, 150*time.Millisecond) }},
		"response, twice":       {peertest.Patience, handover.Accepted, func(p *peertest.Peer, f wire.Frame) { p.Accept(f, "a"); p.Accept(f, "a") }},
		"time-out, then answer": {peertest.Patience, handover.Unknown, func(p *peertest.Peer, f wire.Frame) { acceptLater(p, f, 400*time.Millisecond) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, p, close := bubbled(t, SMSC{Window: 1, ResponseTimeout: 300 * time.Millisecond})
				defer close()
				results := make(chan Result, 1)
				go func() { results <- g.send("hei", end.of) }()
				end.by(p, p.Next(wire.SubmitSM))
				wantOutcome(t, <-results, end.want)
				go func() { results <- g.send("hei", peertest.Patience) }()
				p.Accept(p.Next(wire.SubmitSM), "b")
				wantOutcome(t, <-results, handover.Accepted)
				time.Sleep(time.Second)
				if n := g.States()[0].InFlight; n != 0 {
					t.Errorf("%d in flight", n)
				}
			})
		})
	}
}

func acceptLater(p *peertest.Peer, f wire.Frame, after time.Duration) {
	time.AfterFunc(after, func() {
		p.Tell(wire.SubmitSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{MessageID: "late"})
	})
}

// bubbled binds the only bind of a gateway to a peer, where time is the bubble's.
func bubbled(t *testing.T, account SMSC) (*running, *peertest.Peer, func()) {
	t.Helper()
	account.Name = "telco"
	g := undialled(t, account)
	b := g.smscs()[0].binds[0]
	ours, theirs := memnet.Pipe(1 << 16)
	p := peertest.New(t, theirs)
	go p.AcceptBind()
	s, err := session.Bind(t.Context(), ours, newMaintainer(g, b, new(inbox).handler()).sessionConfig())
	if err != nil {
		t.Fatal(err)
	}
	g.slots.open(b, s)
	return &running{Gateway: g}, p, s.Close
}

// What is in flight when a session is lost no longer counts against the window of the next.
func TestLossReleasesTheWindow(t *testing.T) {
	addr, peers := boundTwice(t)
	g := run(t, Config{SMSCs: []SMSC{{Name: "telco", Addr: addr, SystemID: "straks", Window: 1}}, DrainTime: 100 * time.Millisecond})
	p := peertest.Wait(t, peers)
	lost := sending(g, "one", peertest.Patience)
	p.Next(wire.SubmitSM)
	p.Conn.Close()
	wantOutcome(t, peertest.Wait(t, lost), handover.Unknown)
	results := sending(g, "two", peertest.Patience)
	p = peertest.Wait(t, peers)
	p.Accept(p.Next(wire.SubmitSM), "a")
	wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
	g.idle(t)
}

// An SMSC that hangs holds up its window and MaxWaiting messages, and no more:
// the next is not sent, and told so at once, though its deadline is an hour away.
func TestWaitQueueIsBounded(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Lose: 1}})
		conf := account("telco", s)
		conf.Window, conf.MaxWaiting = 2, 3
		g := run(t, Config{SMSCs: []SMSC{conf}, DrainTime: 100 * time.Millisecond}).allUp(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		m := Message{To: number, From: "straks", Text: "123456"}
		ended := make(chan Result, 5)
		for range 5 {
			go func() { ended <- g.Send(ctx, m) }()
		}
		eventually.True(t, "the window and the queue to be full", func() bool {
			return s.Stats().Submits == 2 && g.slots.queued(g.smscs())["telco"] == 3
		})
		if r := g.Send(ctx, m); r.Outcome != handover.NotSent || !errors.Is(r.Err, errQueueFull) {
			t.Errorf("one more: %+v", r)
		}
		cancel()
		for range 5 {
			<-ended
		}
		if n := g.slots.queued(g.smscs())["telco"]; n != 0 {
			t.Errorf("%d wait that have left", n)
		}
	})
}

// A message whose first SMSC has a full queue goes to the next at once. A part of a message
// that has started, and a message that comes back from an attempt, joins the full queue.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := counter(1, 1)
		first, second := all[0], all[1]
		first.MaxWaiting = 1
		s.open(first.binds[0], new(session.Session))
		held, err := s.acquire(t.Context(), want{order: all[:1]})
		if err != nil {
			t.Fatal(err)
		}
		acquiring := func(w want) <-chan error {
			errs := make(chan error, 1)
			go func() {
				slot, err := s.acquire(t.Context(), w)
				errs <- err
				if err == nil {
					s.release(slot, answered)
				}
			}()
			synctest.Wait()
			return errs
		}
		waits := []<-chan error{acquiring(want{order: all[:1]})}
		if err := <-acquiring(want{order: all[:1]}); !errors.Is(err, errQueueFull) {
			t.Errorf("beside a full queue: %v", err)
		}
		s.open(second.binds[0], new(session.Session))
		began := time.Now()
		if err := <-acquiring(want{order: all}); err != nil || time.Since(began) != 0 {
			t.Errorf("with another SMSC: %v after %v", err, time.Since(began))
		}
		waits = append(waits, acquiring(want{order: all[:1], started: true}),
			acquiring(want{order: all[:1], avoid: []*bind{first.binds[1]}, pause: time.Minute}))
		if n := s.queued(all)["a"]; n != 3 {
			t.Errorf("%d wait, want 3", n)
		}
		s.release(held, answered)
		for _, errs := range waits {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}
