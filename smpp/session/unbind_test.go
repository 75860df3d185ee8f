package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

func TestSubmitAndUnbind(t *testing.T) {
	s, p := bound(t, Config{})
	got := submit(t.Context(), s, Request{Message: peertest.Message()})
	f := p.Next(wire.SubmitSM)
	if inFlight(s) != 1 {
		t.Errorf("%d in flight, want 1", inFlight(s))
	}
	left := make(chan error, 1)
	go func() { left <- s.Unbind(context.Background()) }() // waits for the response
	<-s.draining
	if _, err := s.Submit(t.Context(), Request{Message: peertest.Message()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrDraining) {
		t.Errorf("submit while draining: %v", err)
	}
	p.Accept(f, "7f")
	if o := peertest.Wait(t, got); o.err != nil || o.MessageID != "7f" {
		t.Errorf("got %+v", o)
	}
	u := p.Next(wire.Unbind)
	p.Send(wire.UnbindResp, wire.ESMEOK, u.Sequence, nil)
	p.Conn.Close() // as most SMSCs do at once; that is no loss
	if err := peertest.Wait(t, left); err != nil {
		t.Error(err)
	}
	if !errors.Is(s.Err(), ErrClosed) || inFlight(s) != 0 {
		t.Errorf("ended with %v, %d in flight", s.Err(), inFlight(s))
	}
}

// The SMSC unbinds while a submit and a delivery are open: both are finished,
// then unbind is answered and the session ends with ErrUnbound.
func TestSMSCUnbinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deliveries := make(chan *Delivery, 1)
		s, p := inBubble(t, Config{Deliver: func(d *Delivery) { deliveries <- d }}, 1<<16)
		got := submit(t.Context(), s, Request{Message: peertest.Message()})
		f := p.Next(wire.SubmitSM)
		p.Send(wire.DeliverSM, wire.ESMEOK, 1, peertest.Message())
		p.Send(wire.Unbind, wire.ESMEOK, 2, nil)
		<-s.draining
		p.Accept(f, "last")
		if o := peertest.Wait(t, got); o.err != nil || o.MessageID != "last" {
			t.Errorf("got %+v", o)
		}
		peertest.Wait(t, deliveries).Respond(wire.ESMEOK)
		p.Next(wire.DeliverSMResp)
		if r := p.Next(wire.UnbindResp); r.Sequence != 2 {
			t.Errorf("got %+v", r)
		}
		p.Gone()
		<-s.Done()
		if !errors.Is(s.Err(), ErrUnbound) {
			t.Errorf("ended with %v", s.Err())
		}
	})
}

// An SMSC that unbinds and then answers nothing is not waited for longer than idleGrace.
func TestSMSCUnbindsAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := inBubble(t, Config{}, 1<<16)
		got := submitMany(s, 1)
		p.Next(wire.SubmitSM)
		start := time.Now()
		p.Send(wire.Unbind, wire.ESMEOK, 1, nil)
		p.Next(wire.UnbindResp)
		<-s.Done()
		if err := <-got; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrUnbound) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != idleGrace {
			t.Errorf("took %v", d)
		}
	})
}

// Unbind is bounded, whatever the SMSC does not answer.
func TestUnbindUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := inBubble(t, Config{}, 1<<16)
		start := time.Now()
		if err := s.Unbind(context.Background()); err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("without unbind_resp: %v after %v", err, time.Since(start))
		}

		s, p := inBubble(t, Config{}, 1<<16)
		got := submitMany(s, 1)
		p.Next(wire.SubmitSM)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := s.Unbind(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a response to the submit: %v", err)
		}
		if err := <-got; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}
