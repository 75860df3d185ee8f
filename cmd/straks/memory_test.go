package main

import "testing"

// TestGCPercent: a small heap is let grow fivefold, a large one by no more than it is.
func TestGCPercent(t *testing.T) {
	for alive, want := range map[uint64]int{0: 400, 8 << 20: 400, 20 << 20: 400, 40 << 20: 200, 80 << 20: 100, 200 << 20: 100} {
		if got := gcPercent(alive); got != want {
			t.Errorf("%d MiB alive: %d %%, want %d", alive>>20, got, want)
		}
	}
}
