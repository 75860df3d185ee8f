// Package bench drives a whole straks daemon, as its clients and its carrier
// see it, and measures what both see.
//
// The daemon is a process of its own, so that its memory and its scheduling are
// its own. Load generator and SMSC simulator share this one, and so one clock:
// every message bears its number in its text, by which the time of the
// request's first octet meets the time at which the SMSC read the submit_sm. In an
// overload the load generator is a third process.
//
// With External it drives another gateway than straks in just the same way.
package bench

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// Load is one run: so many orders, over so many connections.
type Load struct {
	Addr    string        // of the gateway, host:port
	Clients int           // connections, each with one request at a time
	Rate    float64       // orders/s; 0 for as many as the clients can
	Open    bool          // with Rate: an order counts as begun when it is due, though no client be free
	For     time.Duration // how long orders are made
	// Request renders order n. The text of the message is n in decimal.
	Request func(dst []byte, n int) []byte `json:"-"`
}

// Drive makes the orders, as many as t has room for at most, and returns when
// all are answered.
func (l Load) Drive(ctx context.Context, t *Track) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := pace{l.Rate, l.For, len(t.begun), time.Now()}
	inTurn := p.inTurn()
	var wg sync.WaitGroup
	var open *dispatcher
	if l.Open {
		open = newDispatcher(l.Clients)
		wg.Go(func() { open.run(ctx, p) })
	}
	for range l.Clients {
		next := inTurn
		if open != nil {
			next = open.connection()
		}
		wg.Go(func() {
			if err := newClient(l, t).run(ctx, next); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	t.Elapsed = time.Since(p.began)
	return context.Cause(ctx)
}

// order renders orders to straks, for recipients with the given prefix and six
// more digits: they differ, as they do in life. The keys are those of this call.
func order(addr, prefix string) func(dst []byte, n int) []byte {
	run := strconv.FormatInt(time.Now().UnixNano(), 10)
	head := []byte("POST /notifications/api/v1/future/orders/instant/sms HTTP/1.1\r\nHost: " + addr + "\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\nContent-Length: ")
	return func(dst []byte, n int) []byte {
		var room [300]byte
		body := append(room[:0], `{"idempotencyId":"`+run...)
		body = strconv.AppendInt(append(body, '-'), int64(n), 10)
		body = append(body, `","recipientSms":{"phoneNumber":"`+prefix...)
		body = strconv.AppendInt(body, int64(100000+n%800000), 10)
		body = append(body, `","timeToLiveInSeconds":300,"smsSettings":{"body":"`...)
		body = append(strconv.AppendInt(body, int64(n), 10), `"}}}`...)
		dst = strconv.AppendInt(append(dst, head...), int64(len(body)), 10)
		return append(append(dst, "\r\n\r\n"...), body...)
	}
}
