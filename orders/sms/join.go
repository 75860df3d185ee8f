package sms

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"slices"
	"sync"
	"time"

	"straks/dlr"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// Receipts in parts (a user data header with a reference of 8 or 16 bits, or SAR TLVs) are joined before
// they are read. Parts may come in any order, more than once, and over several binds of an SMSC.
//
// A part is acknowledged when the whole receipt is on disk. An SMSC that sends the next part only after
// that would wait for ever: so a part waits for holdTime, and is then acknowledged while it is in memory
// only. From then on, for a minute, the SMSC's parts are acknowledged at once. A crash between such parts
// loses the receipt, and the deadline settles its message. Parts are not on disk: one may hold the text of
// a message, and where that begins is known only when all of them are there.
//
// A receipt whose other parts do not come within joinTime is read as far as it is there.
const (
	holdTime = 250 * time.Millisecond // less than session's grace for unanswered deliveries at its end
	joinTime = time.Minute            // an SMSC sends the parts of one receipt at once, or after a reconnect
	// Bounds for one SMSC. Beyond them the oldest is given up.
	maxJoining       = 1000
	maxJoiningOctets = 1 << 20
)

// joiner joins the parts of receipts. A complete one goes to whole; an incomplete one too, after lost.
type joiner struct {
	whole func(smsc string, m *wire.Message, at time.Time, respond func(wire.Status))
	lost  func(smsc string, have, total int)

	mu       sync.Mutex
	smscs    map[string]*joining
	draining bool // what is incomplete is not acknowledged any more: it must come again
}

// joining has the receipts of one SMSC. Under joiner.mu.
type joining struct {
	byKey    map[partKey]*parts
	oldest   []*parts
	octets   int
	oneByOne time.Time // until then the SMSC is taken for one that sends part after part
}

// partKey is what the parts of one receipt share.
type partKey struct {
	source, dest string
	kind         byte // of the reference: 8 or 16 bits, or SAR
	ref          uint16
	total        int
}

// parts are those of one receipt.
type parts struct {
	smsc    string
	key     partKey
	list    []part
	have    int
	octets  int
	busy    bool // the whole is on its way to the disk
	stored  bool // it is there: list has the sums only, to know repeats by
	removed bool
	hold    *time.Timer
	end     *time.Timer
}

type part struct {
	m       *wire.Message // nil: it has not come, or is stored
	sum     [sha256.Size]byte
	here    bool
	waiting []func(wire.Status)
}

func newJoiner() *joiner { return &joiner{smscs: make(map[string]*joining)} }

// placeOf returns what the parts of a message share, and the place of this one; false if it is no
// part of several.
func placeOf(m *wire.Message) (key partKey, index int, ok bool) {
	text, header := octets(m)
	c, ok := gsm.ParseConcat(text)
	key = partKey{source: m.Source, dest: m.Dest, kind: 8}
	if c.Wide {
		key.kind = 16
	}
	if header == 0 || !ok {
		if c, ok = sarOf(m); !ok {
			return key, 0, false
		}
		key.kind = 0
	}
	key.ref, key.total = c.Ref, c.Total
	return key, c.Index, c.Total > 1
}

// sarOf reads the SAR TLVs (SMPP 3.4 §5.3.2.22 to §5.3.2.24).
func sarOf(m *wire.Message) (c gsm.Concat, ok bool) {
	ref, _ := wire.Lookup(m.TLVs, wire.TagSARMsgRefNum)
	total, _ := wire.Lookup(m.TLVs, wire.TagSARTotalSegments)
	number, _ := wire.Lookup(m.TLVs, wire.TagSARSegmentSeqnum)
	if len(ref) != 2 || len(total) != 1 || len(number) != 1 || number[0] == 0 || number[0] > total[0] {
		return c, false
	}
	return gsm.Concat{Ref: uint16(ref[0])<<8 | uint16(ref[1]), Total: int(total[0]), Index: int(number[0]) - 1}, true
}

