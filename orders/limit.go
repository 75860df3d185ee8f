package orders

import (
	"context"
	"log/slog"
	"time"
)

// Limiter bounds the orders of an organisation, and what they cost (internal/limits).
type Limiter interface {
	// Take counts an order, or returns a *LimitError. undo takes it back; it may be called once.
	Take(organisation string, c Channel, to Recipient, at time.Time) (undo func(), err error)
	// Spend reserves what an order costs at the most, or returns a *LimitError. settle puts what it did cost in the
	// place of that; it may be called once.
	Spend(organisation string, most Cost, at time.Time) (settle func(Cost), err error)
}

// LimitError is the answer to an order that is beyond a limit. Nothing was sent by the call.
type LimitError struct {
	Rule  string        // for logs and metrics
	Key   string        // of the configuration, for the caller; may be empty
	Limit string        // for the caller: continues "The limit of"
	After time.Duration // until the limit may let another order through
}

func (e *LimitError) Error() string {
	if e.Key != "" {
		return "the limit of " + e.Limit + " is reached (" + e.Key + ")"
	}
	return "the limit of " + e.Limit + " is reached"
}

// count counts an order and what it costs at the most, before anything of it is stored: f.counted says later what it
// did cost. It returns false if a limit is reached; then the order is finished: with the shipment of its key, if that
// is known.
func (s *Service) count(ctx context.Context, f *inFlight, o *Order, most Cost) bool {
	if s.cfg.Limiter == nil {
		return true
	}
	settle, err := s.take(o, most, s.cfg.Now())
	if err == nil {
		f.settle = settle
		return true
	}
	if shipment, known, failed := s.known(ctx, o); s.repeat(f, o, shipment, known, failed) {
		return false
	}
	s.metrics.order(o, "limited")
	s.sampled.Write("limited "+o.Organisation, slog.LevelWarn, "order refused: a limit is reached",
		slog.String("organisation", o.Organisation), slog.Any("to", o.Message.To), slog.Any("err", err))
	f.finish(Shipment{}, false, err)
	return false
}

// take counts an order by every limit, or by none.
func (s *Service) take(o *Order, most Cost, at time.Time) (settle func(spent Cost, left bool), err error) {
	undo, err := s.cfg.Limiter.Take(o.Organisation, o.Message.Channel, o.Message.To, at)
	if err != nil {
		return nil, err
	}
	spend, err := s.cfg.Limiter.Spend(o.Organisation, most, at)
	if err != nil {
		undo()
		return nil, err
	}
	return func(spent Cost, left bool) {
		if !left {
			undo()
			spent = Cost{}
		}
		spend(spent)
	}, nil
}
