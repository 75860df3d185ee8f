package session

import (
	"context"
	"time"

	"straks/smpp/wire"
)

// exchange is one request of ours on its way to an answer.
type exchange struct {
	id   wire.CommandID
	ctx  context.Context // submits: once it is done, the writer takes it no more
	req  Request         // submits
	done chan result     // 1; gets at most one

	// Under Session.mu:
	sent      time.Duration // when the writer took it, since the session's start
	slot      bool          // it holds a slot of the window
	abandoned bool          // nobody reads done; a late answer goes to Late
	unsent    bool          // the writer took it, and surely wrote nothing of it
}

// result is how an exchange ended.
type result struct {
	answer Answer
	body   any // of the answer, decoded
	err    error
}

// settle gives x's slot back and x its result. Under mu, and called by whoever
// took x out of queue or pending, hence once.
func (s *Session) settle(x *exchange, res result) {
	s.free(x)
	if !x.abandoned {
		x.done <- res
	}
}

// free gives the slot of x back.
func (s *Session) free(x *exchange) {
	if x.slot {
		x.slot = false
		<-s.window
	}
	s.checkIdle()
}

// register gives x a sequence_number of its own and makes it wait for an
// answer. Under mu.
func (s *Session) register(x *exchange, now time.Duration) uint32 {
	n := s.nextSequence()
	x.sent = now
	s.pending[n] = x
	return n
}

// nextSequence counts 1..0x7FFFFFFF and then from 1 again (SMPP 3.4 §3.2),
// passing over numbers whose answer may still come. Under mu.
func (s *Session) nextSequence() uint32 {
	for {
		s.seq = s.seq%0x7FFFFFFF + 1
		if s.pending[s.seq] == nil && !s.graves.has(s.seq) {
			return s.seq
		}
	}
}

// claim takes out the exchange that f answers. Only a response may match, and
// only one of the right kind: the peer numbers its own requests as it likes,
// and they coincide with ours. Under mu.
func (s *Session) claim(f wire.Header) *exchange {
	x := s.pending[f.Sequence]
	if x == nil || f.ID != wire.GenericNack && f.ID != x.id.Response() {
		return nil
	}
	delete(s.pending, f.Sequence)
	return x
}

// expire gives up the exchanges that have waited longer than ResponseTimeout,
// but remembers the submits among them.
func (s *Session) expire(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, x := range s.pending {
		if now-x.sent < s.cfg.ResponseTimeout || !x.slot {
			continue // bind and unbind have time-outs of their own
		}
		delete(s.pending, n)
		s.graves.bury(n, tombstone{ref: x.req.Ref, sent: x.sent})
		s.settle(x, result{err: unknown(ErrNoAnswer)})
	}
	s.graves.clear(now - s.cfg.LateFor)
}

// tombstone is what is remembered of a submit that got no answer in time.
type tombstone struct {
	ref  any
	sent time.Duration
}

// graveyard holds a bounded number of tombstones, the oldest leaving first.
type graveyard struct {
	most  int
	stone map[uint32]tombstone
	order []uint32 // as they came; those already answered are still in it
}

func newGraveyard(most int) graveyard {
	return graveyard{most: most, stone: make(map[uint32]tombstone)}
}

func (g *graveyard) has(n uint32) bool { _, ok := g.stone[n]; return ok }

func (g *graveyard) bury(n uint32, t tombstone) {
	if len(g.order) >= g.most {
		g.drop()
	}
	g.stone[n] = t
	g.order = append(g.order, n)
}

// drop removes the oldest.
func (g *graveyard) drop() {
	delete(g.stone, g.order[0])
	g.order = g.order[1:]
}

// exhume takes a tombstone out.
func (g *graveyard) exhume(n uint32) (tombstone, bool) {
	t, ok := g.stone[n]
	delete(g.stone, n)
	return t, ok
}

// clear removes those sent before the given time.
func (g *graveyard) clear(before time.Duration) {
	for len(g.order) > 0 {
		if t, ok := g.stone[g.order[0]]; ok && t.sent >= before {
			return
		}
		g.drop()
	}
}
