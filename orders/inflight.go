package orders

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
)

// orderKey is an idempotency key in its scope.
type orderKey struct{ organisation, key string }

// inFlight is an order between its request and its outcome on disk. Requests with the
// same key wait for its outcome.
type inFlight struct {
	key     orderKey
	to      Recipient
	callers atomic.Int32 // requests that wait for the outcome; raised under Service.mu only
	claimed uuid.UUID    // the shipment that is claimed for it, or may be; under Service.mu

	done     chan struct{} // closed by finish
	finished bool          // touched by the order's own goroutine only
	// settle tells the limits what the order did cost, and whether it may have left; nil: they know, or did not count
	// it. Likewise touched by that goroutine only.
	settle func(spent Cost, left bool)

	shipment Shipment // these three are set before done is closed
	created  bool
	err      error
}

// start returns the order in flight with that key, and whether it is a new one. It counts the
// caller, who must call wait next.
func (s *Service) start(k orderKey, to Recipient) (f *inFlight, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.orders[k]
	if !ok {
		f = &inFlight{key: k, to: to, done: make(chan struct{})}
		s.orders[k] = f
	}
	f.callers.Add(1)
	return f, !ok
}

// join is start where there must be such an order; nil where there is none.
func (s *Service) join(k orderKey) *inFlight {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.orders[k]
	if f != nil {
		f.callers.Add(1)
	}
	return f
}

// wait returns the shipment of the order when its outcome is known, or ErrAbandoned when ctx
// ends first. Only without an error may the other fields be read.
func (f *inFlight) wait(ctx context.Context) (Shipment, error) {
	defer f.callers.Add(-1)
	select {
	case <-f.done:
		return f.shipment, f.err
	case <-ctx.Done():
		return Shipment{}, ErrAbandoned
	}
}

// counted tells the limits what the order did cost, and left is false if it surely did not leave. Later calls are ignored.
func (f *inFlight) counted(spent Cost, left bool) {
	if settle := f.settle; settle != nil {
		f.settle = nil
		settle(spent, left)
	}
}

// finish publishes the outcome to all callers. Later calls are ignored. An order that was not handed over does not count
// any more when its callers learn of it: they may try again at once.
func (f *inFlight) finish(s Shipment, created bool, err error) {
	if f.finished {
		return
	}
	f.counted(Cost{}, false)
	f.finished = true
	f.shipment, f.created, f.err = s, created, err
	close(f.done)
}

// forget removes the order: from now on the journal knows its outcome, and the key may be
// in flight again. It may be called twice.
func (s *Service) forget(f *inFlight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(f)
}

// forgetAbandoned removes an order of which nothing was stored, unless a caller waits for it.
func (s *Service) forgetAbandoned(f *inFlight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.callers.Load() > 0 {
		return false
	}
	s.remove(f)
	return true
}

// remove is forget with mu locked.
func (s *Service) remove(f *inFlight) {
	if s.orders[f.key] != f {
		return
	}
	delete(s.orders, f.key)
	if s.drained != nil && len(s.orders) == 0 {
		close(s.drained)
		s.drained = nil
	}
}

// claims notes the shipment that is claimed for an order, or may be.
func (s *Service) claims(f *inFlight, shipment uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.claimed = shipment
}

// landed returns those of the shipments that no order in flight has claimed.
func (s *Service) landed(shipments []uuid.UUID) []uuid.UUID {
	if len(shipments) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	claimed := make(map[uuid.UUID]bool, len(s.orders))
	for _, f := range s.orders {
		claimed[f.claimed] = true
	}
	return slices.DeleteFunc(shipments, func(id uuid.UUID) bool { return claimed[id] })
}

// InFlight returns the number of orders between their request and their outcome on disk.
func (s *Service) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.orders)
}

// Drain waits until no order is in flight, or ctx ends. Call it once, when no
// new ones come.
func (s *Service) Drain(ctx context.Context) error {
	s.mu.Lock()
	drained := make(chan struct{})
	if len(s.orders) == 0 {
		close(drained)
	} else {
		s.drained = drained
	}
	s.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
