package session

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound dials a session to a peer over a real socket.
func bound(t *testing.T, cfg Config) (*Session, *peertest.Peer) {
	t.Helper()
	addr, accept := peertest.Listen(t)
	cfg.Addr = addr
	cfg.Bind = wire.Bind{SystemID: "straks", Password: "secret"}
	peers := make(chan *peertest.Peer, 1)
	go func() {
		p := peertest.New(t, accept())
		p.AcceptBind()
		peers <- p
	}()
	s, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, <-peers
}

// outcome is what a Submit returned.
type outcome struct {
	Answer
	err error
}

// submit starts a Submit and returns where its outcome will be.
func submit(ctx context.Context, s *Session, req Request) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		a, err := s.Submit(ctx, req)
		c <- outcome{a, err}
	}()
	return c
}

func TestSubmitAndUnbind(t *testing.T) {
	s, p := bound(t, Config{Window: 2})
	if s.Peer().SystemID != "peer" {
		t.Errorf("peer is %+v", s.Peer())
	}
	got := submit(t.Context(), s, Request{Message: peertest.Hei()})
	f := p.Next(wire.SubmitSM)
	if s.InFlight() != 1 {
		t.Errorf("%d in flight, want 1", s.InFlight())
	}
	left := make(chan error, 1)
	go func() { left <- s.Unbind(context.Background()) }() // waits for the answer
	<-s.drain
	if _, err := s.Submit(t.Context(), Request{Message: peertest.Hei()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrDraining) {
		t.Errorf("submit while draining: %v", err)
	}
	p.Answer(f, "7f")
	if o := peertest.Wait(t, got); o.err != nil || o.MessageID != "7f" {
		t.Errorf("got %+v", o)
	}
	u := p.Next(wire.Unbind)
	p.Send(wire.UnbindResp, wire.ESMEOK, u.Sequence, nil)
	p.Conn.Close() // as most do at once; that is no loss
	if err := peertest.Wait(t, left); err != nil {
		t.Error(err)
	}
	if !errors.Is(s.Err(), ErrClosed) || s.InFlight() != 0 {
		t.Errorf("ended with %v, %d in flight", s.Err(), s.InFlight())
	}
}

// Slots of the window come free on every way that a submit can end.
func TestWindowSlots(t *testing.T) {
	late := make(chan Late, 1)
	var unmatched atomic.Int32
	s, p := bound(t, Config{
		Window: 1, ResponseTimeout: 50 * time.Millisecond,
		Late:    func(l Late) { late <- l },
		Observe: Observer{Unmatched: func(wire.CommandID) { unmatched.Add(1) }},
	})

	got := submit(t.Context(), s, Request{Message: peertest.Hei()})
	f := p.Next(wire.SubmitSM)
	p.Send(wire.SubmitSMResp, wire.ESMEThrottled, f.Sequence, nil)
	if o := peertest.Wait(t, got); o.err != nil || o.Status != wire.ESMEThrottled {
		t.Errorf("answer: %+v", o)
	}
	p.Send(wire.SubmitSMResp, wire.ESMEThrottled, f.Sequence, nil) // again: answers nothing

	got = submit(t.Context(), s, Request{Message: peertest.Hei()})
	f = p.Next(wire.SubmitSM)
	p.Send(wire.GenericNack, wire.ESMEInvCmdLen, f.Sequence, nil)
	if o := peertest.Wait(t, got); o.err != nil || o.Status != wire.ESMEInvCmdLen || !o.Nack {
		t.Errorf("generic_nack: %+v", o)
	}

	got = submit(t.Context(), s, Request{Message: peertest.Hei(), Ref: "forgotten"})
	f = p.Next(wire.SubmitSM)
	if o := peertest.Wait(t, got); !errors.Is(o.err, ErrUnknown) || !errors.Is(o.err, ErrNoAnswer) || errors.Is(o.err, ErrNotSent) {
		t.Errorf("time-out: %+v", o)
	}
	p.Answer(f, "late")
	if l := peertest.Wait(t, late); l.Ref != "forgotten" || l.MessageID != "late" || l.Took < 50*time.Millisecond {
		t.Errorf("late: %+v", l)
	}
	p.Answer(f, "late") // later still: answers nothing
	peertest.Eventually(t, "two answers matched nothing", func() bool { return unmatched.Load() == 2 })

	got = submit(t.Context(), s, Request{Message: peertest.Hei()})
	p.Next(wire.SubmitSM)
	p.Conn.Close()
	if o := peertest.Wait(t, got); !errors.Is(o.err, ErrUnknown) || !errors.Is(o.err, ErrLost) {
		t.Errorf("loss: %+v", o)
	}
	<-s.Done()
	if s.InFlight() != 0 {
		t.Errorf("%d slots in use at the end", s.InFlight())
	}
	if _, err := s.Submit(t.Context(), Request{Message: peertest.Hei()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrLost) {
		t.Errorf("after the end: %v", err)
	}
}

// Who gives up waiting for the window has sent nothing; who gives up waiting for
// the answer does not know, keeps the slot in use, and the answer goes to Late.
func TestGivingUp(t *testing.T) {
	late := make(chan Late, 1)
	s, p := bound(t, Config{Window: 1, Late: func(l Late) { late <- l }})
	ctx, giveUp := context.WithCancel(t.Context())
	first := submit(ctx, s, Request{Message: peertest.Hei(), Ref: 1})
	f := p.Next(wire.SubmitSM)
	second := submit(ctx, s, Request{Message: peertest.Hei(), Ref: 2})
	giveUp()
	if o := peertest.Wait(t, first); !errors.Is(o.err, ErrUnknown) || !errors.Is(o.err, context.Canceled) {
		t.Errorf("on the wire: %+v", o)
	}
	if o := peertest.Wait(t, second); !errors.Is(o.err, ErrNotSent) || !errors.Is(o.err, context.Canceled) {
		t.Errorf("before the window: %+v", o)
	}
	if s.InFlight() != 1 {
		t.Errorf("%d in flight, want 1", s.InFlight())
	}
	p.Answer(f, "a")
	if l := peertest.Wait(t, late); l.Ref != 1 || l.MessageID != "a" {
		t.Errorf("late: %+v", l)
	}
	third := submit(t.Context(), s, Request{Message: peertest.Hei()})
	p.Answer(p.Next(wire.SubmitSM), "c")
	if o := peertest.Wait(t, third); o.err != nil || o.MessageID != "c" {
		t.Errorf("afterwards: %+v", o)
	}
}

// Finish runs when the message is written; its refusal, and a message that SMPP
// does not allow, cost that message only.
func TestFinishAndFaultyMessages(t *testing.T) {
	s, p := bound(t, Config{})
	tooLate := errors.New("too late")
	if _, err := s.Submit(t.Context(), Request{Message: peertest.Hei(), Finish: func(*wire.Message) error { return tooLate }}); !errors.Is(err, ErrNotSent) || !errors.Is(err, tooLate) {
		t.Errorf("refused by Finish: %v", err)
	}
	bad := peertest.Hei()
	bad.Dest = "47\x00"
	var fault *wire.FieldError
	if _, err := s.Submit(t.Context(), Request{Message: bad}); !errors.Is(err, ErrNotSent) || !errors.As(err, &fault) {
		t.Errorf("NUL in the address: %v", err)
	}
	got := submit(t.Context(), s, Request{Message: peertest.Hei(), Finish: func(m *wire.Message) error {
		m.Validity = "000000000100000R"
		return nil
	}})
	f := p.Next(wire.SubmitSM)
	if body, err := wire.Decode(f); err != nil || body.(*wire.Message).Validity != "000000000100000R" {
		t.Errorf("sent %+v, %v", body, err)
	}
	p.Answer(f, "1")
	if o := peertest.Wait(t, got); o.err != nil {
		t.Error(o.err)
	}
	if s.InFlight() != 0 {
		t.Errorf("%d slots in use", s.InFlight())
	}
}

// A message_id goes into the journal: one beyond all bounds counts as none, and the
// message is taken all the same.
func TestMessageIDIsBounded(t *testing.T) {
	var faults atomic.Int32
	s, p := bound(t, Config{Observe: Observer{Undecodable: func(*wire.DecodeError) { faults.Add(1) }}})
	for octets, want := range map[int]int{65: 65, maxMessageID: maxMessageID, maxMessageID + 1: 0, 69_000: 0} {
		got := submit(t.Context(), s, Request{Message: peertest.Hei()})
		p.AnswerRaw(p.Next(wire.SubmitSM), strings.Repeat("x", octets))
		if o := peertest.Wait(t, got); o.err != nil || o.Status != wire.ESMEOK || len(o.MessageID) != want {
			t.Errorf("%d octets: %v, %v, an id of %d", octets, o.err, o.Status, len(o.MessageID))
		}
	}
	if n := faults.Load(); n != 2 {
		t.Errorf("%d of them were counted as faulty", n)
	}
}

func TestUnknownAndForeignPDUs(t *testing.T) {
	s, p := bound(t, Config{})
	for _, id := range []wire.CommandID{0x99, 0x00010203, wire.QuerySM, wire.SubmitSM, wire.BindReceiver} {
		p.Write([]byte{0, 0, 0, 18, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), 0, 0, 0, 0, 0, 0, 0, 3, 'j', 'k'})
		if r := p.Next(wire.GenericNack); r.Status != wire.ESMEInvCmdID || r.Sequence != 3 {
			t.Errorf("%v answered with %+v", id, r)
		}
	}
	p.Send(wire.AlertNotification, wire.ESMEOK, 4, &wire.Alert{})                                    // wants no answer
	p.Write([]byte{0, 0, 0, 18, 0x80, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 3, 'j', 'k'})                 // enquire_link_resp with junk
	p.Write([]byte{0, 0, 0, 20, 0x80, 0, 0, 4, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 'a', 0, 0x14, 0}) // an answer to nothing
	p.Send(wire.EnquireLink, wire.ESMEOK, 0x80000001, nil)
	if r := p.Next(wire.EnquireLinkResp); r.Sequence != 0x80000001 {
		t.Errorf("enquire_link answered with %+v", r)
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

func TestGarbage(t *testing.T) {
	s, p := bound(t, Config{})
	p.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	if r := p.Next(wire.GenericNack); r.Status != wire.ESMEInvCmdLen {
		t.Errorf("got %+v", r)
	}
	p.Gone()
	<-s.Done()
	var fault *wire.FrameError
	if !errors.As(s.Err(), &fault) {
		t.Errorf("ended with %v", s.Err())
	}
}

// The SMSC unbinds while a submit and a delivery are open: both are finished,
// then unbind is answered and the session ends with a name for it.
func TestSMSCUnbinds(t *testing.T) {
	deliveries := make(chan *Delivery, 1)
	s, p := bound(t, Config{Deliver: func(d *Delivery) { deliveries <- d }})
	got := submit(t.Context(), s, Request{Message: peertest.Hei()})
	f := p.Next(wire.SubmitSM)
	p.Send(wire.DeliverSM, wire.ESMEOK, 1, peertest.Hei())
	p.Send(wire.Unbind, wire.ESMEOK, 2, nil)
	<-s.drain
	p.Answer(f, "last")
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
}

// A peer that writes and does not read: nothing here grows, and the write
// deadline ends it. Of the submits, those that the writer had not begun are
// surely not sent.
func TestPeerThatDoesNotRead(t *testing.T) {
	s, p := bound(t, Config{Window: 2000, DeadAfter: 500 * time.Millisecond, EnquireInterval: 100 * time.Millisecond})
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() { // it is alive, in its way
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
	m := peertest.Hei()
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
	whole := 0 // of what the peer could have read, all is unknown
	p.Conn.SetReadDeadline(time.Now().Add(peertest.Patience))
	for {
		if _, err := p.Frames.Next(); err != nil {
			break
		}
		whole++
	}
	if whole > maybe {
		t.Errorf("the peer has %d, of which only %d are said to be unknown", whole, maybe)
	}
}
