package orders

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Repeated returns the shipment of an order whose key was taken before, as Place would, and
// false where the key is new or free. It is for orders that are not fit to be placed: only
// organisation, key and channel are looked at, and nothing is sent. Errors: that of the order with the
// key if it is in flight now, ErrUnavailable, and ErrAbandoned when ctx ends first.
func (s *Service) Repeated(ctx context.Context, o Order) (Shipment, bool, error) {
	// What is read while a flight is up may be free again when that has landed. So it
	// counts when it is still there, and no flight has been seen in between.
	var claim uuid.UUID
	for {
		if f := s.flight(flightKey{o.Organisation, o.Key}); f != nil {
			shipment, err := f.wait(ctx)
			return shipment, err == nil, err
		}
		shipment, known, err := s.cfg.Journal.Known(ctx, o.Organisation, o.Key, time.Now())
		switch {
		case err != nil:
			return Shipment{}, false, storeError(err)
		case !known:
			return Shipment{}, false, nil
		case shipment.Claim == claim:
			s.metrics.order(&o, "repeated")
			return shipment, true, nil
		}
		claim = shipment.Claim
	}
}
