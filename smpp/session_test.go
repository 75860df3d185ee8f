package smpp

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"straks/smpp/wire"
)

func TestSubmitAndUnbind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, p := bound(t, SessionConfig{Window: 2})
	if s.Peer().SystemID != "peer" {
		t.Errorf("peer is %+v", s.Peer())
	}
	got := submit(t.Context(), s, Request{Message: hei()})
	f := p.next(wire.SubmitSM)
	if s.InFlight() != 1 {
		t.Errorf("%d in flight, want 1", s.InFlight())
	}
	left := make(chan error, 1)
	go func() { left <- s.Unbind(context.Background()) }() // waits for the answer
	<-s.drain
	if _, err := s.Submit(t.Context(), Request{Message: hei()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrDraining) {
		t.Errorf("submit while draining: %v", err)
	}
	p.answer(f, "7f")
	if o := wait(t, got); o.err != nil || o.MessageID != "7f" {
		t.Errorf("got %+v", o)
	}
	u := p.next(wire.Unbind)
	p.send(wire.UnbindResp, wire.ESMEOK, u.Sequence, nil)
	if err := wait(t, left); err != nil {
		t.Error(err)
	}
	if !errors.Is(s.Err(), ErrClosed) || s.InFlight() != 0 {
		t.Errorf("ended with %v, %d in flight", s.Err(), s.InFlight())
	}
}
