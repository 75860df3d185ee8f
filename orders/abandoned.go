package orders

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"straks/internal/handover"
)

const (
	// matchEvery is the pause between two looks for reports about unanswered shipments; after a look
	// that took long it is matchShare times as long as that, so that looking costs little. But the look
	// may only have waited for a journal that could not be reached: so matchMost bounds the pause.
	matchEvery = time.Second
	matchShare = 20
	matchMost  = 30 * time.Second
	matchBatch = 500

	// lookTime bounds a look, which would else wait for as long as a connection to a journal is dead without a word.
	lookTime = 30 * time.Second

	// claimsEvery is the pause between two looks for claims of processes that have ended: of several that share a
	// journal, one may end while this one runs.
	claimsEvery = 5 * time.Second
)

// keepUnanswered ends the claims of processes that have ended, and then, again and again, applies reports to
// unanswered shipments.
func (s *Service) keepUnanswered(ctx context.Context) {
	for pause := time.Second; !s.endClaims(ctx); pause = min(2*pause, 30*time.Second) {
		if !sleep(ctx.Done(), pause) {
			return
		}
	}
	claims := time.Now().Add(claimsEvery) // when to look for them, and for matches
	matches := time.Now()
	for sleep(ctx.Done(), matchEvery) {
		if !time.Now().Before(claims) {
			s.endClaims(ctx)
			claims = time.Now().Add(claimsEvery)
		}
		if time.Now().Before(matches) {
			continue
		}
		took, err := s.matchReports(ctx)
		if err != nil && ctx.Err() == nil {
			s.sampled.Write("matches", slog.LevelError, "receipts of unanswered messages not looked for, trying again", slog.Any("err", err))
		}
		matches = time.Now().Add(min(matchShare*took, matchMost))
	}
}

// endClaims makes the outcome unknown of each shipment that was in flight in a process which has ended. It
// reports whether that is stored of all.
func (s *Service) endClaims(ctx context.Context) bool {
	looking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	left, err := s.cfg.Journal.Abandoned(looking)
	if err != nil {
		s.logUnlessDone(ctx, "orders that were in flight when straks ended are not known yet, trying again", err)
		return false
	}
	for batch := range slices.Chunk(left, matchBatch) {
		events := make([]Event, len(batch))
		for i := range batch {
			events[i] = noAnswer(&batch[i], s.cfg.Now())
		}
		if err := s.applyAll(ctx, events); err != nil {
			s.logUnlessDone(ctx, "orders that were in flight when straks ended are not stored as unanswered, trying again", err)
			return false
		}
	}
	if len(left) > 0 {
		s.log.Warn("orders were in flight when straks ended: they may have been sent, and a receipt or their deadline settles them", "orders", len(left))
	}
	return true
}

// noAnswer is the end of a claim that nobody answers: the message may have been sent.
func noAnswer(s *Shipment, at time.Time) Answer {
	return Answer{Shipment: s.ID, Claim: s.Claim, At: at.UTC(), Outcome: handover.Unknown, Total: s.Total}
}

// claimFor is how long the claim of an order lasts.
func (s *Service) claimFor() time.Duration { return s.cfg.SendDeadline + claimMargin }

// matchReports applies reports that wait to unanswered shipments, and returns how long it took to find
// them. By its recipient alone a report is matched when the claims of its time have ended; a claim whose
// outcome could not be stored yet may last longer, so none to this recipient may be in flight.
func (s *Service) matchReports(ctx context.Context) (took time.Duration, err error) {
	began, now := time.Now(), s.cfg.Now().UTC()
	looking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	found, err := s.cfg.Journal.Matches(looking, now.Add(-s.claimFor()), now, matchBatch)
	took = time.Since(began)
	if err != nil {
		return took, err
	}
	events := make([]Event, 0, len(found))
	for _, m := range found {
		if !s.inFlightTo(m.Recipient) {
			events = append(events, m)
		}
	}
	return took, s.applyAll(ctx, events)
}

// inFlightTo reports whether an order to this recipient's number is in flight in this process.
func (s *Service) inFlightTo(to Recipient) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.orders {
		if sameNumber(string(f.to), string(to)) {
			return true
		}
	}
	return false
}
