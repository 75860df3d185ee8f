// Package lot balances load over carriers by weight.
package lot

import (
	"math/rand/v2"
	"slices"
)

// Order returns the carriers in the order in which one message tries them: their own order, except that
// those with a weight above 0 take the place of the first of them, in a random order. Each is the first of
// them in proportion to its weight.
func Order[C any](carriers []C, weight func(C) int) []C {
	equals := slices.DeleteFunc(slices.Clone(carriers), func(c C) bool { return weight(c) == 0 })
	if len(equals) < 2 {
		return carriers
	}
	drawn := draw(equals, weight)
	order := make([]C, 0, len(carriers))
	for _, c := range carriers {
		switch {
		case weight(c) == 0:
			order = append(order, c)
		case drawn != nil:
			order, drawn = append(order, drawn...), nil
		}
	}
	return order
}

// draw returns all of them, drawn one by one without replacement. It uses the slice up.
func draw[C any](left []C, weight func(C) int) []C {
	sum := 0
	for _, c := range left {
		sum += weight(c)
	}
	drawn := make([]C, 0, len(left))
	for len(left) > 0 {
		ticket, i := rand.IntN(sum), 0
		for ticket >= weight(left[i]) {
			ticket -= weight(left[i])
			i++
		}
		drawn = append(drawn, left[i])
		sum -= weight(left[i])
		left = slices.Delete(left, i, i+1)
	}
	return drawn
}
