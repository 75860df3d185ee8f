package session

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// Every way in which a submit can end is reported once, and none is left in flight.
func TestEverySubmitIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(chan Late, 1)
		var unmatched atomic.Int32
		s, p := inBubble(t, Config{
			ResponseTimeout: 50 * time.Millisecond,
			Late:            func(l Late) { late <- l },
			Expired:         func(ref any) { t.Errorf("%v expired, though Submit had reported it", ref) },
			Observe:         Observer{Unmatched: func(wire.CommandID) { unmatched.Add(1) }},
		}, 1<<16)

		got := submit(t.Context(), s, Request{Message: peertest.Message()})
		f := p.Next(wire.SubmitSM)
		p.Send(wire.SubmitSMResp, wire.ESMEThrottled, f.Sequence, nil)
		if o := peertest.Wait(t, got); o.err != nil || o.Status != wire.ESMEThrottled || inFlight(s) != 0 {
			t.Errorf("response: %+v, %d in flight", o, inFlight(s))
		}
		p.Send(wire.SubmitSMResp, wire.ESMEThrottled, f.Sequence, nil) // again: it matches no request

		got = submit(t.Context(), s, Request{Message: peertest.Message()})
		f = p.Next(wire.SubmitSM)
		p.Send(wire.GenericNack, wire.ESMEInvCmdLen, f.Sequence, nil)
		if o := peertest.Wait(t, got); o.err != nil || o.Status != wire.ESMEInvCmdLen || !o.Nack || inFlight(s) != 0 {
			t.Errorf("generic_nack: %+v, %d in flight", o, inFlight(s))
		}

		got = submit(t.Context(), s, Request{Message: peertest.Message(), Ref: "timed out"})
		f = p.Next(wire.SubmitSM)
		o := peertest.Wait(t, got)
		if !errors.Is(o.err, ErrUnknown) || !errors.Is(o.err, ErrNoResponse) || errors.Is(o.err, ErrNotSent) || inFlight(s) != 0 {
			t.Errorf("time-out: %+v, %d in flight", o, inFlight(s))
		}
		p.Accept(f, "late")
		if l := peertest.Wait(t, late); l.Ref != "timed out" || l.MessageID != "late" || l.Took < 50*time.Millisecond {
			t.Errorf("late: %+v", l)
		}
		p.Accept(f, "late") // again: it matches no request
		eventually.True(t, "two unmatched responses", func() bool { return unmatched.Load() == 2 })

		got = submit(t.Context(), s, Request{Message: peertest.Message()})
		p.Next(wire.SubmitSM)
		p.Conn.Close()
		if o := peertest.Wait(t, got); !errors.Is(o.err, ErrUnknown) || !errors.Is(o.err, ErrLost) {
			t.Errorf("loss: %+v", o)
		}
		<-s.Done()
		if inFlight(s) != 0 {
			t.Errorf("%d in flight at the end", inFlight(s))
		}
		if _, err := s.Submit(t.Context(), Request{Message: peertest.Message()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrLost) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A caller that gives up waiting for the response does not know the outcome. The submit
// stays in flight, and its response goes to Late. A caller that has given up already sends nothing.
func TestGivingUp(t *testing.T) {
	late := make(chan Late, 1)
	s, p := bound(t, Config{Late: func(l Late) { late <- l }})
	ctx, giveUp := context.WithCancel(t.Context())
	first := submit(ctx, s, Request{Message: peertest.Message(), Ref: 1})
	f := p.Next(wire.SubmitSM)
	giveUp()
	if o := peertest.Wait(t, first); !errors.Is(o.err, ErrUnknown) || !errors.Is(o.err, context.Canceled) {
		t.Errorf("on the wire: %+v", o)
	}
	if _, err := s.Submit(ctx, Request{Message: peertest.Message(), Ref: 2}); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("before Submit: %v", err)
	}
	if inFlight(s) != 1 {
		t.Errorf("%d in flight, want 1", inFlight(s))
	}
	p.Accept(f, "a")
	if l := peertest.Wait(t, late); l.Ref != 1 || l.MessageID != "a" {
		t.Errorf("late: %+v", l)
	}
	third := submit(t.Context(), s, Request{Message: peertest.Message()})
	p.Accept(p.Next(wire.SubmitSM), "c")
	if o := peertest.Wait(t, third); o.err != nil || o.MessageID != "c" || inFlight(s) != 0 {
		t.Errorf("afterwards: %+v, %d in flight", o, inFlight(s))
	}
}

