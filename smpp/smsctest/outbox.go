package smsctest

import (
	"sync"

	"straks/smpp/wire"
)

const (
	outboxFull = 1 << 20  // octets; the reader waits while more is queued
	outboxMost = 16 << 20 // octets; a peer that lets more pile up is cut off
)

// outbox gathers what is to be written, so that one write carries all that has
// come up since the last.
type outbox struct {
	mu      sync.Mutex
	buf     []byte
	spare   []byte        // the buffer that was written last
	last    bool          // nothing is taken in any more; the connection ends when it is empty
	wake    chan struct{} // has room for one: there is something to write
	drained chan struct{} // has room for one: the writer took the buffer
	cut     func()        // ends the connection at once
}

func newOutbox(cut func()) *outbox {
	return &outbox{wake: make(chan struct{}, 1), drained: make(chan struct{}, 1), cut: cut}
}

// put appends one PDU. A peer that does not read what it is sent loses its
// connection here. The error is wire.Append's.
func (o *outbox) put(h wire.Header, body any) (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last {
		return nil // as good as lost on the way
	}
	o.buf, err = wire.Append(o.buf, h, body)
	if len(o.buf) > outboxMost {
		o.buf, o.last = nil, true
		o.cut()
	}
	signal(o.wake)
	return err
}

// raw appends octets as they are.
func (o *outbox) raw(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.last {
		o.buf = append(o.buf, b...)
	}
	signal(o.wake)
}

// finish ends the connection behind what has been put.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = true
	signal(o.wake)
}

// take returns what is to be written; last tells that nothing follows.
func (o *outbox) take() (b []byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b = o.buf
	o.buf, o.spare = o.spare[:0], b
	signal(o.drained)
	return b, o.last
}

// room waits while the outbox is full. It returns false when done is closed.
func (o *outbox) room(done <-chan struct{}) bool {
	for o.queued() > outboxFull {
		select {
		case <-o.drained:
		case <-done:
			return false
		}
	}
	return true
}

func (o *outbox) queued() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.buf)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
