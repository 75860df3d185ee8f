package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// randomPeer answers in every possible way, at random.
type randomPeer struct {
	*peertest.Peer
	rand *rand.Rand
	seen map[string]int // how often each message came, by its text
	held []wire.Frame   // to be answered later, in any order
}

// serve answers until the connection ends, and hangs up after the given number of submits.
func (w *randomPeer) serve(most int) {
	for n := 0; n < most; {
		f, err := w.Frames.Next()
		if err != nil {
			return
		}
		if f.ID == wire.SubmitSM {
			n++
			body, _ := wire.Decode(f)
			w.seen[string(body.(*wire.Message).ShortMessage)]++
			w.treat(f)
		}
		if f.ID == wire.EnquireLink {
			w.Tell(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
		}
	}
	w.Conn.Close()
}

func (w *randomPeer) treat(f wire.Frame) {
	switch w.rand.IntN(12) {
	case 0: // never answered
	case 1:
		w.Tell(wire.GenericNack, wire.ESMESysErr, f.Sequence, nil)
	case 2:
		w.Tell(wire.SubmitSMResp, wire.ESMEThrottled, f.Sequence, nil)
	case 3: // twice, and a delivery of the same number in between
		w.accept(f)
		w.Tell(wire.DeliverSM, wire.ESMEOK, f.Sequence, peertest.Message())
		w.accept(f)
	case 4: // junk
		w.Tell(wire.DeliverSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{})
		w.Tell(wire.CommandID(0x80000000|w.rand.Uint32N(0x200)), wire.ESMESysErr, w.rand.Uint32N(1000), nil)
		w.accept(f)
	case 5, 6, 7: // later, out of order
		w.held = append(w.held, f)
	default:
		w.accept(f)
	}
	if len(w.held) > 8 {
		i := w.rand.IntN(len(w.held))
		w.accept(w.held[i])
		w.held = append(w.held[:i], w.held[i+1:]...)
	}
}

func (w *randomPeer) accept(f wire.Frame) {
	w.Tell(wire.SubmitSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{MessageID: fmt.Sprint(f.Sequence)})
}

// Whatever the peer and the callers do, each submit ends once, with a true result: one
// that is reported as not sent never arrived, one that arrived is reported as answered or
// as unknown, and none is left in flight.
func TestEverySubmitEndsOnceWithATrueResult(t *testing.T) {
	for round := range 10 {
		t.Run(fmt.Sprint(round), func(t *testing.T) { oneRound(t, uint64(round)) })
	}
}

func oneRound(t *testing.T, seed uint64) {
	const messages = 400
	s, p := bound(t, Config{ResponseTimeout: 20 * time.Millisecond,
		Deliver: func(d *Delivery) { d.Respond(wire.ESMEOK) }})
	w := &randomPeer{Peer: p, rand: rand.New(rand.NewPCG(seed, 1)), seen: make(map[string]int)}
	p.Conn.SetReadDeadline(time.Time{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		w.serve(messages * 3 / 4)
	}()
	errs := make([]error, messages)
	var callers sync.WaitGroup
	for i := range messages {
		patient := time.Duration(rand.IntN(200)) * time.Millisecond
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			defer cancel()
			m := peertest.Message()
			m.ShortMessage = []byte(fmt.Sprint(i))
			_, errs[i] = s.Submit(ctx, Request{Message: m})
		})
	}
	callers.Wait()
	s.Close()
	<-served
	for i, err := range errs {
		came := w.seen[fmt.Sprint(i)]
		notSent, unknown := errors.Is(err, ErrNotSent), errors.Is(err, ErrUnknown)
		if came > 1 || notSent && unknown || err != nil && !notSent && !unknown || notSent && came != 0 || err == nil && came != 1 {
			t.Errorf("message %d came %d times and ended with %v", i, came, err)
		}
	}
	if inFlight(s) != 0 {
		t.Errorf("%d submits are left in flight", inFlight(s))
	}
}
