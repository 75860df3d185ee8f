package smsctest

import (
	"maps"
	"slices"
	"sync"
	"time"

	"straks/smpp/wire"
)

// bind handles bind_transmitter, bind_receiver and bind_transceiver (SMPP 3.4 §4.1).
func (c *conn) bind(f wire.Frame) {
	req, status := decodeBind(f)
	if status != wire.ESMEOK {
		c.malformed(f, status)
		return
	}
	script := c.smsc.script()
	status = c.admit(script, f.ID, req)
	if script.ChattyBind {
		c.request(wire.EnquireLink)
	}
	c.smsc.clock.after(script.BindDelay, func() { c.finishBind(f, req, status) })
}

// admit returns the command_status for a bind.
func (c *conn) admit(p *script, kind wire.CommandID, req *wire.Bind) wire.Status {
	password, known := p.Accounts[req.SystemID]
	switch {
	case c.bound() != nil:
		return wire.ESMEAlyBnd
	case p.Version33 && kind == wire.BindTransceiver:
		return wire.ESMEInvCmdID
	case p.BindStatus != wire.ESMEOK:
		return p.BindStatus
	case p.Accounts != nil && !known:
		return wire.ESMEInvSysID
	case password != "" && password != req.Password:
		return wire.ESMEInvPaswd
	}
	return wire.ESMEOK
}

// finishBind answers the bind. Deliveries that wait for the system_id follow the response.
func (c *conn) finishBind(f wire.Frame, req *wire.Bind, status wire.Status) {
	n := c.smsc.n
	var a *account
	if c.bound() != nil {
		status = wire.ESMEAlyBnd // bound twice within BindDelay
	}
	if status == wire.ESMEOK {
		if a = c.smsc.account(req.SystemID); a == nil {
			status = wire.ESMEBindFail
		} else if script := c.smsc.script(); !a.reserve(f.ID, script.MaxBinds) {
			status = script.BindsFull
		}
	}
	if status != wire.ESMEOK {
		n.count(&n.BindsRefused)
		c.reply(f, status, nil)
		return
	}
	c.kind, c.since, c.version = f.ID, time.Now(), req.InterfaceVersion
	c.account.Store(a) // before the response: the next PDU may come at once
	c.expectMore()
	resp := &wire.BindResp{SystemID: "smsctest"}
	if !c.smsc.script().Version33 {
		resp.TLVs = []wire.TLV{wire.OctetTLV(wire.TagSCInterfaceVersion, 0x34)}
	}
	c.reply(f, wire.ESMEOK, resp)
	a.join(c)
	c.sweep(a)
	c.enquire()
}

// Bind describes one bound connection.
type Bind struct {
	ID       uint64 // as in Submit.Bind
	SystemID string
	Kind     wire.CommandID // BindTransmitter, BindReceiver or BindTransceiver
	Remote   string
	Since    time.Time
	Version  byte // interface_version (SMPP 3.4 §5.2.4)
}

// Binds returns the present binds, oldest first.
func (s *SMSC) Binds() []Bind {
	var binds []Bind
	for _, c := range s.bound() {
		binds = append(binds, Bind{c.id, c.bound().systemID, c.kind, c.nc.RemoteAddr().String(), c.since, c.version})
	}
	return binds
}

// maxAccounts bounds the system_ids that are remembered.
const maxAccounts = 1000

// delivery is one message towards an ESME: a receipt or a mobile-originated one.
type delivery struct {
	command wire.CommandID // DeliverSM or DataSM
	msg     *wire.Message
	sent    time.Time // when it was last written; zero before
}

// account is a system_id: the deliveries that wait for it, and its binds. It outlives its
// binds, so that a receipt waits for the next one.
type account struct {
	smsc     *SMSC
	systemID string

	mu      sync.Mutex
	binds   []*conn
	joining []wire.CommandID // kinds of the binds that are accepted and have not joined yet
	turn    int              // the bind that was tried last
	waiting []*delivery      // for a bind with a free slot in its window
}

// reserve accepts one more bind of a kind, and reports whether there may be one. join must follow.
func (a *account) reserve(kind wire.CommandID, most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	transmit, receive := 0, 0
	for _, k := range append(a.kinds(), kind) {
		if k != wire.BindReceiver {
			transmit++
		}
		if k != wire.BindTransmitter {
			receive++
		}
	}
	if most > 0 && (kind != wire.BindReceiver && transmit > most || kind != wire.BindTransmitter && receive > most) {
		return false
	}
	a.joining = append(a.joining, kind)
	return true
}

