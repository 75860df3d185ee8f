package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pace tells when each order is due, counted from began.
type pace struct {
	rate   float64 // orders/s; 0: at once
	length time.Duration
	limit  int // of orders
	began  time.Time
}

// await waits until order n is due; false where it is not to be made any more.
func (p pace) await(n int) (due time.Time, ok bool) {
	due = time.Now()
	if p.rate > 0 {
		due = p.began.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	}
	if n >= p.limit || due.Sub(p.began) >= p.length {
		return due, false
	}
	time.Sleep(time.Until(due))
	return due, true
}

// inTurn returns the function by which any connection takes the next order
// that none has taken, and waits until it is due. What the connections are late
// with at the end is not made any more.
func (p pace) inTurn() func() (due, bool) {
	var next atomic.Int64
	return func() (due, bool) {
		n := int(next.Add(1) - 1)
		at, ok := p.await(n)
		return due{n, at}, ok && time.Since(p.began) < p.length
	}
}

// due is an order that is to be made now, or was to be made then.
type due struct {
	n  int
	at time.Time
}

// dispatcher gives each order, when it is due, to the connection that has
// been free for the shortest time, as the pools of HTTP clients do: so no more
// of them are in use than it takes.
type dispatcher struct {
	mu    sync.Mutex
	free  []chan due    // a stack
	ready chan struct{} // one for each of them
	done  chan struct{} // closed when there are no more orders
}

func newDispatcher(clients int) *dispatcher {
	return &dispatcher{ready: make(chan struct{}, clients), done: make(chan struct{})}
}

// run hands out orders until there are no more, or ctx ends.
func (d *dispatcher) run(ctx context.Context, p pace) {
	defer close(d.done)
	for n := 0; ; n++ {
		at, ok := p.await(n)
		if !ok {
			return
		}
		select {
		case <-d.ready:
			d.pop() <- due{n, at}
		case <-ctx.Done():
			return
		}
	}
}

func (d *dispatcher) pop() chan due {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := len(d.free) - 1
	c := d.free[last]
	d.free = d.free[:last]
	return c
}

// connection returns the function by which one connection gets its next order.
func (d *dispatcher) connection() func() (due, bool) {
	mine := make(chan due, 1)
	return func() (due, bool) {
		d.mu.Lock()
		d.free = append(d.free, mine)
		d.mu.Unlock()
		d.ready <- struct{}{}
		select {
		case order := <-mine:
			return order, true
		case <-d.done:
		}
		select {
		case order := <-mine: // in the same moment
			return order, true
		default:
			return due{}, false
		}
	}
}
