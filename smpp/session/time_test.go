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

// inBubble binds a session to a peer over memory, where time is the bubble's.
func inBubble(t *testing.T, cfg Config, size int) (*Session, *peertest.Peer) {
	t.Helper()
	ours, theirs := peertest.Pipe(size)
	p := peertest.New(t, theirs)
	go p.AcceptBind()
	s, err := bind(context.Background(), ours, ours, cfg.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// submitMany submits n messages at once. Their errors come as they end.
func submitMany(s *Session, n int) <-chan error {
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := s.Submit(context.Background(), Request{Message: peertest.Hei()})
			errs <- err
		}()
	}
	return errs
}

func TestEnquireLinkOnIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := inBubble(t, Config{}, 1<<16)
		defer s.Close()
		start := time.Now()
		for range 3 {
			f, err := p.Frames.Next()
			if err != nil || f.ID != wire.EnquireLink {
				t.Fatalf("got %v, %v", f.ID, err)
			}
			if d := time.Since(start); d < 5*time.Second || d > 5*time.Second+10*time.Millisecond {
				t.Errorf("enquire_link after %v of silence, want 5s", d)
			}
			p.Send(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
			start = time.Now()
		}
		// Whatever comes is life: no enquire_link while deliveries do.
		for range 10 {
			time.Sleep(4 * time.Second)
			p.Send(wire.DeliverSM, wire.ESMEOK, 1, peertest.Hei())
			if f, err := p.Frames.Next(); err != nil || f.ID != wire.DeliverSMResp {
				t.Errorf("got %v, %v", f.ID, err)
			}
		}
	})
}

// A peer that falls silent is given up after DeadAfter, whether nothing is under
// way, or submits are in flight, or so many that the write blocks.
func TestFrozenPeer(t *testing.T) {
	for name, submits := range map[string]int{"idle": 0, "under load": 20, "write blocked": 500} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := inBubble(t, Config{Window: 1000, ResponseTimeout: time.Hour}, 16<<10)
				start := time.Now()
				outcomes := submitMany(s, submits)
				<-s.Done()
				if d := time.Since(start); d < 14*time.Second || d > 15*time.Second+10*time.Millisecond {
					t.Errorf("noticed after %v, want 15s", d)
				}
				if !errors.Is(s.Err(), ErrDead) && !errors.Is(s.Err(), ErrLost) {
					t.Errorf("ended with %v", s.Err())
				}
				maybe := 0
				for range submits {
					switch err := <-outcomes; {
					case errors.Is(err, ErrUnknown):
						maybe++
					case !errors.Is(err, ErrNotSent):
						t.Errorf("got %v", err)
					}
				}
				whole := 0
				for f, err := p.Frames.Next(); err == nil; f, err = p.Frames.Next() {
					if f.ID == wire.SubmitSM {
						whole++
					}
				}
				if whole > maybe || maybe > whole+1 { // the last one may be cut in the middle
					t.Errorf("the peer has %d submits whole, %d are said to be unknown", whole, maybe)
				}
			})
		})
	}
}

// A pause of our own machine that begins while an enquire_link is out is not taken for the
// peer's: what came meanwhile is read first. A peer that is dead is found to be all the same,
// by a machine that is always late too.
func TestAPauseOfOurOwnIsNotThePeers(t *testing.T) {
	const life, pause = time.Second, 20 * time.Second
	asking := func() *watch {
		w := &watch{interval: 5 * time.Second, patience: 10 * time.Second, tick: 500 * time.Millisecond, due: life}
		for ask := false; !ask; {
			ask, _ = w.look(w.due, life)
		}
		return w
	}
	w := asking()
	if _, dead := w.look(w.due+pause, life); dead {
		t.Error("given up before its answer was read")
	}
	read := w.due - w.tick
	if ask, dead := w.look(w.due, read); ask || dead || w.asked != 0 {
		t.Errorf("its answer was read: ask %v, dead %v", ask, dead)
	}
	for _, late := range []time.Duration{0, pause} {
		w := asking()
		asked, dead := w.asked, false
		for !dead && w.due < time.Minute {
			_, dead = w.look(w.due+late, life)
		}
		if !dead || w.due-asked < w.patience {
			t.Errorf("%v late at each look: dead %v, %v after the question", late, dead, w.due-asked)
		}
	}
}

