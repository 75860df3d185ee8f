package session

import (
	"time"

	"straks/smpp/wire"
)

// keepalive watches the clock from bind_resp until the session ends. Before bind_resp,
// BindTimeout is the limit: we are not yet bound to send an enquire_link.
func (s *Session) keepalive() error {
	select {
	case <-s.bound:
	case <-s.closing:
		return nil
	}
	w := watch{
		interval: s.cfg.EnquireInterval, timeout: s.cfg.DeadAfter - s.cfg.EnquireInterval,
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
		enquire, dead := w.check(now, time.Duration(s.lastRead.Load()))
		switch {
		case enquire:
			s.sendControl(control{Header: wire.Header{ID: wire.EnquireLink}})
		case dead:
			return ErrDead
		}
		s.expire(now)
		timer.Reset(w.due - now)
	}
}

// watch decides when a silent peer gets an enquire_link, and when it is dead.
//
// After interval of silence an enquire_link is sent. After timeout of silence on that, the
// peer is dead: idle and under load alike, since a frozen peer answers nothing. A peer is
// dead only after an enquire_link without a response, so that a pause of our own process
// does not look like silence of the peer. If our own process was paused while an
// enquire_link was outstanding, the pause is not counted and the reader gets one extra tick
// to find the response. That happens once per enquire_link, so that a permanently slow
// machine still detects dead peers.
type watch struct {
	interval, timeout time.Duration
	tick              time.Duration // between two checks

	enquired time.Duration // when the outstanding enquire_link was sent, zero for none
	due      time.Duration // time of the next check
	excused  bool          // a pause was left out since enquired
}

// check returns what must be done now, when the last PDU arrived at lastRead.
func (w *watch) check(now, lastRead time.Duration) (enquire, dead bool) {
	if lastRead >= w.enquired {
		w.enquired, w.excused = 0, false
	}
	late := now - w.due
	switch {
	case w.enquired == 0:
		if enquire = now-lastRead >= w.interval; enquire {
			w.enquired = now
		}
	case late >= w.tick && !w.excused:
		w.enquired, w.excused = max(w.enquired+late, now+w.tick-w.timeout), true
	default:
		dead = now-w.enquired >= w.timeout
	}
	w.due = w.next(now, lastRead)
	return enquire, dead
}

// next returns the time of the next check: after a tick, or sooner if a limit is reached before.
func (w *watch) next(now, lastRead time.Duration) time.Duration {
	limit := lastRead + w.interval
	if w.enquired != 0 {
		limit = w.enquired + w.timeout
	}
	return max(min(now+w.tick, limit), now+time.Millisecond)
}
