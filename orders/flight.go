package orders

import (
	"cmp"
	"context"
)

// flightKey is an idempotency key in its scope.
type flightKey struct{ organisation, key string }

// flight is an order between its request and its outcome on disk. Requests
// with the same key wait for its done.
type flight struct {
	key      flightKey
	channel  Channel
	done     chan struct{} // closed when the fields below are set
	shipment Shipment
	created  bool
	err      error
	told     bool // done is closed; touched by the flight's goroutine only
}

// tell gives the outcome to whoever waits. The first word counts.
func (f *flight) tell(s Shipment, created bool, err error) {
	if f.told {
		return
	}
	f.told = true
	f.shipment, f.created, f.err = s, created, err
	close(f.done)
}

// wait returns the shipment of the order when its outcome is known, or ErrAbandoned when ctx
// ends first. Only without an error may the other fields be read.
func (f *flight) wait(ctx context.Context) (Shipment, error) {
	select {
	case <-f.done:
		return f.shipment, f.err
	case <-ctx.Done():
		return Shipment{}, ErrAbandoned
	}
}

// flight returns the one of the key; nil where there is none.
func (s *Service) flight(k flightKey) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flights[k]
}

// maxInFlight is the bound of a channel for which none is configured.
const maxInFlight = 10_000

// board returns the flight of the key, and whether it is a new one. Each channel
// has a bound of its own: relays that hang are not to keep SMS from leaving.
func (s *Service) board(k flightKey, c Channel) (f *flight, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.flights[k]; ok {
		return f, false, nil
	}
	if s.counts[c] >= cmp.Or(s.cfg.MaxInFlight[c], maxInFlight) {
		return nil, false, ErrBusy
	}
	f = &flight{key: k, channel: c, done: make(chan struct{})}
	s.flights[k] = f
	s.counts[c]++
	return f, true, nil
}

// land forgets the flight: from now on the journal knows its outcome, and the
// key may have a flight of its own again. It may be called twice.
func (s *Service) land(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[f.key] != f {
		return
	}
	delete(s.flights, f.key)
	s.counts[f.channel]--
	if s.landed != nil && len(s.flights) == 0 {
		close(s.landed)
		s.landed = nil
	}
}

// InFlight returns the number of orders between their request and their outcome.
func (s *Service) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flights)
}

// Drain waits until no order is in flight, or ctx ends. Call it once, when no
// new ones come.
func (s *Service) Drain(ctx context.Context) error {
	s.mu.Lock()
	landed := make(chan struct{})
	if len(s.flights) == 0 {
		close(landed)
	} else {
		s.landed = landed
	}
	s.mu.Unlock()
	select {
	case <-landed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
