package main

import (
	"errors"
	"testing"
	"time"
)

// A few seconds of -soak, which checks memory, goroutines, descriptors and the journal's
// growth: enough for a leak with every order, reconnection or lost response.
func TestSoak(t *testing.T) {
	var levels []level
	err := errTooShort
	for d := 4 * time.Second; errors.Is(err, errTooShort) && d <= time.Minute; d *= 2 { // more on a slow machine
		levels, err = soak(t.Context(), built(t), d)
	}
	if err != nil {
		t.Error(err)
	}
	t.Logf("%+v", levels)
}

// With hardly any orders in a third, the journal's growth per order means nothing.
func TestSoakTooShort(t *testing.T) {
	s := &soaking{}
	for i := range soakSamples {
		s.seen = append(s.seen, moment{orders: float64(min(10*i, 600)), octets: float64(20000 * i)})
	}
	if levels := s.levels(0, 0); levels != nil {
		t.Errorf("%+v", levels)
	}
	for i := range s.seen {
		s.seen[i].orders = float64(10 * i)
	}
	if levels := s.levels(0, 0); len(levels) != 4 || checkGrowth(levels) != nil {
		t.Errorf("%+v", levels)
	}
}
