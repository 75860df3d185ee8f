package smpp

import (
	"time"

	"straks/smpp/wire"
)

// keep watches the clock from bind_resp on until the session ends. Before it the
// BindTimeout rules; an enquire_link would come from somebody not yet bound.
//
// Silence for EnquireInterval brings an enquire_link, and silence on that until
// DeadAfter is over the end: idle and under load alike, since a frozen peer
// answers nothing. Death needs a question that went unanswered, so that
// a pause of our own machine does not look like one of the peer.
func (s *Session) keep() error {
	select {
	case <-s.bound:
	case <-s.closing:
		return nil
	}
	tick := max(min(s.cfg.EnquireInterval, s.cfg.ResponseTimeout)/8, time.Millisecond)
	timer := time.NewTimer(tick)
	defer timer.Stop()
	var asked time.Duration // when enquire_link was sent, zero for not
	for {
		select {
		case <-timer.C:
		case <-s.closing:
			return nil
		}
		now, life := s.since(), time.Duration(s.life.Load())
		if life >= asked {
			asked = 0
		}
		switch {
		case asked == 0 && now-life >= s.cfg.EnquireInterval:
			s.urge(outgoing{Header: wire.Header{ID: wire.EnquireLink}})
			asked = now
		case asked != 0 && now-asked >= s.cfg.DeadAfter-s.cfg.EnquireInterval:
			return ErrDead
		}
		s.expire(now)
		timer.Reset(s.nextLook(now, life, asked, tick))
	}
}

// nextLook returns how long to sleep: a tick, or less if a limit falls into it.
func (s *Session) nextLook(now, life, asked, tick time.Duration) time.Duration {
	limit := life + s.cfg.EnquireInterval
	if asked != 0 {
		limit = asked + s.cfg.DeadAfter - s.cfg.EnquireInterval
	}
	return max(min(tick, limit-now), time.Millisecond)
}