// A submit whose caller is gone passes ResponseTimeout: that is reported once, and a
// response that comes even later still is.
func TestExpiredAfterGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired, late := make(chan any, 2), make(chan Late, 2)
		s, p := inBubble(t, Config{ResponseTimeout: 4 * time.Second, Expired: func(ref any) { expired <- ref },
			Late: func(l Late) { late <- l }}, 1<<16)
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := submit(ctx, s, Request{Message: peertest.Message(), Ref: "gone"})
		f := p.Next(wire.SubmitSM)
		if o := <-got; !errors.Is(o.err, ErrUnknown) || inFlight(s) != 1 {
			t.Errorf("got %v, %d in flight", o.err, inFlight(s))
		}
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if len(expired) != 0 {
			t.Errorf("%v expired too early", <-expired)
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if len(expired) != 1 || inFlight(s) != 0 {
			t.Fatalf("%d expired, %d in flight", len(expired), inFlight(s))
		}
		if ref := <-expired; ref != "gone" {
			t.Errorf("%v expired", ref)
		}
		p.Accept(f, "late")
		synctest.Wait()
		if len(expired) != 0 || len(late) != 1 || (<-late).Ref != "gone" {
			t.Errorf("%d more expired, %d late", len(expired), len(late))
		}
	})
}

func TestResponseTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := 0
		s, p := inBubble(t, Config{MaxExpired: 2, LateFor: time.Minute, Late: func(Late) { late++ }}, 1<<16)
		defer s.Close()
		start := time.Now()
		outcomes := submitMany(s, 3)
		var frames []wire.Frame
		for range 3 {
			frames = append(frames, p.Next(wire.SubmitSM))
		}
		go func() { // the peer is alive
			for f, err := p.Frames.Next(); err == nil; f, err = p.Frames.Next() {
				if f.ID == wire.EnquireLink {
					p.Tell(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
				}
			}
		}()
		for range 3 {
			if err := <-outcomes; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrNoResponse) {
				t.Errorf("got %v", err)
			}
		}
		if d := time.Since(start); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("given up after %v, want 10s", d)
		}
		for _, f := range frames { // two expired submits are remembered, so one response matches nothing
			p.Accept(f, "late")
		}
		synctest.Wait()
		if late != 2 {
			t.Errorf("%d late responses, want 2", late)
		}
		go s.Submit(context.Background(), Request{Message: peertest.Message()})
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.expired.byNum) != 0 || len(s.expired.order) != 0 || len(s.pending) != 0 {
			t.Errorf("kept %d expired submits, %d in the order, %d pending", len(s.expired.byNum), len(s.expired.order), len(s.pending))
		}
	})
}

// A caller whose time is up before the writer took the message has sent nothing,
// even if the writer is stuck.
func TestWithdrawnFromAStuckWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := inBubble(t, Config{}, 4<<10)
		stuck := submitMany(s, 200)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		before := inFlight(s)
		if _, err := s.Submit(ctx, Request{Message: peertest.Message()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if inFlight(s) != before {
			t.Errorf("%d in flight, want %d", inFlight(s), before)
		}
		for range cap(stuck) { // the peer reads again: exactly the others come
			p.Accept(p.Next(wire.SubmitSM), "x")
		}
		for range cap(stuck) {
			if err := <-stuck; err != nil {
				t.Error(err)
			}
		}
		s.Close()
	})
}

// Finish runs when the message is written. Its error, and a message that SMPP
// does not allow, cost that message only.
func TestFinishAndFaultyMessages(t *testing.T) {
	s, p := bound(t, Config{})
	tooLate := errors.New("too late")
	if _, err := s.Submit(t.Context(), Request{Message: peertest.Message(), Finish: func(*wire.Message) error { return tooLate }}); !errors.Is(err, ErrNotSent) || !errors.Is(err, tooLate) {
		t.Errorf("refused by Finish: %v", err)
	}
	bad := peertest.Message()
	bad.Dest = "47\x00"
	var fault *wire.FieldError
	if _, err := s.Submit(t.Context(), Request{Message: bad}); !errors.Is(err, ErrNotSent) || !errors.As(err, &fault) {
		t.Errorf("NUL in the address: %v", err)
	}
	got := submit(t.Context(), s, Request{Message: peertest.Message(), Finish: func(m *wire.Message) error {
		m.Validity = "000000000100000R"
		return nil
	}})
	f := p.Next(wire.SubmitSM)
	if body, err := wire.Decode(f); err != nil || body.(*wire.Message).Validity != "000000000100000R" {
		t.Errorf("sent %+v, %v", body, err)
	}
	p.Accept(f, "1")
	if o := peertest.Wait(t, got); o.err != nil {
		t.Error(o.err)
	}
	if inFlight(s) != 0 {
		t.Errorf("%d in flight", inFlight(s))
	}
}
