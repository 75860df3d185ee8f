package main

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is a number of orders over a number of connections.
type load struct {
	Addrs   []string      // of the gateway, host:port; connections are spread over them
	Clients int           // connections, each with one request at a time
	Rate    float64       // orders/s; 0 for as many as the clients can make
	Open    bool          // with Rate: an order counts from when it is due, though no connection is free
	For     time.Duration // orders are made for this long
	// Request renders order n. The text of the message is n in decimal.
	Request func(dst []byte, n int) []byte `json:"-"`
}

// drive makes the orders, at most as many as t has room for, and returns when all are
// answered.
func (l load) drive(ctx context.Context, t *track) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := pace{l.Rate, l.For, len(t.due), time.Now()}
	inTurn := p.inTurn()
	var wg sync.WaitGroup
	var open *dispatcher
	if l.Open {
		open = newDispatcher(l.Clients)
		wg.Go(func() { open.run(ctx, p) })
	}
	for i := range l.Clients {
		next := inTurn
		if open != nil {
			next = open.connection()
		}
		wg.Go(func() {
			if err := newClient(l, l.Addrs[i%len(l.Addrs)], t).run(ctx, next); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	t.elapsed = time.Since(p.began)
	return context.Cause(ctx)
}

// order renders orders to straks. Recipients have the given prefix and six more digits;
// they differ, as they do in production. Keys are unique to this call.
func order(addr, prefix string) func(dst []byte, n int) []byte {
	run := strconv.FormatInt(time.Now().UnixNano(), 10)
	head := []byte("POST /notifications/api/v1/future/orders/instant/sms HTTP/1.1\r\nHost: " + addr + "\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\nContent-Length: ")
	return func(dst []byte, n int) []byte {
		var buf [300]byte
		body := append(buf[:0], `{"idempotencyId":"`+run...)
		body = strconv.AppendInt(append(body, '-'), int64(n), 10)
		body = append(body, `","recipientSms":{"phoneNumber":"`+prefix...)
		body = strconv.AppendInt(body, int64(100000+n%800000), 10)
		body = append(body, `","timeToLiveInSeconds":300,"smsSettings":{"body":"`...)
		body = append(strconv.AppendInt(body, int64(n), 10), `"}}}`...)
		dst = strconv.AppendInt(append(dst, head...), int64(len(body)), 10)
		return append(append(dst, "\r\n\r\n"...), body...)
	}
}

// due is an order and the time at which it is or was due.
type due struct {
	n  int
	at time.Time
}

// pace says when each order is due, counted from began.
type pace struct {
	rate   float64 // orders/s; 0: at once
	length time.Duration
	limit  int // of orders
	began  time.Time
}

// await waits until order n is due. It returns false where the run ends before that.
func (p pace) await(n int) (at time.Time, ok bool) {
	at = time.Now()
	if p.rate > 0 {
		at = p.began.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	}
	if n >= p.limit || at.Sub(p.began) >= p.length {
		return at, false
	}
	time.Sleep(time.Until(at))
	return at, true
}

// inTurn returns the function by which any connection takes the next order and waits
// until the order is due. Orders that are late at the end of the run are not made.
func (p pace) inTurn() func() (due, bool) {
	var next atomic.Int64
	return func() (due, bool) {
		n := int(next.Add(1) - 1)
		at, ok := p.await(n)
		return due{n, at}, ok && time.Since(p.began) < p.length
	}
}

// dispatcher gives each order, when it is due, to the connection that became free last,
// as the pools of HTTP clients do. So no more connections are in use than needed.
type dispatcher struct {
	mu    sync.Mutex
	free  []chan due    // a stack
	ready chan struct{} // one for each element of free
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
		case order := <-mine: // at the same moment as done
			return order, true
		default:
			return due{}, false
		}
	}
}
