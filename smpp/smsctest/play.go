package smsctest

import (
	"math/rand/v2"
	"sync"
	"time"

	"straks/smpp/wire"
)

// submit handles submit_sm (SMPP 3.4 §4.4) and data_sm (§4.7): it decides what happens to
// the message, records that, and plays it.
func (c *conn) submit(f wire.Frame, at time.Time) {
	if !c.transmits() {
		c.malformed(f, wire.ESMEInvBndSts)
		return
	}
	m, status := c.smsc.decodeMessage(f)
	if status != wire.ESMEOK {
		c.malformed(f, status)
		return
	}
	script := c.smsc.script()
	if script.Version33 && len(m.TLVs) > 0 {
		c.malformed(f, wire.ESMEInvCmdLen)
		return
	}
	p := &play{conn: c, scene: script.towards(m.Dest), submit: Submit{
		Message: *m, Command: f.ID, Sequence: f.Sequence, Bind: c.id,
		SystemID: c.bound().systemID, At: at, alphabet: script.Alphabet,
	}}
	p.decide()
	c.smsc.note(&p.submit)
	p.perform()
}

// play is what happens to one submit.
type play struct {
	*conn
	*scene
	submit Submit
	number uint64 // of the message id; 0 if it was refused
	nacked bool   // refused by generic_nack
}

// decide accepts the message under a new id, or refuses it.
func (p *play) decide() {
	if p.submit.Status = p.status(); p.submit.Status != wire.ESMEOK {
		return
	}
	p.number = p.smsc.nextID(p.IDReuse)
	p.submit.MessageID = p.AnswerID.write(p.number)
}

// status returns the command_status of the response.
func (p *play) status() wire.Status {
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
	case p.ThrottleFirst > 0 && p.smsc.first.throttles(p.submit.Dest, p.ThrottleFirst):
		return wire.ESMEThrottled
	}
	return wire.ESMEOK
}

// perform plays the quirks around the response. A receipt that is not early follows the
// response, or the moment at which a withheld response would have been sent.
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
		p.smsc.n.count(&p.smsc.n.Closed)
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

// conclude responds, unless the response must get lost, and sends the receipts.
func (p *play) conclude() {
	if p.submit.Taken() && p.smsc.dice.oneIn(p.Lose) {
		p.withhold()
		return
	}
	p.respond()
	if p.smsc.dice.oneIn(p.Twice) {
		p.respond()
	}
	if !p.Receipt.Early {
		p.receipts(p.smsc.dice.spread(p.Receipt.Delay, p.Receipt.Jitter))
	}
}

// withhold leaves the response out. An accepted message still gets its receipt.
func (p *play) withhold() {
	p.smsc.n.count(&p.smsc.n.Unanswered)
	if !p.Receipt.Early {
		p.receipts(p.smsc.dice.spread(p.Receipt.Delay, p.Receipt.Jitter))
	}
}

func (p *play) respond() {
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

// holdFor is how long a response waits for others to be reordered with.
const holdFor = 50 * time.Millisecond

// hold keeps responses until there are n of them and runs them last first. A smaller group
// is run when its first response has waited for holdFor.
func (c *conn) hold(n int, respond func()) {
	c.heldMu.Lock()
	c.held = append(c.held, respond)
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

// note records a submit, counts it and calls OnSubmit.
func (s *SMSC) note(sub *Submit) {
	s.record.add(*sub)
	if observe := s.script().OnSubmit; observe != nil {
		observe(*sub)
	}
	decision := &s.n.Refused
	switch sub.Status {
	case wire.ESMEOK:
		decision = &s.n.Taken
	case wire.ESMEThrottled, wire.ESMEMsgQFul:
		decision = &s.n.Throttled
	}
	s.n.count(decision)
	s.n.count(&s.n.Submits)
}

// dice makes every random choice of one SMSC, from the profile's seed.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, 0x5A5A))} }

// oneIn returns true once in n times on average; never for 0 and below.
func (d *dice) oneIn(n int) bool {
	if n <= 1 {
		return n == 1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n) == 0
}

// spread returns least plus at most jitter.
func (d *dice) spread(least, jitter time.Duration) time.Duration {
	if jitter <= 0 {
		return least
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return least + time.Duration(d.rng.Int64N(int64(jitter)+1))
}

// octets returns n random octets.
func (d *dice) octets(n int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(d.rng.Uint32())
	}
	return b
}

// maxThrottled bounds the numbers that throttleFirst remembers; beyond, it forgets all.
const maxThrottled = 100_000

// throttleFirst counts how often each number was throttled since its last accepted submit.
type throttleFirst struct {
	mu    sync.Mutex
	count map[string]int
}

// throttles reports whether this submit to the number is one of the n to throttle.
func (t *throttleFirst) throttles(number string, n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count[number] >= n {
		delete(t.count, number)
		return false
	}
	if t.count == nil || len(t.count) >= maxThrottled {
		t.count = map[string]int{}
	}
	t.count[number]++
	return true
}
