package codes

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Checked is what came of a check.
type Checked struct {
	ID           uuid.UUID
	Status       Status // Pending or Approved
	AttemptsLeft int
}

// CheckCode checks the code of a verification. The attempt is on disk before its outcome is known outside. Errors:
// ErrNotFound, EndedError, LimitError, and those of the store: then the attempt may be counted.
func (s *Service) CheckCode(ctx context.Context, organisation string, id uuid.UUID, typed string) (Checked, error) {
	return s.check(ctx, typed, func(tx Tx, _ time.Time) (*Verification, error) {
		v, ok, err := verification(tx, id)
		if !ok || v.Organisation != organisation || err != nil {
			return nil, err
		}
		return &v, nil
	})
}

// CheckRecipient checks the code of the newest verification of a recipient that is pending, or else the one that ended
// last. template may be empty.
func (s *Service) CheckRecipient(ctx context.Context, organisation string, to Address, template, typed string) (Checked, error) {
	var hashes [][]byte
	for _, k := range s.cfg.Keys.all() {
		hashes = append(hashes, k.addressHash(organisation, to))
	}
	return s.check(ctx, typed, func(tx Tx, now time.Time) (*Verification, error) {
		all, err := places(tx, hashes)
		if err != nil {
			return nil, err
		}
		return s.choose(tx, all, template, typed, now)
	})
}

// choose returns the verification that a code for a recipient is about, nil where there is none: one that was approved a
// moment ago with this code; else the newest pending one; else the one that ended last.
func (s *Service) choose(tx Tx, all []*place, template, typed string, now time.Time) (*Verification, error) {
	var open, last *Verification
	for _, p := range all {
		for _, id := range append(p.Open[:len(p.Open):len(p.Open)], p.Last) {
			v, ok, err := verification(tx, id)
			if err != nil {
				return nil, err
			}
			switch {
			case !ok || template != "" && v.Template != template:
			case v.StatusAt(now) == Pending:
				if open == nil || open.Created.Before(v.Created) {
					open = &v
				}
			case last == nil || last.endedAt().Before(v.endedAt()):
				last = &v
			}
		}
	}
	if open == nil || last == nil || last.Status != Approved {
		if open == nil {
			return last, nil
		}
		return open, nil
	}
	again := *last
	if code, ok := s.codeOf(last); ok && same(code, typed) && again.Try(true, now) == Right {
		return last, nil
	}
	return open, nil
}

// check counts an attempt at the verification that find returns, nil for none, and says what came of it.
func (s *Service) check(ctx context.Context, typed string, find func(Tx, time.Time) (*Verification, error)) (Checked, error) {
	var before, after *Verification
	var outcome Outcome
	var wait time.Duration
	var now time.Time
	err := s.cfg.Store.UpdateCodes(ctx, func(tx Tx) (err error) {
		before, after, outcome, wait = nil, nil, Unknown, 0
		now = s.now()
		v, err := find(tx, now)
		if v == nil || err != nil {
			return err
		}
		was := *v
		before, after = &was, v
		outcome, wait, err = s.try(tx, v, typed, now)
		return err
	})
	if err != nil {
		return Checked{}, err
	}
	s.metrics.checked(outcome)
	if before != nil && before.Status != after.Status {
		s.ended(before, after.Status)
		s.cfg.Log.Info("verification ended", "organisation", after.Organisation, "verification", after.ID, "status", string(after.Status), "attempts", after.Tried)
	}
	switch outcome {
	case Unknown:
		return Checked{}, ErrNotFound
	case Stopped:
		return Checked{}, stoppedError(wait)
	case Ended:
		as := after.StatusAt(now)
		if as == Pending { // its key is gone
			as = Expired
		}
		return Checked{}, &EndedError{after.ID, as}
	case Wrong:
		return Checked{after.ID, Pending, after.Left()}, nil
	}
	return Checked{after.ID, Approved, after.Left()}, nil
}

// try counts an attempt in its transaction.
func (s *Service) try(tx Tx, v *Verification, typed string, now time.Time) (outcome Outcome, wait time.Duration, err error) {
	all, err := places(tx, v.Addresses)
	if err != nil {
		return "", 0, err
	}
	for _, p := range all {
		if wait = max(wait, p.stopped(now)); wait > 0 {
			return Stopped, wait, nil
		}
	}
	code, ok := s.codeOf(v)
	if !ok {
		s.fault("code not checked", v, errKeyGone)
		return Ended, 0, nil
	}
	was := *v
	outcome = v.Try(same(code, typed), now)
	if v.Status == was.Status && v.Tried == was.Tried && v.Closed == was.Closed {
		return outcome, 0, nil // it has ended before
	}
	if outcome != Right {
		for _, p := range all {
			if p.wrong(now) {
				s.metrics.stopped.Inc()
			}
			if err := p.put(tx, now); err != nil {
				return "", 0, err
			}
		}
	}
	return outcome, 0, s.store(tx, v, v.Status != was.Status, now)
}
