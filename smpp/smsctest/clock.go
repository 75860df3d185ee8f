package smsctest

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// maxTimed bounds what waits in a clock: 2 s of receipts at 500,000/s.
const maxTimed = 1 << 20

// clock calls functions later, all from one goroutine (run). They must not block.
type clock struct {
	mu   sync.Mutex
	due  timeds
	most int // of due; more is done at once
	seq  uint64
	wake chan struct{} // has room for one: the earliest time has changed
}

type timed struct {
	at  time.Time
	seq uint64 // keeps the order of what is due at the same time
	f   func()
}

func newClock() *clock { return &clock{most: maxTimed, wake: make(chan struct{}, 1)} }

// after calls f when d has passed, and at once, from the caller's goroutine,
// where d is not positive or too much is waiting already. The caller must hold no lock.
func (c *clock) after(d time.Duration, f func()) {
	if d <= 0 || !c.push(d, f, c.most) {
		f()
	}
}

// again is after for what repeats itself: always later, and beyond the bound,
// since each connection has a fixed number of such.
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

// run calls what is due until done is closed. What is left then is dropped.
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

// runDue calls all that is due and returns how long until something may be.
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

// next takes what is due, or tells how long until something may be.
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
