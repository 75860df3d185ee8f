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
	// maxBatch is how many submits the writer takes at a time. A submit that it has taken
	// cannot be withdrawn any more, so it takes few.
	maxBatch = 32
	// flushSize is the length of encoded PDUs, in octets, from which they are written.
	flushSize = 16 << 10
	// maxControls is how many control PDUs may be queued before the reader waits for the
	// writer, beside the responses to deliveries, which have a bound of their own.
	maxControls = 1024
)

// control is a PDU that goes before submits: a response, enquire_link, bind or unbind.
type control struct {
	wire.Header
	body     any
	exchange *exchange // of bind and unbind, which wait for a response
	delivery int       // not 0: it answers a delivery of that many octets that was given to Deliver
	last     error     // not nil: the session ends with it once this is written
}

// sendControl queues a control PDU. Once the session ends, nobody sends it.
func (s *Session) sendControl(c control) {
	s.mu.Lock()
	if s.cause == nil {
		s.controls = append(s.controls, c)
	} else if c.exchange != nil {
		s.settle(c.exchange, result{err: s.cause})
	}
	s.mu.Unlock()
	s.wakeWriter()
}

func (s *Session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// batch is what the writer took from the queues.
type batch struct {
	controls []control
	submits  []numbered
}

type numbered struct {
	exchange *exchange
	seq      uint32
}

// write takes what is queued, encodes and writes it, until the session ends.
// During one write the next PDUs gather. Once awake, the writer yields to all goroutines that
// are ready, since they may queue something too: a commit of the journal sets
// many messages free at once, and each would be a write of its own.
func (s *Session) write() error {
	var w writeBuffer
	var b batch
	for {
		if !s.take(&b) {
			select {
			case <-s.wake:
				runtime.Gosched()
				continue
			case <-s.closing:
				return nil
			}
		}
		if err := s.writeBatch(&w, &b); err != nil {
			return err
		}
	}
}

// take moves queued PDUs into b and reports whether there are any. Each submit taken
// becomes pending here.
func (s *Session) take(b *batch) bool {
	now := s.since()
	s.mu.Lock()
	defer s.mu.Unlock()
	b.controls, s.controls = s.controls, b.controls[:0]
	for i := range b.controls {
		c := &b.controls[i]
		if c.delivery > 0 {
			s.released(c.delivery)
		}
		switch {
		case c.exchange != nil:
			c.Sequence = s.register(c.exchange, now)
		case c.ID == wire.EnquireLink: // no exchange: any PDU of the peer shows that it lives
			c.Sequence = s.nextSequence()
		}
	}
	if len(b.controls) > 0 {
		s.checkIdle()
		select {
		case s.taken <- struct{}{}:
		default:
		}
	}
	// After a generic_nack or unbind_resp that ends the session the peer reads no submit.
	// Those queued then stay so, and are settled as not sent.
	b.submits = b.submits[:0]
	if !slices.ContainsFunc(b.controls, func(c control) bool { return c.last != nil }) {
		s.takeSubmits(b, now)
	}
	return len(b.controls)+len(b.submits) > 0
}

func (s *Session) takeSubmits(b *batch, now time.Duration) {
	n := min(len(s.queue), maxBatch)
	for _, x := range s.queue[:n] {
		if x.ctx.Err() != nil { // its caller is about to leave
			s.settle(x, result{err: notSent(context.Cause(x.ctx))})
			continue
		}
		b.submits = append(b.submits, numbered{x, s.register(x, now)})
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

// writeBuffer is what goes out in one write.
type writeBuffer struct {
	octets  []byte
	submits []boundary
	last    error
}

// boundary is where the submit of an exchange begins in the buffer.
type boundary struct {
	exchange *exchange
	start    int
}

// writeBatch encodes b. It writes whenever flushSize octets have gathered, and at
// the end. The submits that a failed write did not reach are marked unsent.
func (s *Session) writeBatch(w *writeBuffer, b *batch) error {
	for i := range b.controls {
		encodeControl(w, &b.controls[i])
		if err := s.flush(w, flushSize); err != nil {
			s.markUnsent(b.submits)
			return err
		}
	}
	clear(b.controls)
	for i, n := range b.submits {
		s.encodeSubmit(w, n)
		if err := s.flush(w, flushSize); err != nil {
			s.markUnsent(b.submits[i+1:])
			return err
		}
	}
	if err := s.flush(w, 1); err != nil {
		return err
	}
	return w.last
}

// encodeControl appends a control PDU. One that cannot be encoded is a
// fault of this program, or of a bind's configuration, which Dial has checked.
func encodeControl(w *writeBuffer, c *control) {
	out, err := wire.Append(w.octets, c.Header, c.body)
	if err != nil {
		w.last = fmt.Errorf("smpp: cannot encode %v: %w", c.ID, err)
		return
	}
	w.octets = out
	if w.last == nil {
		w.last = c.last
	}
}

// encodeSubmit calls Finish and appends the message. One that cannot be sent fails alone.
func (s *Session) encodeSubmit(w *writeBuffer, n numbered) {
	req := &n.exchange.req
	var err error
	if req.Finish != nil {
		err = req.Finish(req.Message)
	}
	start := len(w.octets)
	if err == nil {
		w.octets, err = wire.Append(w.octets, wire.Header{ID: wire.SubmitSM, Sequence: n.seq}, req.Message)
	}
	if err != nil {
		s.mu.Lock()
		if s.pending[n.seq] == n.exchange { // else the peer answered a submit that it never got
			delete(s.pending, n.seq)
			s.settle(n.exchange, result{err: notSent(err)})
		}
		s.mu.Unlock()
		return
	}
	w.submits = append(w.submits, boundary{n.exchange, start})
}

// flush writes the buffer if it has at least that many octets. When a write
// fails, the submits that begin after the octets written surely did not leave.
func (s *Session) flush(w *writeBuffer, least int) error {
	if len(w.octets) < least {
		return nil
	}
	// The deadline fails only on a closed socket, and then Write fails too.
	_ = s.socket.SetWriteDeadline(time.Now().Add(s.cfg.DeadAfter))
	n, err := s.conn.Write(w.octets)
	if err != nil {
		s.mu.Lock()
		for _, b := range w.submits {
			b.exchange.unsent = b.start >= n
		}
		s.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	clear(w.submits)
	w.octets, w.submits = w.octets[:0], w.submits[:0]
	if cap(w.octets) > 4*flushSize {
		w.octets = nil // frees the room that a long message_payload took
	}
	return nil
}

// markUnsent marks submits that were taken and never encoded.
func (s *Session) markUnsent(rest []numbered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range rest {
		n.exchange.unsent = true
	}
}
