package smsctest

import "sync"

// maxGrudges bounds the numbers that are remembered; beyond, all are forgotten.
const maxGrudges = 100_000

// grudges remember how often a number was throttled since it last got through.
type grudges struct {
	mu    sync.Mutex
	count map[string]int
}

// hold tells whether number has to be throttled once more of n times.
func (g *grudges) hold(number string, n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count[number] >= n {
		delete(g.count, number)
		return false
	}
	if g.count == nil || len(g.count) >= maxGrudges {
		g.count = map[string]int{}
	}
	g.count[number]++
	return true
}
