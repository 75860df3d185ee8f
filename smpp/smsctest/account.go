package smsctest

import (
	"maps"
	"slices"
	"sync"
	"time"

	"straks/smpp/wire"
)

// maxAccounts bounds the system_ids that are remembered.
const maxAccounts = 1000

// delivery is one message towards an ESME: a receipt or a mobile-originated one.
type delivery struct {
	command wire.CommandID // DeliverSM or DataSM
	msg     *wire.Message
	sent    time.Time // zero until it was written once
}

// account is a system_id: what waits for it, and the binds that may take it.
// It outlives its binds, so that a receipt waits for the next one.
type account struct {
	smsc     *SMSC
	systemID string

	mu      sync.Mutex
	binds   []*conn
	turn    int         // the bind that was asked last
	waiting []*delivery // for a bind with room in its window
}

// join adds a bind, unless its connection has ended meanwhile; what waits goes
// out over it.
func (a *account) join(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !c.alive() {
		return
	}
	a.binds = append(a.binds, c)
	a.smsc.n.add(&a.smsc.n.bindsNow, 1)
	a.smsc.n.count(&a.smsc.n.binds)
	a.dispatch()
}

// leave takes a bind away. What it had not acknowledged goes to the next, as it
// was sent, ahead of what waits.
func (a *account) leave(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.binds, c)
	if i < 0 {
		return
	}
	a.binds = slices.Delete(a.binds, i, i+1)
	a.smsc.n.add(&a.smsc.n.bindsNow, -1)
	a.again(c, slices.Sorted(maps.Keys(c.unacked)))
}

// again queues unacknowledged deliveries of c anew, in front. The caller holds mu.
func (a *account) again(c *conn, sequences []uint32) {
	var back []*delivery
	for _, seq := range sequences {
		back = append(back, c.unacked[seq])
		delete(c.unacked, seq)
	}
	a.waiting = slices.Concat(back, a.waiting)
	a.dispatch()
}

// deliver queues d and sends it as soon as a bind has room.
func (a *account) deliver(d *delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := &a.smsc.n
	if len(a.waiting) >= a.smsc.script().MaxWaiting {
		n.count(&n.dropped)
		n.add(&n.waitingNow, -1)
		return
	}
	a.waiting = append(a.waiting, d)
	a.dispatch()
}

// dispatch sends what waits while a bind has room. The caller holds mu.
func (a *account) dispatch() {
	window := a.smsc.script().Window
	for len(a.waiting) > 0 {
		c := a.roomy(window)
		if c == nil {
			return
		}
		d := a.waiting[0]
		a.waiting[0] = nil
		a.waiting = a.waiting[1:]
		a.write(c, d)
	}
	a.waiting = nil
}

// roomy returns the next bind in turn that has room in its window, or nil.
func (a *account) roomy(window int) *conn {
	for range a.binds {
		a.turn = (a.turn + 1) % len(a.binds)
		if c := a.binds[a.turn]; c.receives() && len(c.unacked) < window {
			return c
		}
	}
	return nil
}

// write puts d on the wire. The caller holds mu.
func (a *account) write(c *conn, d *delivery) {
	n := &a.smsc.n
	seq := c.seq.Add(1)
	if err := c.out.put(wire.Header{ID: d.command, Sequence: seq}, d.msg); err != nil {
		n.count(&n.dropped) // addresses as the submit had them, beyond what SMPP allows
		n.add(&n.waitingNow, -1)
		return
	}
	if !d.sent.IsZero() {
		n.count(&n.redelivered)
	}
	d.sent = time.Now()
	c.unacked[seq] = d
	n.count(&n.delivered)
}

// acknowledged takes the answer to a deliver_sm or data_sm. A temporary error
// brings it again after a pause; any other is the ESME's last word.
func (c *conn) acknowledged(sequence uint32, status wire.Status) {
	a := c.bound()
	if a == nil {
		return
	}
	d := a.take(c, sequence)
	if d == nil {
		return
	}
	n := &c.smsc.n
	switch status {
	case wire.ESMEOK:
		n.count(&n.acked)
		if observe := c.smsc.script().OnAck; observe != nil {
			observe(time.Since(d.sent))
		}
	case wire.ESMERxTAppn, wire.ESMEThrottled, wire.ESMEMsgQFul, wire.ESMESysErr:
		n.count(&n.postponed)
		c.smsc.clock.after(c.smsc.script().Retry, func() { a.deliver(d) })
		return
	default:
		n.count(&n.rejected)
	}
	n.add(&n.waitingNow, -1)
}

// take removes what c has sent under that sequence number; the room goes to
// what waits.
func (a *account) take(c *conn, sequence uint32) *delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := c.unacked[sequence]
	delete(c.unacked, sequence)
	a.dispatch()
	return d
}

// sweep sends again, for as long as c lives, what was not acknowledged in time.
func (c *conn) sweep(a *account) {
	timeout := c.smsc.script().AckTimeout
	c.smsc.clock.again(max(timeout/4, time.Millisecond), func() {
		if !c.alive() {
			return
		}
		a.sweep(c, time.Now().Add(-timeout))
		c.sweep(a)
	})
}

// sweep queues anew what was sent over c before late.
func (a *account) sweep(c *conn, late time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var sequences []uint32
	for seq, d := range c.unacked {
		if d.sent.Before(late) {
			sequences = append(sequences, seq)
		}
	}
	slices.Sort(sequences)
	a.again(c, sequences)
}
