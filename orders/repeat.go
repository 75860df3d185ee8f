package orders

import (
	"context"
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

// awaitHeld returns the shipment when it is no longer Held, and false where the key is free
// then. It waits for as long as an order may take to be sent; then, ErrHeld.
func (s *Service) awaitHeld(ctx context.Context, o *Order, shipment Shipment) (Shipment, bool, error) {
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
