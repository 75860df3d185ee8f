package orders

import (
	"maps"
	"slices"
	"time"
)

// Retention is how long shipments, the keys that lead to them, and feed entries are kept.
type Retention struct {
	All time.Duration
	Own map[string]time.Duration // of organisations that have one of their own; one that is not shorter changes nothing
}

// Of returns the retention of an organisation.
func (r Retention) Of(organisation string) time.Duration {
	if own, ok := r.Own[organisation]; ok {
		return min(own, r.All)
	}
	return r.All
}

// Shorter returns each retention that is shorter than that of all, and whose it is.
func (r Retention) Shorter() map[time.Duration][]string {
	shorter := make(map[time.Duration][]string)
	for _, name := range slices.Sorted(maps.Keys(r.Own)) {
		if own := r.Own[name]; own < r.All {
			shorter[own] = append(shorter[own], name)
		}
	}
	return shorter
}
