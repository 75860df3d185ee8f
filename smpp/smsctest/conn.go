package smsctest

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"straks/smpp/wire"
)

// bindDeadline is how long a new connection may stay unbound.
const bindDeadline = 30 * time.Second

// conn is one connection of an ESME. Two goroutines own it: read, which also handles every
// PDU, and write. Timers and other connections only put octets into out.
type conn struct {
	smsc *SMSC
	id   uint64
	nc   net.Conn
	out  *outbox
	cold freezer
	seq  atomic.Uint32 // of our own requests: 1, 2, …, the same as the ESME's on purpose
	once sync.Once
	done chan struct{} // closed by close

	account atomic.Pointer[account] // nil until bound
	kind    wire.CommandID          // the bind request; kind, since and version are set before account
	since   time.Time
	version byte // interface_version of the bind

	unacked map[uint32]*delivery // guarded by account.mu

	heldMu sync.Mutex
	held   []func() // responses that wait to be reordered
}

func newConn(s *SMSC, id uint64, nc net.Conn) *conn {
	c := &conn{smsc: s, id: id, nc: nc, done: make(chan struct{}), unacked: map[uint32]*delivery{}}
	c.out = newOutbox(c.close)
	return c
}

// close ends the connection at once; what is queued is lost.
func (c *conn) close() {
	c.once.Do(func() {
		close(c.done)
		c.nc.Close()
	})
}

// write sends what is in the outbox until the connection ends.
func (c *conn) write() {
	defer c.close()
	for {
		select {
		case <-c.out.wake:
		case <-c.done:
			return
		}
		if !c.thawed() {
			return
		}
		b, last := c.out.take()
		if len(b) > 0 {
			if _, err := c.nc.Write(b); err != nil {
				return
			}
		}
		if last {
			return
		}
	}
}

// thawed waits while the connection or the whole SMSC is frozen. It returns false if the
// connection has ended.
func (c *conn) thawed() bool { return c.cold.pass(c.done) && c.smsc.cold.pass(c.done) }

// read handles one PDU after another until the connection ends.
func (c *conn) read() {
	r := wire.NewReader(c.nc)
	c.nc.SetReadDeadline(time.Now().Add(bindDeadline))
	for {
		f, err := r.Next()
		at := time.Now()
		if err != nil {
			c.lost(err)
			return
		}
		if !c.thawed() || !c.out.room(c.done) {
			return
		}
		if c.bound() != nil {
			c.expectMore()
		}
		c.handle(f, at)
	}
}

// expectMore gives a peer that is bound Profile.DeadAfter for its next PDU.
func (c *conn) expectMore() {
	var end time.Time // none
	if silence := c.smsc.script().DeadAfter; silence > 0 {
		end = time.Now().Add(silence)
	}
	c.nc.SetReadDeadline(end)
}

// lost ends a connection that can't be read any further, with a generic_nack if the fault
// is a command_length (SMPP 3.4 §4.3.1).
func (c *conn) lost(err error) {
	if frame := (*wire.FrameError)(nil); errors.As(err, &frame) {
		c.smsc.n.count(&c.smsc.n.Malformed)
		c.nack(frame.Header.Sequence, wire.ESMEInvCmdLen)
	}
	c.out.finish()
}

func (c *conn) handle(f wire.Frame, at time.Time) {
	n := c.smsc.n
	switch f.ID {
	case wire.SubmitSM, wire.DataSM:
		c.submit(f, at)
	case wire.DeliverSMResp, wire.DataSMResp:
		c.acknowledged(f.Sequence, f.Status)
	case wire.EnquireLink:
		n.count(&n.Enquiries)
		c.reply(f, wire.ESMEOK, nil)
	case wire.EnquireLinkResp:
		n.count(&n.EnquiryAnswers)
	case wire.BindTransmitter, wire.BindReceiver, wire.BindTransceiver:
		c.bind(f)
	case wire.Unbind:
		n.count(&n.Unbinds)
		c.reply(f, wire.ESMEOK, nil)
		c.out.finish()
	case wire.UnbindResp:
		n.count(&n.UnbindAnswers)
		c.out.finish()
	case wire.GenericNack:
		n.count(&n.Nacks)
		c.acknowledged(f.Sequence, wire.ESMERxPAppn)
	default:
		c.unsupported(f)
	}
}

