package session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

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
		// Any PDU is a sign of life: no enquire_link while deliveries arrive.
		for range 10 {
			time.Sleep(4 * time.Second)
			p.Send(wire.DeliverSM, wire.ESMEOK, 1, peertest.Message())
			if f, err := p.Frames.Next(); err != nil || f.ID != wire.DeliverSMResp {
				t.Errorf("got %v, %v", f.ID, err)
			}
		}
	})
}

// A silent peer is given up after DeadAfter, whether the session is idle,
// submits are in flight, or the write blocks.
func TestFrozenPeer(t *testing.T) {
	for name, submits := range map[string]int{"idle": 0, "under load": 20, "write blocked": 500} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := inBubble(t, Config{ResponseTimeout: time.Hour}, 16<<10)
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
					t.Errorf("the peer has %d submits whole, %d are reported as unknown", whole, maybe)
				}
			})
		})
	}
}

// A pause of our own machine that begins while an enquire_link is outstanding is not taken for
// silence of the peer: what arrived meanwhile is read first. A dead peer is detected all the
// same, also by a machine that is always late.
func TestAPauseOfOurOwnIsNoSilenceOfThePeer(t *testing.T) {
	const life, pause = time.Second, 20 * time.Second
	asking := func() *watch {
		w := &watch{interval: 5 * time.Second, timeout: 10 * time.Second, tick: 500 * time.Millisecond, due: life}
		for ask := false; !ask; {
			ask, _ = w.check(w.due, life)
		}
		return w
	}
	w := asking()
	if _, dead := w.check(w.due+pause, life); dead {
		t.Error("given up before its response was read")
	}
	read := w.due - w.tick
	if ask, dead := w.check(w.due, read); ask || dead || w.enquired != 0 {
		t.Errorf("its response was read: ask %v, dead %v", ask, dead)
	}
	for _, late := range []time.Duration{0, pause} {
		w := asking()
		asked, dead := w.enquired, false
		for !dead && w.due < time.Minute {
			_, dead = w.check(w.due+late, life)
		}
		if !dead || w.due-asked < w.timeout {
			t.Errorf("%v late at each check: dead %v, %v after the enquire_link", late, dead, w.due-asked)
		}
	}
}
