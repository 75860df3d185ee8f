package orders

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

const (
	// deadlinePoll is the longest time between two calls of Due. The shortest TTL is 60 s, so that no
	// order accepted since can be due earlier.
	deadlinePoll = 30 * time.Second
	dueBatch     = 500

	// sweepAfter gives a machine that boots with its clock ahead time to set it: what retention
	// removes does not come back.
	sweepAfter  = time.Minute
	sweepEvery  = 10 * time.Minute
	sweepBudget = 500
	sweepPause  = 20 * time.Millisecond // between steps, so that orders come first
	sweepAgain  = time.Second           // after a step that failed
)

// keepDeadlines turns shipments whose TTL ran out into …_Failed_TTL.
func (s *Service) keepDeadlines(ctx context.Context) {
	for {
		pause := s.expireDue(ctx)
		if !sleep(ctx.Done(), pause) {
			return
		}
	}
}

// expireDue expires what is due now, and returns how long to wait until the next deadline.
func (s *Service) expireDue(ctx context.Context) time.Duration {
	now := s.cfg.Now().UTC()
	looking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	due, next, err := s.cfg.Journal.Due(looking, now, dueBatch)
	if err != nil {
		s.logUnlessDone(ctx, "deadlines not read, trying again", err)
		return time.Second
	}
	all := len(due) < dueBatch
	// After an outage of the journal, the answer of an order may be stored long after its deadline. It counts.
	due = s.landed(due)
	events := make([]Event, len(due))
	for i, id := range due {
		events[i] = Expiry{Shipment: id, At: now}
	}
	if err := s.applyAll(ctx, events); err != nil {
		s.logUnlessDone(ctx, "deadlines not kept, trying again", err)
		return time.Second
	}
	switch {
	case !all && len(due) > 0:
		return 0
	case !all:
		return time.Second
	case next.IsZero():
		return deadlinePoll
	}
	return min(max(next.Sub(now), 10*time.Millisecond), deadlinePoll)
}

// applyAll stores events of the keepers: in one call, or if one of them can't be stored in a call for
// each.
func (s *Service) applyAll(ctx context.Context, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	effects, err := s.apply(ctx, events)
	if ofTheCall(err) && len(events) > 1 {
		err = nil
		for i := range events {
			err = cmp.Or(err, s.applyAll(ctx, events[i:i+1]))
		}
		return err
	}
	for i, e := range effects {
		s.applied(events[i], e)
	}
	return err
}

// sweep removes what is older than the retention, in small steps.
func (s *Service) sweep(ctx context.Context) {
	pause := sweepAfter
	for sleep(ctx.Done(), pause) {
		swept, err := s.cfg.Journal.Sweep(ctx, s.cfg.Now().UTC(), s.cfg.Retention(), sweepBudget)
		if err != nil && ctx.Err() == nil {
			s.sampled.Write("retention", slog.LevelError, "retention: step failed, trying again", slog.Any("err", err))
		}
		s.metrics.swept(swept)
		switch {
		case !swept.More:
			pause = sweepEvery
		case err != nil:
			pause = sweepAgain
		default:
			pause = sweepPause
		}
	}
}

func (s *Service) logUnlessDone(ctx context.Context, msg string, err error) {
	if ctx.Err() == nil {
		s.log.Error(msg, "err", err)
	}
}