// unsupported answers PDUs that are not for an SMSC, or that this one does not know.
func (c *conn) unsupported(f wire.Frame) {
	c.smsc.n.count(&c.smsc.n.Malformed)
	if !f.ID.IsResponse() {
		c.send(wire.Header{ID: f.ID.Response(), Status: wire.ESMEInvCmdID, Sequence: f.Sequence}, nil)
	}
}

// bound returns the account; nil before the bind.
func (c *conn) bound() *account { return c.account.Load() }

func (c *conn) transmits() bool {
	return c.bound() != nil && c.kind != wire.BindReceiver
}

func (c *conn) receives() bool {
	return c.bound() != nil && c.kind != wire.BindTransmitter
}

// malformed answers a request that can't be read, or doesn't belong here.
func (c *conn) malformed(f wire.Frame, status wire.Status) {
	c.smsc.n.count(&c.smsc.n.Malformed)
	c.reply(f, status, nil)
}

// reply answers the request f.
func (c *conn) reply(f wire.Frame, status wire.Status, body any) {
	c.send(wire.Header{ID: f.ID.Response(), Status: status, Sequence: f.Sequence}, body)
}

// request sends a request without a body, with a sequence number of our own.
func (c *conn) request(id wire.CommandID) {
	c.send(wire.Header{ID: id, Sequence: c.seq.Add(1)}, nil)
}

func (c *conn) nack(sequence uint32, status wire.Status) {
	c.send(wire.Header{ID: wire.GenericNack, Status: status, Sequence: sequence}, nil)
}

// send puts a PDU of our own making, which is always valid.
func (c *conn) send(h wire.Header, body any) {
	b, err := c.smsc.encode(h, body)
	if err != nil {
		panic(err) // a defect here, never what a peer sent
	}
	c.out.put(b)
}

// enquire sends enquire_link at the profile's interval until the connection ends.
func (c *conn) enquire() {
	pause := c.smsc.script().Enquire
	if pause <= 0 {
		return
	}
	c.smsc.clock.again(pause, func() {
		if c.alive() {
			c.smsc.n.count(&c.smsc.n.EnquiriesSent)
			c.request(wire.EnquireLink)
			c.enquire()
		}
	})
}

func (c *conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

const (
	outboxFull = 1 << 20  // octets; the reader waits while more is queued
	outboxMost = 16 << 20 // octets; a peer with more queued is disconnected
)

// outbox gathers octets to write, so that one write carries everything since the last.
type outbox struct {
	mu      sync.Mutex
	buf     []byte
	spare   []byte        // the buffer that was written last
	last    bool          // nothing more is accepted; the connection ends when the outbox is empty
	wake    chan struct{} // capacity 1: there is something to write
	drained chan struct{} // capacity 1: the writer took the buffer
	cut     func()        // ends the connection at once
}

func newOutbox(cut func()) *outbox {
	return &outbox{wake: make(chan struct{}, 1), drained: make(chan struct{}, 1), cut: cut}
}

// put appends octets. A peer that does not read is disconnected here.
func (o *outbox) put(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last {
		return // as good as lost on the way
	}
	o.buf = append(o.buf, b...)
	if len(o.buf) > outboxMost {
		o.buf, o.last = nil, true
		o.cut()
	}
	signal(o.wake)
}

// finish ends the connection after everything that was put.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = true
	signal(o.wake)
}

// take returns the octets to write. If last is set, nothing follows.
func (o *outbox) take() (b []byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b = o.buf
	o.buf, o.spare = o.spare[:0], b
	signal(o.drained)
	return b, o.last
}

// room waits while the outbox is full. It returns false once done is closed.
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
