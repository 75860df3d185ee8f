package smpp

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"straks/internal/silence"
)

// An SMSC is silent when it is bound and does not respond to submit_sm; see package
// silence for the bounds. What is sent to it ends as unknown, after its
// whole send deadline. So nothing is sent to a silent SMSC except a probe: an ordinary
// message, one a second if nothing can replace the SMSC, one in 30 s if another SMSC can. The
// others go to other SMSCs, or are refused at once. The next response, to a probe or to an
// older submit, ends this.
//
// enquire_link is no probe. Its response comes from the front end of an SMSC, and says
// nothing about the store behind it that submit_sm waits for. (SMPP 3.4 §4.11: it checks the
// communication path.) query_sm could say more, but few SMSCs know it.
//
// All of this is per SMSC, since its binds lead to the same store; a bind that is
// silent alone is only stalled. slots.mu guards the trackers.

// leastSilence is how long responses may be missing at the least before an SMSC counts as
// silent. Carriers whose responses take one to three seconds are in use.
func leastSilence(c *SMSC) time.Duration { return max(4*time.Second, 4*c.StallAfter) }

// up reports whether a bind of the SMSC is up, and messages may start on it.
func (c *smsc) up() bool { return !c.paused && slices.ContainsFunc(c.binds, (*bind).open) }

// silent reports whether the SMSC is up, and does not respond. One that is down
// is waited for like any other.
func (c *smsc) silent(now time.Time) bool { return c.silence.Silent(now) && c.up() }

// admits reports whether a message that waits may go to the SMSC. If it is silent, this
// message is the probe.
func (c *smsc) admits(now time.Time) bool {
	if !c.silence.Silent(now) {
		return true
	}
	if !c.silence.Due(now, false) {
		return false
	}
	c.silence.Probed(now)
	return true
}

// shuns reports whether the message is kept from the SMSC. One that has started is not: it
// can go nowhere else.
func (w *want) shuns(c *smsc) bool { return !w.started && c.silent(time.Now()) }

// replaced reports whether an SMSC of the route is up and responds.
func (w *want) replaced() bool {
	now := time.Now()
	return slices.ContainsFunc(w.order, func(c *smsc) bool { return c.up() && !c.silence.Silent(now) })
}

// unanswered returns a *silence.Error if the route has a silent SMSC, and none that responds.
func (w *want) unanswered() error {
	if w.started || w.replaced() {
		return nil
	}
	for _, c := range w.order {
		if now := time.Now(); c.silent(now) {
			return c.silence.NewError(c.Name, now)
		}
	}
	return nil
}

// knownDown is for how long an SMSC has no bind up until messages no longer wait for one. An
// SMSC that restarts, or a connection that breaks, costs less than that. Meanwhile
// maintainer.run finds out when the SMSC is back: no message is needed for it.
const knownDown = 5 * time.Second

// down reports whether every SMSC of the route has been down for a while.
func (w *want) down() bool {
	return !w.started && !slices.ContainsFunc(w.order, func(c *smsc) bool { return c.up() || !c.paused && time.Since(c.downSince) < knownDown })
}

// probe takes a slot of a silent SMSC, if a probe is due; else it returns nil. A window that is full
// of unanswered submits has no room for one until ResponseTimeout. replaced must be what
// want.replaced returns.
func (s *slots) probe(c *smsc, want want, replaced bool) *slot {
	now := time.Now()
	if replaced != want.replaced() || !c.silent(now) || !c.silence.Due(now, replaced) {
		return nil
	}
	slot := s.take(c, &want, true)
	if slot != nil {
		c.silence.Probed(now)
	}
	return slot
}

// probeAny is probe where no SMSC of the route responds: the next probe goes to the
// one whose last is longest ago.
func (s *slots) probeAny(want want) *slot {
	order := slices.Clone(want.order)
	slices.SortStableFunc(order, func(a, b *smsc) int { return a.silence.LastProbe().Compare(b.silence.LastProbe()) })
	for _, c := range order {
		if slot := s.probe(c, want, false); slot != nil {
			return slot
		}
	}
	return nil
}

// written records that the submit_sm of the slot is being written.
func (s *slots) written(slot *slot, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := slot.bind; !slot.released && b.session == slot.session && slot.written.IsZero() {
		slot.written = now
		b.owed++
		b.smsc.silence.Sent(now)
	}
}

// track tells the SMSC's tracker what became of the slot's submit_sm. Under slots.mu, before
// released is set.
func (s *slot) track(use use, now time.Time) {
	tracker, awaited := &s.bind.smsc.silence, !s.released
	if s.written.IsZero() || !awaited && use != answered {
		return
	}
	if awaited {
		s.bind.owed--
	}
	switch use {
	case answered:
		tracker.Answered(now, now.Sub(s.written), awaited)
	case unanswered:
		tracker.Missed()
	case unused:
		tracker.Lost(now, 1)
	}
}

// answersAgain gives the free slots of an SMSC that was silent to those who wait for one.
func (s *slots) answersAgain(c *smsc) {
	for _, b := range c.binds {
		if b.up() {
			s.serve(b)
		}
	}
}

// overdue returns for how long the SMSC has not responded, 0 if it responds, and the
// error that says so.
func (s *slots) overdue(c *smsc, now time.Time) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if late := c.silence.Overdue(now); late > 0 && c.up() {
		return late, c.silence.NewError(c.Name, now)
	}
	return 0, nil
}

// dismiss wakes the messages that wait for a silent SMSC and that no other can take: they
// are refused.
func (s *slots) dismiss(c *smsc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse(c, func(w *waiter) error { return w.unanswered() })
}

// watchEvery is how often watch looks for SMSCs that have become silent.
const watchEvery = time.Second

// watch logs when an SMSC becomes silent, and when it responds again, until ctx ends. It has
// the messages refused that wait for a slot then.
func (g *Gateway) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	logged := make(map[*smsc]bool)
	for {
		select {
		case now := <-tick.C:
			for _, c := range g.smscs() {
				late, _ := g.slots.overdue(c, now)
				g.logSilence(c, late, logged[c])
				if logged[c] = late > 0; late > 0 {
					g.slots.dismiss(c)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func (g *Gateway) logSilence(c *smsc, late time.Duration, logged bool) {
	switch {
	case late > 0 && !logged:
		g.log.LogAttrs(context.Background(), slog.LevelError, "the SMSC does not answer submit_sm: messages go to other SMSCs, or are refused, except one a second",
			slog.String("smsc", c.Name), slog.String("overdue", late.Round(time.Second).String()))
	case late == 0 && logged:
		g.log.LogAttrs(context.Background(), slog.LevelInfo, "the SMSC is worth another attempt: it answers, was bound again, or got nothing for 30 s", slog.String("smsc", c.Name))
	}
}

// countSilence counts a message that was refused because its SMSC is silent.
func (g *Gateway) countSilence(why error) {
	var silent *silence.Error
	if !errors.As(why, &silent) {
		return
	}
	for _, c := range g.smscs() {
		if c.Name == silent.Carrier {
			c.metrics.unanswered.Inc()
		}
	}
}
