// Package bench drives a whole straks daemon, as its clients and its carrier
// see it, and measures what both see.
//
// The daemon is a process of its own, so that its memory and its scheduling are
// its own. Load generator and SMSC simulator share this one, and so one clock:
// every message bears its number in its text, by which the time of the
// request's first octet meets the time at which the SMSC read the submit_sm.
//
// With External it drives another gateway than straks in just the same way.
package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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
	next := p.inTurn()
	var wg sync.WaitGroup
	var open *dispatcher
	if l.Open {
		open = newDispatcher(l.Clients)
		wg.Go(func() { open.run(ctx, p) })
	}
	for range l.Clients {
		if open != nil {
			next = open.connection()
		}
		wg.Go(func() {
			if err := l.client(ctx, t, next); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	t.Elapsed = time.Since(p.began)
	return context.Cause(ctx)
}

// client is one connection, made when it is needed: a request, its answer, the
// next request.
func (l Load) client(ctx context.Context, t *Track, next func() (due, bool)) error {
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	in := bufio.NewReader(nil)
	var buf []byte
	for {
		order, ok := next()
		if !ok || ctx.Err() != nil {
			return ctx.Err()
		}
		if conn == nil {
			var d net.Dialer
			var err error
			if conn, err = d.DialContext(ctx, "tcp", l.Addr); err != nil {
				return err
			}
			in.Reset(conn)
		}
		if !l.Open {
			order.at = time.Now()
		}
		buf = l.Request(buf[:0], order.n)
		t.begin(order.n, order.at)
		if _, err := conn.Write(buf); err != nil {
			return err
		}
		a, err := readAnswer(in)
		if err != nil {
			return fmt.Errorf("order %d: %w", order.n, err)
		}
		t.answer(order.n, a)
		if a.last { // not every gateway keeps connections
			conn.Close()
			conn = nil
		}
	}
}

// answer is what there is to know of one.
type answer struct {
	status int
	again  bool // it has Retry-After
	last   bool // the server closes the connection
}

// readAnswer reads one answer whole. It knows as much of HTTP/1.1 as it takes,
// since http.ReadResponse would use more processor time than the SMSC's side
// of an order.
func readAnswer(in *bufio.Reader) (a answer, err error) {
	length := -1
	for line := 0; ; line++ {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		text = bytes.TrimSpace(text)
		name, value, _ := bytes.Cut(text, []byte(": "))
		switch {
		case line == 0:
			if a.status, err = statusOf(text); err != nil {
				return a, err
			}
		case len(text) == 0:
			if length < 0 {
				return a, errors.New("answer without a Content-Length")
			}
			_, err = in.Discard(length)
			return a, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return a, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			a.last = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Retry-After")):
			a.again = true
		}
	}
}

// statusOf reads a status line (RFC 9112 §4).
func statusOf(line []byte) (int, error) {
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, errors.New("no HTTP answer")
	}
	return strconv.Atoi(string(line[9:12]))
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
