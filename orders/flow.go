package orders

import (
	"cmp"
	"container/list"
	"slices"
	"sync/atomic"
	"time"
)

// lane is a Lane in use. admission.mu guards lanes, flows and waiters.
type lane struct {
	name    string
	most    int              // orders on their way to the carrier, or with it
	busy    int              // those that there are
	waiting int              // orders in the queues of all flows
	octets  int              // of those
	flows   map[string]*flow // by organisation, of which the configuration has a few
	turns   []*flow          // with waiting orders; the one that was admitted last is the last
	moved   time.Time        // when an order was admitted last
}

// flow is what one organisation has in a lane.
type flow struct {
	lane         *lane
	organisation string
	share        *share
	busy         int        // orders on their way to the carrier, or with it
	queue        *list.List // of *waiter, the oldest first
	octets       int        // of the orders in queue

	// The shortest wait of the present interval, and the verdict of the last one.
	began      time.Time // of the interval; zero: none has begun
	shortest   time.Duration
	overloaded bool
}

// waiter is an order in a queue.
type waiter struct {
	flow    *flow
	at      *list.Element
	since   time.Time
	octets  int
	callers *atomic.Int32 // that wait for the order; without any it is not admitted
	woken   chan struct{}
	permit  *permit // these two are set before woken is closed; both nil: every caller has left
	refused error
}

// push appends an order to the queue.
func (f *flow) push(w *waiter) {
	if f.queue.Len() == 0 {
		f.lane.turns = append(f.lane.turns, f)
	}
	w.at = f.queue.PushBack(w)
	f.octets += w.octets
	f.lane.octets += w.octets
	f.lane.waiting++
}

func (f *flow) remove(w *waiter) {
	f.queue.Remove(w.at)
	f.octets -= w.octets
	f.lane.octets -= w.octets
	f.lane.waiting--
	if f.queue.Len() == 0 {
		f.lane.turns = slices.DeleteFunc(f.lane.turns, func(other *flow) bool { return other == f })
	}
}

// next returns the waiting order that is admitted next: the oldest of the organisation with the fewest in the
// lane, and of equal ones with the fewest at work. Organisations that are equal in both take turns.
func (l *lane) next() *waiter {
	first := l.turns[0]
	for _, f := range l.turns[1:] {
		if cmp.Or(cmp.Compare(f.busy, first.busy), cmp.Compare(f.share.atWork, first.share.atWork)) < 0 {
			first = f
		}
	}
	return first.queue.Front().Value.(*waiter)
}

// excess returns the order that must be refused before the flow may add another: the newest of the flow with
// the most. If that is the flow itself, any order of the flow stands for the one to be added. nil: there is room.
func (l *lane) excess(f *flow, octets int) *waiter {
	var size func(*flow) int
	switch {
	case l.waiting >= queueLength:
		size = func(f *flow) int { return f.queue.Len() }
		octets = 1
	case l.octets+octets > queueOctets:
		size = func(f *flow) int { return f.octets }
	default:
		return nil
	}
	most, largest := f, size(f)+octets
	for _, other := range l.turns {
		if other != f && size(other) > largest {
			most, largest = other, size(other)
		}
	}
	if most == f {
		return &waiter{flow: f}
	}
	return most.queue.Back().Value.(*waiter)
}

// measure records the wait of an order that is admitted now.
func (f *flow) measure(now time.Time, wait time.Duration) {
	f.look(now)
	f.shortest = min(f.shortest, wait)
	if wait <= targetWait {
		f.overloaded = false
	}
	f.lane.moved = now
	if i := slices.Index(f.lane.turns, f); i >= 0 { // it has had its turn
		f.lane.turns = append(slices.Delete(f.lane.turns, i, i+1), f)
	}
}

// look begins a new interval if the present one is over, and then decides whether the organisation is
// overloaded. If no order was admitted in the interval, the wait of the first in the queue counts.
//
// An organisation without waiting orders is not overloaded where the lane admits orders of others: its next
// order does not wait long.
func (f *flow) look(now time.Time) {
	first := f.queue.Front()
	if first == nil && now.Sub(f.lane.moved) < targetWait {
		f.overloaded = false
	}
	if now.Sub(f.began) < targetWait {
		return
	}
	if first != nil && !f.began.IsZero() {
		shortest := min(f.shortest, now.Sub(first.Value.(*waiter).since))
		f.overloaded = f.overloaded || shortest > targetWait
	}
	f.began, f.shortest = now, longestWait
}
