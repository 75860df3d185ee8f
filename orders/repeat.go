package orders

import (
	"context"
	"errors"
	"time"
)

// A repeat of a key is answered with what became of the first order. Where that is in flight
// in this process, the repeat waits for its outcome (inFlight). Where the journal says that it is Held, in
// flight in another process, the outcome is polled. Only a shipment that can't become free
// any more is an answer.

// Repeated returns the shipment of an order whose key was taken before, as Place would, and
// false where the key is new or free. It is for orders that are not fit to be placed: only
// organisation, key and channel are looked at, and nothing is sent. Errors: that of the order with the
// key if it is in flight now, ErrHeld, ErrUnavailable, and ErrAbandoned when ctx ends first.
func (s *Service) Repeated(ctx context.Context, o Order) (Shipment, bool, error) {
	if f := s.join(orderKey{o.Organisation, o.Key}); f != nil {
		shipment, err := f.wait(ctx)
		return shipment, err == nil, err
	}
	shipment, known, err := s.known(ctx, &o)
	if known && err == nil {
		s.metrics.order(&o, "repeated")
	}
	return shipment, known, err
}

// known returns the shipment of the order's key, once it is not Held.
func (s *Service) known(ctx context.Context, o *Order) (Shipment, bool, error) {
	shipment, known, err := s.cfg.Journal.Known(ctx, o.Organisation, o.Key, s.cfg.Now())
	if err != nil {
		return Shipment{}, false, storeError(err)
	}
	if !known {
		return Shipment{}, false, nil
	}
	return s.awaitHeld(ctx, o, shipment)
}

// awaitHeld returns the shipment when it is no longer Held and can't become free any more, and false where the key is free
// then. It waits for as long as an order may take to be sent; then, ErrHeld.
func (s *Service) awaitHeld(ctx context.Context, o *Order, shipment Shipment) (Shipment, bool, error) {
	if !shipment.Held {
		return s.endClaim(ctx, o, shipment)
	}
	shipment, known, err := s.pollHeld(ctx, o, shipment)
	if known && err == nil {
		shipment, known, err = s.endClaim(ctx, o, shipment)
	}
	s.metrics.waited.WithLabelValues(endOfWait(shipment, known, err)).Inc()
	return shipment, known, err
}

// endsOfWait are the ends of repeats that waited for the outcome of an order in another process, as they are spelled in the metric.
var endsOfWait = []string{"known", "free", "unknown", "held", "abandoned", "unavailable"}

// endOfWait names the end of a wait by its result.
func endOfWait(shipment Shipment, known bool, err error) string {
	switch {
	case errors.Is(err, ErrHeld):
		return "held"
	case errors.Is(err, ErrAbandoned):
		return "abandoned"
	case err != nil:
		return "unavailable"
	case !known:
		return "free"
	case shipment.Status.InFeed():
		return "known"
	}
	return "unknown" // its claim has ended: the process that had it died, or had no answer of the carrier
}

// pollHeld asks the journal until the shipment is no longer Held; see awaitHeld.
func (s *Service) pollHeld(ctx context.Context, o *Order, shipment Shipment) (Shipment, bool, error) {
	waiting, cancel := context.WithTimeout(ctx, s.cfg.SendDeadline)
	defer cancel()
	for pause := 20 * time.Millisecond; shipment.Held; pause = min(2*pause, 100*time.Millisecond) {
		if !sleep(waiting.Done(), pause) {
			if ctx.Err() == context.Canceled {
				return Shipment{}, false, ErrAbandoned
			}
			return Shipment{}, false, ErrHeld
		}
		now, known, err := s.cfg.Journal.Known(waiting, o.Organisation, o.Key, s.cfg.Now())
		switch {
		case ofTheCall(err):
			return Shipment{}, false, storeError(err)
		case err == nil && !known:
			return Shipment{}, false, nil
		case err == nil:
			shipment = now
		}
	}
	return shipment, true, nil
}

// endClaim ends a claim that has no answer, and that nobody holds any more: the process that had it may be frozen and come with its
// answer yet, and must not free the key of which a caller was told that it is known. If the answer came first and has freed
// the key, endClaim returns false.
func (s *Service) endClaim(ctx context.Context, o *Order, shipment Shipment) (Shipment, bool, error) {
	if !shipment.Claimed() {
		return shipment, true, nil
	}
	a := noAnswer(&shipment, s.cfg.Now())
	effects, err := s.cfg.Journal.Apply(ctx, []Event{a})
	if err != nil {
		return Shipment{}, false, storeError(err)
	}
	s.applied(a, effects[0])
	now := effects[0].Shipment
	if now.Claim != shipment.Claim { // it was free, and has another claim
		return s.known(ctx, o)
	}
	return now, !now.Status.Free(), nil
}

// elsewhere finishes an order whose key has a shipment already, once that is not Held. It reports
// whether the key has become free instead.
func (s *Service) elsewhere(ctx context.Context, f *inFlight, p *permit, o *Order, shipment Shipment) (free bool) {
	p.handOver() // it is not at work while it waits
	shipment, known, err := s.awaitHeld(ctx, o, shipment)
	p.answered()
	s.repeat(f, o, shipment, known, err)
	return !known && err == nil
}

// repeat finishes the order with the result of known or awaitHeld, and reports whether it did: a free key is
// no result.
func (s *Service) repeat(f *inFlight, o *Order, shipment Shipment, known bool, err error) bool {
	switch {
	case err != nil:
		s.metrics.order(o, "unavailable")
		f.finish(Shipment{}, false, err)
	case known:
		s.metrics.order(o, "repeated")
		f.finish(shipment, false, nil)
	}
	return known || err != nil
}