// kinds returns the kind of each bind. The caller holds mu.
func (a *account) kinds() []wire.CommandID {
	kinds := slices.Clone(a.joining)
	for _, c := range a.binds {
		kinds = append(kinds, c.kind)
	}
	return kinds
}

// join adds a bind, unless its connection has ended meanwhile, and sends over it what waits.
func (a *account) join(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.joining, c.kind)
	a.joining = slices.Delete(a.joining, i, i+1)
	if !c.alive() {
		return
	}
	a.binds = append(a.binds, c)
	a.smsc.n.count(&a.smsc.n.Binds)
	a.smsc.n.add(&a.smsc.n.BindsNow, 1)
	a.dispatch()
}

// leave removes a bind. Deliveries that it had not acknowledged are sent again, unchanged,
// before those that wait.
func (a *account) leave(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.binds, c)
	if i < 0 {
		return
	}
	a.binds = slices.Delete(a.binds, i, i+1)
	a.smsc.n.add(&a.smsc.n.BindsNow, -1)
	a.again(c, slices.Sorted(maps.Keys(c.unacked)))
}

// again queues unacknowledged deliveries of c at the front. The caller holds mu.
func (a *account) again(c *conn, sequences []uint32) {
	var back []*delivery
	for _, seq := range sequences {
		back = append(back, c.unacked[seq])
		delete(c.unacked, seq)
	}
	a.waiting = slices.Concat(back, a.waiting)
	a.dispatch()
}

// deliver queues d and sends it as soon as a bind has a free slot.
func (a *account) deliver(d *delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.smsc.n
	if len(a.waiting) >= a.smsc.script().MaxWaiting {
		n.count(&n.Dropped)
		n.add(&n.WaitingNow, -1)
		return
	}
	a.waiting = append(a.waiting, d)
	a.dispatch()
}

// dispatch sends what waits while a bind has a free slot. The caller holds mu.
func (a *account) dispatch() {
	window := a.smsc.script().Window
	for len(a.waiting) > 0 {
		c := a.next(window)
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

// next returns the next bind in turn with a free slot in its window, or nil.
func (a *account) next(window int) *conn {
	for range a.binds {
		a.turn = (a.turn + 1) % len(a.binds)
		if c := a.binds[a.turn]; c.receives() && len(c.unacked) < window {
			return c
		}
	}
	return nil
}

// write sends d over c. The caller holds mu.
func (a *account) write(c *conn, d *delivery) {
	n := a.smsc.n
	seq := c.seq.Add(1)
	b, err := a.smsc.encode(wire.Header{ID: d.command, Sequence: seq}, d.msg)
	if err != nil {
		n.count(&n.Dropped) // the submit's addresses were longer than SMPP allows
		n.add(&n.WaitingNow, -1)
		return
	}
	c.out.put(b)
	if !d.sent.IsZero() {
		n.count(&n.Redelivered)
	}
	d.sent = time.Now()
	c.unacked[seq] = d
	n.count(&n.Delivered)
}

// acknowledged handles the response to a deliver_sm or data_sm. After a temporary error the
// delivery is sent again, after Retry; any other error is final.
func (c *conn) acknowledged(sequence uint32, status wire.Status) {
	a := c.bound()
	if a == nil {
		return
	}
	d := a.take(c, sequence)
	if d == nil {
		return
	}
	n := c.smsc.n
	switch status {
	case wire.ESMEOK:
		n.count(&n.Acked)
		if observe := c.smsc.script().OnAck; observe != nil {
			observe(d.msg, time.Since(d.sent))
		}
	case wire.ESMERxTAppn, wire.ESMEThrottled, wire.ESMEMsgQFul, wire.ESMESysErr:
		n.count(&n.Postponed)
		c.smsc.clock.after(c.smsc.script().Retry, func() { a.deliver(d) })
		return
	default:
		n.count(&n.Rejected)
	}
	n.add(&n.WaitingNow, -1)
}

// take removes the delivery that c sent under that sequence number, and uses the free slot.
func (a *account) take(c *conn, sequence uint32) *delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := c.unacked[sequence]
	delete(c.unacked, sequence)
	a.dispatch()
	return d
}

// sweep sends again what was not acknowledged in time, until c ends.
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

// sweep queues again what was sent over c before late.
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
