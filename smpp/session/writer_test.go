package session

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/memnet"
	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// A peer writes and does not read: nothing here grows, and the write
// deadline ends the session. Submits that the writer had not begun are
// surely not sent.
func TestPeerThatDoesNotRead(t *testing.T) {
	s, p := bound(t, Config{DeadAfter: 500 * time.Millisecond, EnquireInterval: 100 * time.Millisecond})
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() { // a sign of life now and then
		defer close(stopped)
		enquire, _ := wire.Append(nil, wire.Header{ID: wire.EnquireLinkResp, Sequence: 1}, nil)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				p.Conn.Write(enquire)
			}
		}
	}()
	m := peertest.Message()
	m.ShortMessage = nil
	m.TLVs = []wire.TLV{{Tag: wire.TagMessagePayload, Value: []byte(strings.Repeat("x", 60_000))}}
	outcomes := make(chan error, 500)
	for range cap(outcomes) {
		go func() {
			_, err := s.Submit(t.Context(), Request{Message: m})
			outcomes <- err
		}()
	}
	var unsent, maybe int
	for range cap(outcomes) {
		switch err := peertest.Wait(t, outcomes); {
		case errors.Is(err, ErrNotSent) && !errors.Is(err, ErrUnknown):
			unsent++
		case errors.Is(err, ErrUnknown):
			maybe++
		default:
			t.Fatalf("got %v", err)
		}
	}
	close(stop)
	<-stopped
	<-s.Done()
	if unsent == 0 || maybe == 0 || !errors.Is(s.Err(), ErrLost) {
		t.Errorf("%d not sent, %d unknown, ended with %v", unsent, maybe, s.Err())
	}
	whole := 0 // every submit that the peer could have read is unknown
	p.Conn.SetReadDeadline(time.Now().Add(peertest.Patience))
	for {
		if _, err := p.Frames.Next(); err != nil {
			break
		}
		whole++
	}
	if whole > maybe {
		t.Errorf("the peer has %d, of which only %d are reported as unknown", whole, maybe)
	}
}

// A submit that is queued when the last PDU of the session is written does not follow it, and
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
				long := peertest.Message()
				long.ShortMessage = make([]byte, 254)
				first := submit(t.Context(), s, Request{Message: long}) // holds the writer up
				synctest.Wait()
				queued := submit(t.Context(), s, Request{Message: peertest.Message()})
				synctest.Wait()
				p.Write(last.octets)
				time.Sleep(2 * idleGrace)
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

// A peer that asks without reading is not read either, once maxControls responses wait
// for it. Its requests are answered when it reads again.
func TestFloodByAPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const flood = 20_000
		s, p := inBubble(t, Config{Deliveries: 10}, 1<<10)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			b, _ := wire.Append(nil, wire.Header{ID: wire.DeliverSM, Sequence: 7}, peertest.Message())
			for range flood {
				theirs := p.Conn.(*memnet.Conn)
				if _, err := theirs.Write(b); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		s.mu.Lock()
		if n := len(s.controls); n < maxControls || n > maxControls+s.cfg.Deliveries {
			t.Errorf("%d responses wait, want about %d", n, maxControls)
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
