package session

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"straks/smpp/wire"
)

const (
	// batch is how many submits the writer takes at a time. What it has taken
	// cannot be withdrawn any more, so it takes few.
	batch = 32
	// spill is the length, in octets, from which what is encoded is written.
	spill = 16 << 10
	// crowd is how many PDUs may wait in urgent before the reader waits for the
	// writer, beside the answers to deliveries, which have a bound of their own.
	crowd = 1024
)

// outgoing is a PDU that goes past the window: an answer, enquire_link, bind or
// unbind.
type outgoing struct {
	wire.Header
	body     any
	exchange *exchange // bind and unbind: what waits for the answer
	delivery int       // not 0: it answers a delivery of so many octets that was given out
	last     error     // not nil: the session ends with it once this is written
}

// mark says where in the buffer the submit of an exchange begins.
type mark struct {
	exchange *exchange
	start    int
}

// urge queues a PDU that goes past the window. Once the session ends there is
// nobody to send it.
func (s *Session) urge(o outgoing) {
	s.mu.Lock()
	if s.cause == nil {
		s.urgent = append(s.urgent, o)
	} else if o.exchange != nil {
		s.settle(o.exchange, result{err: s.cause})
	}
	s.mu.Unlock()
	s.nudge()
}

// nudge wakes the writer.
func (s *Session) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// load is what the writer took to be written next.
type load struct {
	urgent  []outgoing
	submits []numbered
}

type numbered struct {
	exchange *exchange
	seq      uint32
}

// write takes what is queued, encodes it and writes it, until the session ends.
// While one write is under way the next ones gather. Once awake it lets all run
// who are ready, since they may queue something too: a commit of the journal sets
// many messages free at once, and each would be a write of its own.
func (s *Session) write() error {
	var w burst
	var l load
	for {
		if !s.take(&l) {
			select {
			case <-s.wake:
				runtime.Gosched()
				continue
			case <-s.closing:
				return nil
			}
		}
		if err := s.writeLoad(&w, &l); err != nil {
			return err
		}
	}
}

// take moves what is to be written next into l, and tells whether that is
// anything. Each submit taken becomes pending here.
func (s *Session) take(l *load) bool {
	now := s.since()
	s.mu.Lock()
	defer s.mu.Unlock()
	l.urgent, s.urgent = s.urgent, l.urgent[:0]
	for i := range l.urgent {
		o := &l.urgent[i]
		if o.delivery > 0 {
			s.released(o.delivery)
		}
		if o.exchange != nil || o.ID == wire.EnquireLink {
			o.Sequence = s.number(o.exchange, now)
		}
	}
	if len(l.urgent) > 0 {
		s.checkIdle()
		select {
		case s.room <- struct{}{}:
		default:
		}
	}
	if l.submits = l.submits[:0]; !slices.ContainsFunc(l.urgent, isLast) {
		s.takeSubmits(l, now)
	}
	return len(l.urgent)+len(l.submits) > 0
}

// number gives an urgent request its sequence_number. An enquire_link has no
// exchange: whatever the peer sends shows that it lives.
func (s *Session) number(x *exchange, now time.Duration) uint32 {
	if x == nil {
		return s.nextSequence()
	}
	return s.register(x, now)
}

// isLast tells whether the session ends with it. What is queued then stays so, and is
// settled as not sent: behind a generic_nack or unbind_resp nobody reads it.
func isLast(o outgoing) bool { return o.last != nil }

func (s *Session) takeSubmits(l *load, now time.Duration) {
	n := min(len(s.queue), batch)
	for _, x := range s.queue[:n] {
		if x.ctx.Err() != nil { // its caller is about to leave
			s.settle(x, result{err: notSent(context.Cause(x.ctx))})
			continue
		}
		l.submits = append(l.submits, numbered{x, s.register(x, now)})
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

// burst is what goes out in one write.
type burst struct {
	buf   []byte
	marks []mark
	last  error
}

// writeLoad encodes l and writes it, whenever enough has come together and at
// the end. What was not reached when a write fails is marked unsent.
func (s *Session) writeLoad(w *burst, l *load) error {
	for i := range l.urgent {
		s.encodeUrgent(w, &l.urgent[i])
		if err := s.flush(w, spill); err != nil {
			s.unsent(l.submits)
			return err
		}
	}
	clear(l.urgent)
	for i, n := range l.submits {
		s.encodeSubmit(w, n)
		if err := s.flush(w, spill); err != nil {
			s.unsent(l.submits[i+1:])
			return err
		}
	}
	if err := s.flush(w, 1); err != nil {
		return err
	}
	return w.last
}

// encodeUrgent appends a PDU of our own making. That it cannot be encoded is a
// fault of this program, or of a bind's configuration, which Dial has checked.
func (s *Session) encodeUrgent(w *burst, o *outgoing) {
	out, err := wire.Append(w.buf, o.Header, o.body)
	if err != nil {
		w.last = fmt.Errorf("smpp: cannot encode %v: %w", o.ID, err)
		return
	}
	w.buf = out
	if w.last == nil {
		w.last = o.last
	}
}

// encodeSubmit has the message finished and appends it; a message that cannot be
// sent fails by itself.
func (s *Session) encodeSubmit(w *burst, n numbered) {
	req := &n.exchange.req
	var err error
	if req.Finish != nil {
		err = req.Finish(req.Message)
	}
	start := len(w.buf)
	if err == nil {
		w.buf, err = wire.Append(w.buf, wire.Header{ID: wire.SubmitSM, Sequence: n.seq}, req.Message)
	}
	if err != nil {
		s.mu.Lock()
		if s.pending[n.seq] == n.exchange { // else answered before it was asked
			delete(s.pending, n.seq)
			s.settle(n.exchange, result{err: notSent(err)})
		}
		s.mu.Unlock()
		return
	}
	w.marks = append(w.marks, mark{n.exchange, start})
}

// flush writes the burst if it has at least so many octets. Of a write that
// fails, the submits behind the octets that went surely did not leave.
func (s *Session) flush(w *burst, least int) error {
	if len(w.buf) < least {
		return nil
	}
	// The deadline fails only on a closed socket, and then Write says so.
	_ = s.socket.SetWriteDeadline(time.Now().Add(s.cfg.DeadAfter))
	n, err := s.conn.Write(w.buf)
	if err != nil {
		s.mu.Lock()
		for _, m := range w.marks {
			m.exchange.unsent = m.start >= n
		}
		s.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	clear(w.marks)
	w.buf, w.marks = w.buf[:0], w.marks[:0]
	if cap(w.buf) > 4*spill {
		w.buf = nil // a long message_payload came by; give its room back
	}
	return nil
}

// unsent marks submits that were taken and never encoded.
func (s *Session) unsent(rest []numbered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range rest {
		n.exchange.unsent = true
	}
}
