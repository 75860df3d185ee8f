package orders

import (
	"context"
	"log/slog"
	"time"
)

// Limiter bounds the orders of an organisation (internal/limits).
type Limiter interface {
	// Take counts an order, or returns a *LimitError. undo takes it back; it may be called once.
	Take(organisation string, c Channel, to Recipient, at time.Time) (undo func(), err error)
}

// LimitError is the answer to an order that is beyond a limit. Nothing was sent by the call.
type LimitError struct {
	Rule  string        // for logs and metrics
	Limit string        // for the caller: continues "The limit of"
	After time.Duration // until the limit may let another order through
}

func (e *LimitError) Error() string { return "the limit of " + e.Limit + " is reached" }

// count counts an order by its limits, before anything of it is stored. counted is false if a limit is reached; then
// the order is finished: with the shipment of its key, if that is known.
func (s *Service) count(ctx context.Context, f *inFlight, o *Order) (undo func(), counted bool) {
	if s.cfg.Limiter == nil {
		return func() {}, true
	}
	undo, err := s.cfg.Limiter.Take(o.Organisation, o.Message.Channel, o.Message.To, s.cfg.Now())
	if err == nil {
		return undo, true
	}
	if shipment, known, failed := s.known(ctx, o); s.repeat(f, o, shipment, known, failed) {
		return nil, false
	}
	s.metrics.order(o, "limited")
	s.sampled.Write("limited "+o.Organisation, slog.LevelWarn, "order refused: a limit is reached",
		slog.String("organisation", o.Organisation), slog.Any("to", o.Message.To), slog.Any("err", err))
	f.finish(Shipment{}, false, err)
	return nil, false
}
