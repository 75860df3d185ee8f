package smsctest

import (
	"time"

	"straks/smpp/wire"
)

// bind handles bind_transmitter, bind_receiver and bind_transceiver (SMPP 3.4 §4.1).
func (c *conn) bind(f wire.Frame) {
	req, ok := decode[wire.Bind](c, f)
	if !ok {
		return
	}
	script := c.smsc.script()
	status := c.admit(script, f.ID, req)
	if script.ChattyBind {
		c.request(wire.EnquireLink)
	}
	c.smsc.clock.after(script.BindDelay, func() { c.finishBind(f, req, status) })
}

// admit decides about a bind.
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

// finishBind answers the bind. What waits for the system_id follows the answer.
func (c *conn) finishBind(f wire.Frame, req *wire.Bind, status wire.Status) {
	n := &c.smsc.n
	var a *account
	if c.bound() != nil {
		status = wire.ESMEAlyBnd // bound twice within BindDelay
	}
	if status == wire.ESMEOK {
		if a = c.smsc.account(req.SystemID); a == nil {
			status = wire.ESMEBindFail
		}
	}
	if status != wire.ESMEOK {
		n.count(&n.bindsRefused)
		c.reply(f, status, nil)
		return
	}
	c.kind, c.since, c.version = f.ID, time.Now(), req.InterfaceVersion
	c.account.Store(a) // ahead of the answer: the next PDU may be here at once
	c.nc.SetReadDeadline(time.Time{})
	answer := &wire.BindResp{SystemID: "smsctest"}
	if !c.smsc.script().Version33 {
		answer.TLVs = []wire.TLV{wire.OctetTLV(wire.TagSCInterfaceVersion, 0x34)}
	}
	c.reply(f, wire.ESMEOK, answer)
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

// Binds returns what is bound now, oldest first.
func (s *SMSC) Binds() []Bind {
	var binds []Bind
	for _, c := range s.bound() {
		binds = append(binds, Bind{c.id, c.bound().systemID, c.kind, c.nc.RemoteAddr().String(), c.since, c.version})
	}
	return binds
}
