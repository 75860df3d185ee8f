package smpp

import "time"

// open puts the window of a new session at disposal, shut takes it away. Who
// has a place in it notices by the session's errors, or while he waits for a token of the
// bind's rate is told.
func (s *slots) open(b *binding, session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.session, b.inFlight, b.silent = session, 0, time.Time{}
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
	return now.Before(b.silent) || b.inFlight > 0 && now.Sub(b.progress) > b.smsc.StallAfter
}
