package smsctest

import (
	"container/heap"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// maxTimed bounds the calls that wait in a clock: 2 s of receipts at 500,000/s.
const maxTimed = 1 << 20

// clock calls functions later, all from one goroutine (run). They must not block.
type clock struct {
	mu   sync.Mutex
	due  timeds
	most int // length of due; calls beyond it run at once
	seq  uint64
	wake chan struct{} // capacity 1: the earliest time has changed
}

type timed struct {
	at  time.Time
	seq uint64 // keeps the order of calls that are due at the same time
	f   func()
}

func newClock() *clock { return &clock{most: maxTimed, wake: make(chan struct{}, 1)} }

// after calls f when d has passed. If d is not positive or too many calls are waiting, it
// calls f at once, in the caller's goroutine. The caller must hold no lock.
func (c *clock) after(d time.Duration, f func()) {
	if d <= 0 || !c.push(d, f, c.most) {
		f()
	}
}

// again is after for periodic calls: always later, and not bounded, since each connection
// has a fixed number of them.
func (c *clock) again(d time.Duration, f func()) { c.push(d, f, math.MaxInt) }

func (c *clock) push(d time.Duration, f func(), most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.due) >= most {
		return false
	}
	c.seq++
	t := timed{at: time.Now().Add(d), seq: c.seq, f: f}
	heap.Push(&c.due, t)
	if c.due[0].seq == t.seq {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// run makes the calls that are due until done is closed. Later calls are dropped.
func (c *clock) run(done <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		pause := c.runDue(done)
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-c.wake:
		case <-done:
			return
		}
	}
}

// runDue makes all calls that are due and returns the time until the next may be.
func (c *clock) runDue(done <-chan struct{}) time.Duration {
	for {
		f, pause := c.next()
		if f == nil {
			return pause
		}
		select {
		case <-done:
			return time.Hour
		default:
			f()
		}
	}
}

// next takes a call that is due, or returns the time until one may be.
func (c *clock) next() (func(), time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.due) == 0 {
		return nil, time.Hour
	}
	if d := time.Until(c.due[0].at); d > 0 {
		return nil, d
	}
	return heap.Pop(&c.due).(timed).f, 0
}

// timeds is a heap.Interface.
type timeds []timed

func (t timeds) Len() int      { return len(t) }
func (t timeds) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t timeds) Less(i, j int) bool {
	if t[i].at.Equal(t[j].at) {
		return t[i].seq < t[j].seq
	}
	return t[i].at.Before(t[j].at)
}
func (t *timeds) Push(x any) { *t = append(*t, x.(timed)) }
func (t *timeds) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = timed{}
	*t = old[:len(old)-1]
	return last
}

// freezer stops the goroutines that call pass, until it thaws. The zero value is thawed.
type freezer struct{ ice atomic.Pointer[chan struct{}] }

// freeze lasts for d, or until thaw if d is not positive. It does nothing if already frozen.
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

// pass returns true as soon as it is thawed, false if done is closed first.
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

// freeze stops this connection for d; for ever if d is 0.
func (c *conn) freeze(d time.Duration) {
	c.smsc.n.count(&c.smsc.n.Frozen)
	c.cold.freeze(c.smsc.clock, d)
}
