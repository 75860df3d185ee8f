package smsctest

import (
	"time"

	"straks/smpp/wire"
)

// submit handles submit_sm (SMPP 3.4 §4.4) and data_sm (§4.7): it decides what
// becomes of the message, writes that down, and plays it.
func (c *conn) submit(f wire.Frame, at time.Time) {
	if !c.transmits() {
		c.smsc.n.count(&c.smsc.n.malformed)
		c.reply(f, wire.ESMEInvBndSts, nil)
		return
	}
	m, ok := decode[wire.Message](c, f)
	if !ok {
		return
	}
	script := c.smsc.script()
	if script.Version33 && len(m.TLVs) > 0 {
		c.smsc.n.count(&c.smsc.n.malformed)
		c.reply(f, wire.ESMEInvCmdLen, nil)
		return
	}
	p := &play{conn: c, scene: script.towards(m.Dest), submit: Submit{
		Message: *m, Command: f.ID, Sequence: f.Sequence, Bind: c.id,
		SystemID: c.bound().systemID, At: at, alphabet: script.Alphabet,
	}}
	p.judge()
	c.smsc.note(&p.submit)
	p.perform()
}

// play is what becomes of one submit.
type play struct {
	*conn
	*scene
	submit Submit
	number uint64 // of the message id; 0 where it was refused
	nacked bool   // refused by generic_nack
}

// judge decides whether the message is taken, and under which id.
func (p *play) judge() {
	if p.submit.Status = p.verdict(); p.submit.Status != wire.ESMEOK {
		return
	}
	p.number = p.smsc.nextID(p.IDReuse)
	p.submit.MessageID = p.AnswerID.write(p.number)
}

func (p *play) verdict() wire.Status {
	dice := p.smsc.dice
	switch {
	case p.Status != wire.ESMEOK && dice.oneIn(max(1, p.StatusOneIn)):
		return p.Status
	case p.limiter != nil && !p.limiter.AllowN(p.submit.At, 1):
		return wire.ESMEThrottled
	case dice.oneIn(p.Throttle):
		return wire.ESMEThrottled
	case dice.oneIn(p.QueueFull):
		return wire.ESMEMsgQFul
	case dice.oneIn(p.Nack):
		p.nacked = true
		return wire.ESMESysErr
	case p.ThrottleFirst > 0 && p.smsc.grudges.hold(p.submit.Dest, p.ThrottleFirst):
		return wire.ESMEThrottled
	}
	return wire.ESMEOK
}

// perform does what the scene says around the answer. A receipt that does not
// come early follows the answer, or the moment where it would have been.
func (p *play) perform() {
	dice := p.smsc.dice
	if dice.oneIn(p.MischiefOneIn) {
		p.misbehave(p.Mischief)
	}
	if dice.oneIn(p.scene.Freeze) {
		p.freeze(p.FreezeFor)
	}
	if p.Receipt.Early {
		p.receipts(0)
	}
	if dice.oneIn(p.Close) {
		p.withhold()
		p.smsc.n.count(&p.smsc.n.closed)
		p.out.finish()
		return
	}
	wait := dice.spread(p.Delay, p.Jitter)
	if p.Reorder > 1 {
		p.smsc.clock.after(wait, func() { p.hold(p.Reorder, p.conclude) })
		return
	}
	p.smsc.clock.after(wait, p.conclude)
}

// conclude answers, or keeps silent, and sees to the receipts.
func (p *play) conclude() {
	if p.submit.Taken() && p.smsc.dice.oneIn(p.Lose) {
		p.withhold()
		return
	}
	p.answer()
	if p.smsc.dice.oneIn(p.Twice) {
		p.answer()
	}
	if !p.Receipt.Early {
		p.receipts(p.smsc.dice.spread(p.Receipt.Delay, p.Receipt.Jitter))
	}
}

// withhold leaves the answer out. What was taken gets its receipt all the same.
func (p *play) withhold() {
	p.smsc.n.count(&p.smsc.n.unanswered)
	if !p.Receipt.Early {
		p.receipts(p.smsc.dice.spread(p.Receipt.Delay, p.Receipt.Jitter))
	}
}

func (p *play) answer() {
	h := wire.Header{ID: p.submit.Command.Response(), Status: p.submit.Status, Sequence: p.submit.Sequence}
	var tlvs []wire.TLV
	if p.Congestion > 0 {
		tlvs = []wire.TLV{wire.OctetTLV(wire.TagCongestionState, p.Congestion)}
	}
	switch {
	case p.nacked:
		p.nack(h.Sequence, h.Status)
	case !p.submit.Taken() && tlvs == nil:
		p.send(h, nil)
	default:
		p.send(h, &wire.MessageResp{MessageID: p.submit.MessageID, TLVs: tlvs})
	}
}

// holdFor is how long an answer waits for others to change places with.
const holdFor = 50 * time.Millisecond

// hold keeps answers until there are n of them and runs them last first. A
// smaller group is run when the first of it has waited long enough.
func (c *conn) hold(n int, answer func()) {
	c.heldMu.Lock()
	c.held = append(c.held, answer)
	first, full := len(c.held) == 1, len(c.held) >= n
	c.heldMu.Unlock()
	switch {
	case full:
		c.release()
	case first:
		c.smsc.clock.after(holdFor, c.release)
	}
}

func (c *conn) release() {
	c.heldMu.Lock()
	held := c.held
	c.held = nil
	c.heldMu.Unlock()
	for i := len(held) - 1; i >= 0; i-- {
		held[i]()
	}
}

// note writes a submit down, counts it and tells the profile's observer.
func (s *SMSC) note(sub *Submit) {
	s.record.add(*sub)
	if observe := s.script().OnSubmit; observe != nil {
		observe(*sub)
	}
	n := &s.n
	switch sub.Status {
	case wire.ESMEOK:
		n.taken.Add(1)
	case wire.ESMEThrottled, wire.ESMEMsgQFul:
		n.throttled.Add(1)
	default:
		n.refused.Add(1)
	}
	n.count(&n.submits)
}
