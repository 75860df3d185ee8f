package smsctest

import (
	"sync/atomic"
	"time"
)

// freezer stops goroutines that ask it, until it thaws. The zero value is thawed.
type freezer struct{ ice atomic.Pointer[chan struct{}] }

// freeze lasts for d, or until thaw where d is not positive. Freezing what is
// frozen changes nothing.
func (z *freezer) freeze(c *clock, d time.Duration) {
	ice := make(chan struct{})
	if z.ice.CompareAndSwap(nil, &ice) && d > 0 {
		c.after(d, func() { z.melt(&ice) })
	}
}

func (z *freezer) frozen() bool { return z.ice.Load() != nil }

func (z *freezer) thaw() { z.melt(z.ice.Load()) }

func (z *freezer) melt(ice *chan struct{}) {
	if ice != nil && z.ice.CompareAndSwap(ice, nil) {
		close(*ice)
	}
}

// pass returns true as soon as it is thawed, false when done is closed before.
func (z *freezer) pass(done <-chan struct{}) bool {
	for ice := z.ice.Load(); ice != nil; ice = z.ice.Load() {
		select {
		case <-*ice:
		case <-done:
			return false
		}
	}
	return true
}
