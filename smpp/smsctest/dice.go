package smsctest

import (
	"math/rand/v2"
	"sync"
	"time"
)

// dice makes every random choice of one SMSC, from the profile's seed.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, 0x5A5A))} }

// oneIn is true once in n times on average, never for 0 and below.
func (d *dice) oneIn(n int) bool {
	if n <= 1 {
		return n == 1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n) == 0
}

// spread returns least and up to jitter more.
func (d *dice) spread(least, jitter time.Duration) time.Duration {
	if jitter <= 0 {
		return least
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return least + time.Duration(d.rng.Int64N(int64(jitter)+1))
}

// octets returns n random octets.
func (d *dice) octets(n int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(d.rng.Uint32())
	}
	return b
}