// What is queued when the last PDU of the session goes out does not follow it, and
// may go elsewhere.
func TestNothingFollowsTheLastPDU(t *testing.T) {
	for name, last := range map[string]struct {
		octets []byte
		want   wire.CommandID
	}{
		"generic_nack": {[]byte{0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, wire.GenericNack}, // no frame
		"unbind_resp":  {[]byte{0, 0, 0, 16, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7}, wire.UnbindResp},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := inBubble(t, Config{}, 256)
				long := peertest.Hei()
				long.ShortMessage = make([]byte, 254)
				first := submit(t.Context(), s, Request{Message: long}) // holds the writer up
				synctest.Wait()
				queued := submit(t.Context(), s, Request{Message: peertest.Hei()})
				synctest.Wait()
				p.Write(last.octets)
				time.Sleep(2 * leaveGrace)
				p.Next(wire.SubmitSM)
				p.Next(last.want)
				if f, err := p.Frames.Next(); err == nil {
					t.Errorf("%v follows", f.ID)
				}
				if o := <-first; !errors.Is(o.err, ErrUnknown) {
					t.Errorf("the first: %v", o.err)
				}
				if o := <-queued; !errors.Is(o.err, ErrNotSent) {
					t.Errorf("the one in the queue: %v", o.err)
				}
			})
		})
	}
}

// A caller whose time is up before the writer took the message has sent nothing,
// also when it is the writer that is stuck.
func TestWithdrawnFromAStuckWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := inBubble(t, Config{Window: 1000}, 4<<10)
		stuck := submitMany(s, 200)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		before := s.InFlight()
		if _, err := s.Submit(ctx, Request{Message: peertest.Hei()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if s.InFlight() != before {
			t.Errorf("%d slots in use, want %d", s.InFlight(), before)
		}
		for range cap(stuck) { // it reads again: exactly the others come
			p.Answer(p.Next(wire.SubmitSM), "x")
		}
		for range cap(stuck) {
			if err := <-stuck; err != nil {
				t.Error(err)
			}
		}
		s.Close()
	})
}

func TestResponseTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := 0
		s, p := inBubble(t, Config{Window: 3, Tombstones: 2, LateFor: time.Minute, Late: func(Late) { late++ }}, 1<<16)
		defer s.Close()
		start := time.Now()
		outcomes := submitMany(s, 3)
		var frames []wire.Frame
		for range 3 {
			frames = append(frames, p.Next(wire.SubmitSM))
		}
		go func() { // its other half goes on well
			for f, err := p.Frames.Next(); err == nil; f, err = p.Frames.Next() {
				if f.ID == wire.EnquireLink {
					p.Tell(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
				}
			}
		}()
		for range 3 {
			if err := <-outcomes; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrNoAnswer) {
				t.Errorf("got %v", err)
			}
		}
		if d := time.Since(start); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("given up after %v, want 10s", d)
		}
		for _, f := range frames { // two tombstones are kept, so one answer is forgotten
			p.Answer(f, "late")
		}
		synctest.Wait()
		if late != 2 {
			t.Errorf("%d late answers, want 2", late)
		}
		go s.Submit(context.Background(), Request{Message: peertest.Hei()})
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.graves.stone) != 0 || len(s.graves.order) != 0 || len(s.pending) != 0 {
			t.Errorf("kept %d tombstones in %d places, %d pending", len(s.graves.stone), len(s.graves.order), len(s.pending))
		}
	})
}

// An SMSC that unbinds and then answers nothing more is not waited for.
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
		if d := time.Since(start); d != leaveGrace {
			t.Errorf("took %v", d)
		}
	})
}

// Unbind is bounded, whatever the SMSC leaves out.
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
			t.Errorf("without an answer to the submit: %v", err)
		}
		if err := <-got; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// A peer that asks without reading is not read either, once so many answers wait
// for it; what it asked is answered when it reads again.
func TestFloodByAPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const flood = 20_000
		s, p := inBubble(t, Config{Deliveries: 10}, 1<<10)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			b, _ := wire.Append(nil, wire.Header{ID: wire.DeliverSM, Sequence: 7}, peertest.Hei())
			for range flood {
				theirs := p.Conn.(*peertest.Conn)
				if _, err := theirs.Write(b); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		s.mu.Lock()
		if n := len(s.urgent); n < crowd || n > crowd+s.cfg.Deliveries {
			t.Errorf("%d answers wait, want about %d", n, crowd)
		}
		s.mu.Unlock()
		for range flood {
			if f, err := p.Frames.Next(); err != nil || f.ID != wire.DeliverSMResp || f.Status != wire.ESMERxTAppn {
				t.Fatalf("got %v %v, %v", f.ID, f.Status, err)
			}
		}
		<-sent
		s.Close()
	})
}
