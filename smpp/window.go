package smpp

import (
	"time"

	"straks/smpp/session"
)

// open puts the window of a new session at disposal, shut takes it away. Who
// has a place in it notices by the session's errors, or while he waits for a token of the
// bind's rate is told.
func (s *slots) open(b *binding, with *session.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.session, b.inFlight, b.silent = with, 0, time.Time{}
	s.serve(b)
}

func (s *slots) shut(b *binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.session, b.inFlight = nil, 0
	b.pacer.dismiss()
}

// occupy takes a place that is there.
func (b *binding) occupy(now time.Time) lease {
	if b.inFlight == 0 {
		b.progress = now
	}
	b.inFlight++
	return lease{b, b.session}
}

// up tells whether messages can be submitted on the bind.
func (b *binding) up() bool { return b.session != nil }

// silence is for how many times StallAfter a bind that left a message
// unanswered counts as stalled.
const silence = 10

// stalled tells whether the SMSC owes answers for longer than it should.
func (b *binding) stalled(now time.Time) bool {
	return now.Before(b.silent) || b.inFlight > 0 && now.Sub(b.progress) > b.smsc.StallAfter && b.overdue(now)
}

// overdue tells whether it does after such a time without an answer. Who waits for a token of the
// rate has a place too, but is owed nothing; and one answer alone is owed since the last
// token was spent, at the most.
func (b *binding) overdue(now time.Time) bool {
	waiting, spent := b.pacer.waiting()
	owed := b.inFlight - waiting
	return owed > 1 || owed == 1 && now.Sub(spent) > b.smsc.StallAfter
}
