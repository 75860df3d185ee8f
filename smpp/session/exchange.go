package session

import (
	"context"
	"time"

	"straks/smpp/wire"
)

// exchange is one request of ours that waits for a response: bind, submit_sm or unbind.
type exchange struct {
	id   wire.CommandID
	ctx  context.Context // of a submit: once it ends, the writer does not take the submit
	req  Request         // of a submit
	done chan result     // 1; gets at most one

	// Under Session.mu:
	sent      time.Duration // when the writer took it, since the session's start
	abandoned bool          // nobody reads done; a late response goes to Late
	unsent    bool          // the writer took it, and surely wrote nothing of it
}

// result is how an exchange ended.
type result struct {
	response Response
	body     any // of the response, decoded
	err      error
}

// settle gives x its result. It is called under mu by the code that took x out of queue,
// pending or controls, hence once.
func (s *Session) settle(x *exchange, res result) {
	if x.id == wire.SubmitSM {
		s.submits--
		s.checkIdle()
	}
	if !x.abandoned {
		x.done <- res
	}
}

// register gives x a sequence_number of its own and makes it pending. Under mu.
func (s *Session) register(x *exchange, now time.Duration) uint32 {
	n := s.nextSequence()
	x.sent = now
	s.pending[n] = x
	return n
}

// nextSequence counts 1..0x7FFFFFFF and then from 1 again (SMPP 3.4 §3.2). It skips
// numbers whose response may still come. Under mu.
func (s *Session) nextSequence() uint32 {
	for {
		s.seq = s.seq%0x7FFFFFFF + 1
		if s.pending[s.seq] == nil && !s.expired.has(s.seq) {
			return s.seq
		}
	}
}

// match takes the exchange out of pending that f answers. Only a response may match, and
// only one of the right kind: the peer numbers its own requests as it likes,
// and they coincide with ours. Under mu.
func (s *Session) match(f wire.Header) *exchange {
	x := s.pending[f.Sequence]
	if x == nil || f.ID != wire.GenericNack && f.ID != x.id.Response() {
		return nil
	}
	delete(s.pending, f.Sequence)
	return x
}

// expire gives up the submits that have waited longer than ResponseTimeout, and
// remembers them. Bind and unbind have time-outs of their own.
func (s *Session) expire(now time.Duration) {
	var abandoned []any
	s.mu.Lock()
	for n, x := range s.pending {
		if now-x.sent < s.cfg.ResponseTimeout || x.id != wire.SubmitSM {
			continue
		}
		delete(s.pending, n)
		s.expired.add(n, expiredSubmit{ref: x.req.Ref, sent: x.sent})
		s.settle(x, result{err: unknown(ErrNoResponse)})
		if x.abandoned {
			abandoned = append(abandoned, x.req.Ref)
		}
	}
	s.expired.dropBefore(now - s.cfg.LateFor)
	s.mu.Unlock()
	for _, ref := range abandoned {
		s.cfg.Expired(ref)
	}
}

// expiredSubmit is what is remembered of a submit without a response in time.
type expiredSubmit struct {
	ref  any
	sent time.Duration
}

// expiredSubmits holds a bounded number of them by sequence_number. The oldest leave first.
type expiredSubmits struct {
	most  int
	byNum map[uint32]expiredSubmit
	order []uint32 // as they came; those answered meanwhile are still in it
}

func newExpiredSubmits(most int) expiredSubmits {
	return expiredSubmits{most: most, byNum: make(map[uint32]expiredSubmit)}
}

func (e *expiredSubmits) has(n uint32) bool { _, ok := e.byNum[n]; return ok }

func (e *expiredSubmits) add(n uint32, x expiredSubmit) {
	if len(e.order) >= e.most {
		e.dropOldest()
	}
	e.byNum[n] = x
	e.order = append(e.order, n)
}

func (e *expiredSubmits) dropOldest() {
	delete(e.byNum, e.order[0])
	e.order = e.order[1:]
}

// take removes one and returns it.
func (e *expiredSubmits) take(n uint32) (expiredSubmit, bool) {
	x, ok := e.byNum[n]
	delete(e.byNum, n)
	return x, ok
}

// dropBefore removes those sent before the given time.
func (e *expiredSubmits) dropBefore(t time.Duration) {
	for len(e.order) > 0 {
		if x, ok := e.byNum[e.order[0]]; ok && x.sent >= t {
			return
		}
		e.dropOldest()
	}
}
