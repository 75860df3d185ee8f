package smpp

import (
	"sync"

	"straks/smpp/session"
	"straks/smpp/wire"
)

// ticket goes with a submit, so that its answer finds home however late it comes.
type ticket struct {
	lease   lease
	once    sync.Once
	message string
	index   int
	total   int
	userRef uint16
}

// release gives the place in the window back, the first time.
func (t *ticket) release(g *Gateway, u use) {
	t.once.Do(func() { g.slots.release(t.lease, u) })
}

// late takes an answer that came when Send had returned. It runs on the
// session's reading goroutine.
func (g *Gateway) late(b *binding, l session.Late) {
	t, ok := l.Ref.(*ticket)
	if !ok {
		return
	}
	t.release(g, answered)
	b.answered(l.Answer)
	b.smsc.metrics.oddities[oddLate].Inc()
	b.countAnswer(l.Took, l.Status)
	v := b.smsc.verdict(l.Status)
	if l.Nack && !clearNack(l.Status, v) {
		return // which may mean anything: the outcome stays unknown
	}
	a := LateAnswer{
		Message: t.message, SMSC: b.smsc.Name, Index: t.index, Total: t.total,
		MessageID: l.MessageID, Reference: t.userRef, Status: l.Status,
	}
	if l.Status != wire.ESMEOK {
		if a.Refusal = v.Refusal; a.Refusal == RefusedNot {
			a.Refusal = RefusedFailed // "not now" is a no, now that nobody sends it again
		}
	}
	g.handler.Late(a)
}
