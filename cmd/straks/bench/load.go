// Package bench drives a whole straks daemon, as its clients and its carrier
// see it, and measures what both see.
//
// The daemon is a process of its own, so that its memory and its scheduling are
// its own. Load generator and SMSC simulator share this one, and so one clock:
// every message bears its number in its text, by which the time of the
// request's first octet meets the time at which the SMSC read the submit_sm.
package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Load is one run: so many orders, over so many connections.
type Load struct {
	Addr    string        // of the API, host:port
	Base    string        // path of the API
	Token   string        // bearer token
	Clients int           // connections, each with one request at a time
	Rate    float64       // orders/s; 0 for as many as the clients can
	For     time.Duration // how long orders are made
	Limit   int           // orders at most
	Run     string        // makes the run's idempotency keys its own
}

// Track is what is known of each order of a run, by its number. Times are
// nanoseconds since the run's start; zero where the thing did not happen.
type Track struct {
	start    time.Time
	begun    []atomic.Int64
	seen     []atomic.Int64
	answered []atomic.Int64
	repeated atomic.Int64 // submits of an order that the SMSC had seen before
	refused  atomic.Int64 // answers other than 201
	next     atomic.Int64
	Elapsed  time.Duration // from the first request to the last answer
}

// NewTrack makes room for the given number of orders.
func NewTrack(limit int) *Track {
	return &Track{start: time.Now(), begun: make([]atomic.Int64, limit), seen: make([]atomic.Int64, limit), answered: make([]atomic.Int64, limit)}
}

func (t *Track) now() int64 { return int64(time.Since(t.start)) }

// Seen notes that the SMSC read the submit_sm with this text at that time.
func (t *Track) Seen(text string, at time.Time) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= len(t.seen) {
		return
	}
	if !t.seen[n].CompareAndSwap(0, int64(at.Sub(t.start))) {
		t.repeated.Add(1)
	}
}

// Drive makes the orders and returns when all are answered.
func (l Load) Drive(ctx context.Context, t *Track) error {
	var wg sync.WaitGroup
	errs := make(chan error, l.Clients)
	began := time.Now()
	for range l.Clients {
		wg.Go(func() {
			if err := l.client(ctx, t, began); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	t.Elapsed = time.Since(began)
	close(errs)
	return <-errs
}

// client is one connection: a request, its answer, the next request.
func (l Load) client(ctx context.Context, t *Track, began time.Time) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var buf []byte
	for ctx.Err() == nil {
		n := int(t.next.Add(1) - 1)
		due := time.Since(began)
		if l.Rate > 0 {
			due = time.Duration(float64(n) / l.Rate * float64(time.Second))
		}
		if n >= min(l.Limit, len(t.begun)) || due >= l.For {
			return nil
		}
		time.Sleep(time.Until(began.Add(due)))
		buf = l.request(buf[:0], n)
		t.begun[n].Store(t.now())
		if _, err := conn.Write(buf); err != nil {
			return err
		}
		status, err := readAnswer(in)
		if err != nil {
			return fmt.Errorf("order %d: %w", n, err)
		}
		if status != http.StatusCreated {
			t.refused.Add(1)
			continue
		}
		t.answered[n].Store(t.now())
	}
	return ctx.Err()
}

// request renders order n. Recipients differ, as they do in life.
func (l Load) request(dst []byte, n int) []byte {
	body := fmt.Sprintf(`{"idempotencyId":"%s-%d","recipientSms":{"phoneNumber":"+4790%06d","timeToLiveInSeconds":300,"smsSettings":{"body":"%d"}}}`,
		l.Run, n, 100000+n%800000, n)
	return fmt.Appendf(dst, "POST %s/future/orders/instant/sms HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		l.Base, l.Addr, l.Token, len(body), body)
}

// readAnswer reads one answer whole and returns its status.
func readAnswer(in *bufio.Reader) (int, error) {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
