package codes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

const (
	// keepPoll is the longest time between two looks at what is due: another node may have made something that is due
	// earlier, and the clock may have been set.
	keepPoll  = 5 * time.Second
	keepBatch = 100
	keepAgain = time.Second // after a look that failed
	trimEvery = 10 * time.Minute
	trimBatch = 500
	// sendAtOnce bounds the messages on another channel that are under way at a time.
	sendAtOnce    = 16
	fallbackAgain = 2 * time.Second // after one that was not sent
	// leaveFor is how long one is left to another node that can send it.
	leaveFor = 10 * time.Second
)

// Run ends verifications whose time has passed, sends on the other channel, and removes what is older than the
// retention, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var trimmed time.Time // by the monotonic clock
	for ctx.Err() == nil {
		pause := s.keep(ctx)
		if time.Since(trimmed) > trimEvery && !s.trim(ctx) {
			trimmed = time.Now()
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return ctx.Err()
}

// hurry has the keeper look again: something may be due earlier than it knows.
func (s *Service) hurry() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keep does what is due, and returns how long to wait until the next look.
func (s *Service) keep(ctx context.Context) time.Duration {
	now := s.now()
	pause := keepPoll
	for _, t := range Tables() {
		var keys [][]byte
		var next time.Time
		var left bool
		err := s.cfg.Store.ViewCodes(ctx, func(r Reader) (err error) {
			keys, next, err = r.Due(t, now, keepBatch)
			return err
		})
		if err == nil {
			left, err = s.due(ctx, t, keys, now)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			s.sampled.Write("keep", slog.LevelError, "verifications not kept, trying again", slog.Any("err", err))
			return keepAgain
		case left:
			pause = min(pause, keepAgain)
		case len(keys) == keepBatch:
			pause = 0
		case !next.IsZero():
			pause = min(pause, max(next.Sub(now), 10*time.Millisecond))
		}
	}
	return pause
}

// due does what is due with records of a table. It reports whether some of it is left to another node.
func (s *Service) due(ctx context.Context, t Table, keys [][]byte, now time.Time) (left bool, err error) {
	if len(keys) == 0 {
		return false, nil
	}
	if t == Verifications {
		return s.dueVerifications(ctx, keys, now)
	}
	return false, s.cfg.Store.UpdateCodes(ctx, func(tx Tx) error {
		for _, key := range keys {
			if err := tx.Delete(t, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// dueVerifications marks, removes or sends.
func (s *Service) dueVerifications(ctx context.Context, keys [][]byte, now time.Time) (left bool, err error) {
	var expired, fallback []Verification
	err = s.cfg.Store.UpdateCodes(ctx, func(tx Tx) error {
		expired, fallback, left = nil, nil, false
		for _, key := range keys {
			id, err := uuid.FromBytes(key)
			if err != nil {
				return err
			}
			v, ok, err := verification(tx, id)
			switch {
			case errors.Is(err, ErrUnreadable): // it can't be checked either, and must not hold up the others
				s.fault("verification removed, for it can't be read", &v, err)
				err = tx.Delete(Verifications, key)
			case err != nil:
			case ok && v.Due(s.cfg.Retention).After(now): // something else has happened since the look
			case !ok || v.Status.Final():
				err = tx.Delete(Verifications, key)
			case v.StatusAt(now) == Expired:
				expired = append(expired, v)
				v.end(Expired, now)
				err = s.store(tx, &v, true, now)
			case s.leaves(&v, now):
				left = true
			default:
				if err = s.fallBack(tx, &v, now); v.Fallback > 0 {
					fallback = append(fallback, v)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for i := range expired {
		s.ended(&expired[i], Expired)
	}
	s.sendFallbacks(context.WithoutCancel(ctx), fallback) // a shutdown waits for their outcome
	return left, nil
}

// leaves reports whether the message on the other channel is left to another node. Each node looks for what is due. One
// that can't send it would claim its key, and keep the others from sending it until it gives up.
func (s *Service) leaves(v *Verification, now time.Time) bool {
	if s.cfg.Elsewhere == nil || now.Sub(v.FallbackAt) > leaveFor {
		return false
	}
	to, err := s.addresses(v)
	if err != nil {
		return false
	}
	a, ok := other(to, v.Channels[0])
	return ok && s.cfg.Elsewhere(orders.Order{Organisation: v.Organisation, Message: orders.Message{Channel: a.Channel, To: a.To, From: a.From}})
}

// fallBack makes the message on the other channel. Until that has left, the verification stays due.
func (s *Service) fallBack(tx Tx, v *Verification, now time.Time) error {
	if v.Fallback > 0 {
		return nil // before a crash; it may not have left
	}
	to, err := s.addresses(v)
	a, ok := Address{}, false
	if err == nil {
		a, ok = other(to, v.Channels[0])
	}
	if !ok || len(v.Channels) >= MaxMessages {
		v.FallbackAt = time.Time{}
	} else {
		v.Fallback = v.message(a.Channel, now)
	}
	return s.store(tx, v, false, now)
}

// sendFallbacks sends messages on the other channel, and notes which ones need not be tried again.
func (s *Service) sendFallbacks(ctx context.Context, all []Verification) {
	var group sync.WaitGroup
	free := make(chan struct{}, sendAtOnce)
	for i := range all {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			v := &all[i]
			_, err := s.send(ctx, v, v.Fallback)
			var again time.Time
			if errors.Is(err, orders.ErrNotSent) || errors.Is(err, orders.ErrBusy) || errors.Is(err, orders.ErrUnavailable) || errors.Is(err, orders.ErrHeld) {
				again = s.now().Add(fallbackAgain)
			}
			if err != nil {
				s.fault("code not sent on the other channel", v, err)
			}
			if err := s.fellBack(ctx, v.ID, v.Fallback, again); err != nil {
				s.fault("verification not stored", v, err)
			}
		})
	}
	group.Wait()
}

// fellBack notes when the message on the other channel is tried again; zero: it needs nothing more. If another node has
// sent it meanwhile, it stays sent.
func (s *Service) fellBack(ctx context.Context, id uuid.UUID, message int, again time.Time) error {
	return s.cfg.Store.UpdateCodes(ctx, func(tx Tx) error {
		v, ok, err := verification(tx, id)
		if !ok || err != nil || v.Status.Final() || v.Fallback != message {
			return err
		}
		if v.FallbackAt = again; again.IsZero() {
			v.Fallback = 0
		}
		return s.store(tx, &v, false, s.now())
	})
}

// trim removes old entries of feeds, and reports whether there may be more.
func (s *Service) trim(ctx context.Context) (more bool) {
	n := 0
	err := s.cfg.Store.UpdateCodes(ctx, func(tx Tx) (err error) {
		n, err = tx.Trim(s.now().Add(-s.cfg.Retention), trimBatch)
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.sampled.Write("trim", slog.LevelError, "feed of verifications not trimmed, trying again", slog.Any("err", err))
	}
	return err == nil && n == trimBatch
}