// take takes the delivery if it is a part of a receipt. Another part than the first may lack the
// mark of a receipt; then it is one where its receipt has begun.
func (j *joiner) take(smsc string, m *wire.Message, at time.Time, respond func(wire.Status)) bool {
	key, index, ok := placeOf(m)
	if !ok {
		return false
	}
	j.mu.Lock()
	s := j.smscs[smsc]
	if s == nil {
		s = &joining{byKey: make(map[partKey]*parts)}
		j.smscs[smsc] = s
	}
	p := s.byKey[key]
	if p == nil && !marked(m) {
		j.mu.Unlock()
		return false
	}
	text, header := octets(m)
	sum := sha256.Sum256(text[header:])
	var given []*parts
	if p != nil && p.list[index].here && p.list[index].sum != sum { // the reference is used again
		given = append(given, p)
		s.remove(p)
		p = nil
	}
	if p == nil {
		p = &parts{smsc: smsc, key: key, list: make([]part, key.total)}
		p.octets = p.least()
		s.octets += p.octets
		p.end = time.AfterFunc(joinTime, func() { j.giveUp(p) })
		s.byKey[key] = p
		s.oldest = append(s.oldest, p)
	}
	s.add(p, index, m, sum, respond)
	for len(s.byKey) > 1 && (len(s.byKey) > maxJoining || s.octets > maxJoiningOctets) {
		old := s.leastNeeded(p)
		given = append(given, old)
		s.remove(old)
	}
	do := j.next(s, p, at)
	j.mu.Unlock()
	do()
	for _, old := range given {
		j.read(old)
	}
	return true
}

// leastNeeded returns the oldest receipt that is on disk, else the oldest, but not this one. Under mu.
func (s *joining) leastNeeded(but *parts) *parts {
	if i := slices.IndexFunc(s.oldest, func(p *parts) bool { return p.stored && p != but }); i >= 0 {
		return s.oldest[i]
	}
	return s.oldest[slices.IndexFunc(s.oldest, func(p *parts) bool { return p != but })]
}

// least is what a receipt costs without its parts, in octets.
func (p *parts) least() int { return 256 + 96*len(p.list) }

// marked reports whether a delivery says that it is a receipt, or a part of one.
func marked(m *wire.Message) bool {
	_, id := wire.Lookup(m.TLVs, wire.TagReceiptedMessageID)
	_, state := wire.Lookup(m.TLVs, wire.TagMessageState)
	return dlr.IsReceipt(m.ESMClass) || id || state
}

// add keeps a part. Under mu.
func (s *joining) add(p *parts, index int, m *wire.Message, sum [sha256.Size]byte, respond func(wire.Status)) {
	one := &p.list[index]
	one.waiting = append(one.waiting, respond)
	if one.here {
		return
	}
	one.here, one.sum, one.m = true, sum, detached(m)
	p.have++
	p.octets += size(one.m)
	s.octets += size(one.m)
}

// next returns what is to be done after a part has come, without the lock. Under mu.
func (j *joiner) next(s *joining, p *parts, at time.Time) func() {
	switch {
	case p.stored:
		return respondAll(p.waiters(), wire.ESMEOK)
	case p.busy:
		return func() {}
	case p.have == len(p.list):
		p.busy = true
		m := p.joined()
		return func() { j.whole(p.smsc, m, at, func(status wire.Status) { j.done(s, p, status) }) }
	case j.draining:
		return respondAll(p.waiters(), wire.ESMERxTAppn)
	case time.Now().Before(s.oneByOne):
		return respondAll(p.waiters(), wire.ESMEOK)
	case p.hold == nil:
		p.hold = time.AfterFunc(holdTime, func() { j.release(s, p) })
	}
	return func() {}
}

// release acknowledges the parts of a receipt whose others have not come.
func (j *joiner) release(s *joining, p *parts) {
	j.mu.Lock()
	p.hold = nil
	var waiters []func(wire.Status)
	if !p.busy && !p.stored && !p.removed {
		waiters = p.waiters()
		s.oneByOne = time.Now().Add(time.Minute)
	}
	j.mu.Unlock()
	respondAll(waiters, wire.ESMEOK)()
}

// done answers the parts of a receipt. Where it could not be stored, a part that comes again makes
// another attempt: those that were acknowledged before do not.
func (j *joiner) done(s *joining, p *parts, status wire.Status) {
	j.mu.Lock()
	p.busy = false
	waiters := p.waiters()
	if status == wire.ESMEOK {
		p.stored = true
		s.forget(p)
	}
	j.mu.Unlock()
	respondAll(waiters, status)()
}

// forget drops the octets of a receipt. Under mu.
func (s *joining) forget(p *parts) {
	for i := range p.list {
		p.list[i].m = nil
	}
	if !p.removed {
		s.octets -= p.octets - p.least()
	}
	p.octets = p.least()
}

