package session

import (
	"time"

	"straks/smpp/wire"
)

// keep watches the clock from bind_resp on until the session ends. Before it the
// BindTimeout rules; an enquire_link would come from somebody not yet bound.
func (s *Session) keep() error {
	select {
	case <-s.bound:
	case <-s.closing:
		return nil
	}
	w := watch{
		interval: s.cfg.EnquireInterval, patience: s.cfg.DeadAfter - s.cfg.EnquireInterval,
		tick: max(min(s.cfg.EnquireInterval, s.cfg.ResponseTimeout)/8, time.Millisecond),
	}
	w.due = s.since() + w.tick
	timer := time.NewTimer(w.tick)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.closing:
			return nil
		}
		now := s.since()
		ask, dead := w.look(now, time.Duration(s.life.Load()))
		switch {
		case ask:
			s.urge(outgoing{Header: wire.Header{ID: wire.EnquireLink}})
		case dead:
			return ErrDead
		}
		s.expire(now)
		timer.Reset(w.due - now)
	}
}

// watch judges the silence of a peer.
//
// Silence for interval brings an enquire_link, and silence on that for patience the
// end: idle and under load alike, since a frozen peer answers nothing. Death needs a
// question that went unanswered, so that a pause of our own machine does not look like one
// of the peer. Where the pause begins with the question out, the time of it does not count, and the
// reader is given a moment to find the answer: once for each question, so that a machine
// which is always late finds the dead too.
type watch struct {
	interval, patience time.Duration
	tick               time.Duration // between two looks

	asked   time.Duration // when enquire_link was sent, zero for not
	due     time.Duration // when the next look is to be
	excused bool          // a pause has been left out since asked
}

// look tells what is to be done now, when the last PDU came at life.
func (w *watch) look(now, life time.Duration) (ask, dead bool) {
	if life >= w.asked {
		w.asked, w.excused = 0, false
	}
	late := now - w.due
	switch {
	case w.asked == 0:
		if ask = now-life >= w.interval; ask {
			w.asked = now
		}
	case late >= w.tick && !w.excused:
		w.asked, w.excused = max(w.asked+late, now+w.tick-w.patience), true
	default:
		dead = now-w.asked >= w.patience
	}
	w.due = w.next(now, life)
	return ask, dead
}

// next returns when to look again: after a tick, or sooner if a limit falls into it.
func (w *watch) next(now, life time.Duration) time.Duration {
	limit := life + w.interval
	if w.asked != 0 {
		limit = w.asked + w.patience
	}
	return max(min(now+w.tick, limit), now+time.Millisecond)
}
