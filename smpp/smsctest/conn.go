package smsctest

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"straks/smpp/wire"
)

// bindDeadline is how long a new connection may take until it is bound.
const bindDeadline = 30 * time.Second

// conn is one connection of an ESME. Two goroutines own it: read, which also
// decides about every PDU, and write. Timers and other connections only put
// into out.
type conn struct {
	smsc *SMSC
	id   uint64
	nc   net.Conn
	out  *outbox
	cold freezer
	seq  atomic.Uint32 // of our own requests: 1, 2, … as the ESME's, on purpose
	once sync.Once
	done chan struct{} // closed by close

	account atomic.Pointer[account] // nil until bound
	kind    wire.CommandID          // the bind request; set before account, as is since
	since   time.Time
	version byte // it bound as

	unacked map[uint32]*delivery // guarded by account.mu

	heldMu sync.Mutex
	held   []func() // answers that wait to be reordered
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
		if !c.warm() {
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

// warm waits while the connection or the whole SMSC is frozen. False means that
// the connection has ended.
func (c *conn) warm() bool { return c.cold.pass(c.done) && c.smsc.cold.pass(c.done) }

// read handles one PDU after the other until the connection ends.
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
		if !c.warm() || !c.out.room(c.done) {
			return
		}
		c.handle(f, at)
	}
}

// lost answers a stream that can't be read any further (SMPP 3.4 §4.3.1).
func (c *conn) lost(err error) {
	if frame := (*wire.FrameError)(nil); errors.As(err, &frame) {
		c.smsc.n.count(&c.smsc.n.malformed)
		c.nack(frame.Header.Sequence, wire.ESMEInvCmdLen)
	}
	c.out.finish()
}

func (c *conn) handle(f wire.Frame, at time.Time) {
	n := &c.smsc.n
	switch f.ID {
	case wire.SubmitSM, wire.DataSM:
		c.submit(f, at)
	case wire.DeliverSMResp, wire.DataSMResp:
		c.acknowledged(f.Sequence, f.Status)
	case wire.EnquireLink:
		n.count(&n.enquiries)
		c.reply(f, wire.ESMEOK, nil)
	case wire.EnquireLinkResp:
		n.count(&n.enquiryAnswers)
	case wire.BindTransmitter, wire.BindReceiver, wire.BindTransceiver:
		c.bind(f)
	case wire.Unbind:
		n.count(&n.unbinds)
		c.reply(f, wire.ESMEOK, nil)
		c.out.finish()
	case wire.UnbindResp:
		n.count(&n.unbindAnswers)
		c.out.finish()
	case wire.GenericNack:
		n.count(&n.nacks)
		c.acknowledged(f.Sequence, wire.ESMERxPAppn)
	default:
		c.stranger(f)
	}
}

// stranger answers PDUs that are not for an SMSC, or that this one does not know.
func (c *conn) stranger(f wire.Frame) {
	c.smsc.n.count(&c.smsc.n.malformed)
	if !f.ID.IsResponse() {
		c.send(wire.Header{ID: f.ID.Response(), Status: wire.ESMEInvCmdID, Sequence: f.Sequence}, nil)
	}
}

// bound returns the account, nil before the bind.
func (c *conn) bound() *account { return c.account.Load() }

func (c *conn) transmits() bool {
	return c.bound() != nil && c.kind != wire.BindReceiver
}

func (c *conn) receives() bool {
	return c.bound() != nil && c.kind != wire.BindTransmitter
}

// decode returns the body of a request, or answers what is wrong with it.
func decode[T any](c *conn, f wire.Frame) (*T, bool) {
	body, err := wire.Decode(f)
	if v, ok := body.(*T); ok && err == nil {
		return v, true
	}
	status := wire.ESMESysErr
	if fault := (*wire.DecodeError)(nil); errors.As(err, &fault) {
		status = fault.Status
	}
	c.smsc.n.count(&c.smsc.n.malformed)
	c.reply(f, status, nil)
	return nil, false
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

// send puts a PDU of our own making, which SMPP allows.
func (c *conn) send(h wire.Header, body any) {
	if err := c.out.put(h, body); err != nil {
		panic(err) // a defect here, never what a peer sent
	}
}

// enquire sends enquire_link at the profile's interval as long as the
// connection lives.
func (c *conn) enquire() {
	pause := c.smsc.script().Enquire
	if pause <= 0 {
		return
	}
	c.smsc.clock.again(pause, func() {
		if c.alive() {
			c.smsc.n.count(&c.smsc.n.enquiriesSent)
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