// remove takes a receipt out. Under mu.
func (s *joining) remove(p *parts) {
	if p.removed {
		return
	}
	p.end.Stop()
	if p.hold != nil {
		p.hold.Stop()
	}
	s.octets -= p.octets
	p.removed = true
	delete(s.byKey, p.key)
	s.oldest = slices.DeleteFunc(s.oldest, func(other *parts) bool { return other == p })
}

// giveUp takes out a receipt whose time is over.
func (j *joiner) giveUp(p *parts) {
	j.mu.Lock()
	j.smscs[p.smsc].remove(p)
	j.mu.Unlock()
	j.read(p)
}

// read reads a receipt that was taken out, as far as it is there.
func (j *joiner) read(p *parts) {
	j.mu.Lock()
	if p.stored || p.busy || p.have == 0 {
		j.mu.Unlock()
		return
	}
	p.busy = true
	waiters, m, have := p.waiters(), p.joined(), p.have
	j.mu.Unlock()
	if have < len(p.list) {
		j.lost(p.smsc, have, len(p.list))
	}
	j.whole(p.smsc, m, time.Now().UTC(), func(status wire.Status) { respondAll(waiters, status)() })
}

// drain has what is incomplete sent again. close reads what was acknowledged all the same.
func (j *joiner) drain() {
	j.each(func(p *parts) func() {
		if p.busy || p.stored {
			return func() {}
		}
		return respondAll(p.waiters(), wire.ESMERxTAppn)
	})
}

func (j *joiner) close() {
	j.each(func(p *parts) func() {
		j.smscs[p.smsc].remove(p)
		return func() { j.read(p) }
	})
}

// each ends the time in which parts are held, and calls do for each receipt with the lock, and what
// that returns without.
func (j *joiner) each(do func(*parts) func()) {
	j.mu.Lock()
	j.draining = true
	var after []func()
	for _, s := range j.smscs {
		for _, p := range slices.Clone(s.oldest) {
			after = append(after, do(p))
		}
	}
	j.mu.Unlock()
	for _, f := range after {
		f()
	}
}

// waiters takes out the responses that are owed. Under joiner.mu.
func (p *parts) waiters() (all []func(wire.Status)) {
	for i := range p.list {
		all = append(all, p.list[i].waiting...)
		p.list[i].waiting = nil
	}
	return all
}

func respondAll(waiters []func(wire.Status), status wire.Status) func() {
	return func() {
		for _, respond := range waiters {
			respond(status)
		}
	}
}

// joined returns the parts that are there as one message, without their headers. Under joiner.mu.
func (p *parts) joined() *wire.Message {
	var whole wire.Message
	for i := range p.list {
		m := p.list[i].m
		if m == nil {
			continue
		}
		if whole.Source == "" {
			head := *m
			head.ShortMessage, head.TLVs = nil, nil
			whole = head
		}
		text, header := octets(m)
		whole.ShortMessage = append(whole.ShortMessage, text[header:]...)
		whole.ESMClass |= m.ESMClass
		for _, t := range m.TLVs {
			if _, have := wire.Lookup(whole.TLVs, t.Tag); !have && !partTags[t.Tag] {
				whole.TLVs = append(whole.TLVs, t)
			}
		}
	}
	whole.ESMClass &^= esmUDHI
	return &whole
}

// partTags are the TLVs that belong to a part, not to the whole.
var partTags = map[uint16]bool{wire.TagMessagePayload: true, wire.TagSARMsgRefNum: true,
	wire.TagSARTotalSegments: true, wire.TagSARSegmentSeqnum: true}

// detached returns a copy that shares no octets with the connection's buffer.
func detached(m *wire.Message) *wire.Message {
	c := *m
	c.ShortMessage = bytes.Clone(m.ShortMessage)
	c.TLVs = slices.Clone(m.TLVs)
	for i := range c.TLVs {
		c.TLVs[i].Value = bytes.Clone(c.TLVs[i].Value)
	}
	return &c
}

// size returns what a part costs, in octets.
func size(m *wire.Message) int {
	const fixed = 512 // of the structs and addresses, about
	n := fixed + len(m.ShortMessage)
	for _, t := range m.TLVs {
		n += 32 + len(t.Value)
	}
	return n
}

// incomplete counts and logs a receipt of which parts are missing.
func (c *Channel) incomplete(smsc string, have, total int) {
	c.metrics.incomplete.Inc()
	c.few.Write("incomplete "+smsc, slog.LevelWarn, "receipt in parts is incomplete, read as far as it came",
		slog.String("smsc", smsc), slog.Int("parts", have), slog.Int("of", total))
}
