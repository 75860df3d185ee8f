package api

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/handover"
	"straks/internal/memnet"
	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
)

// piped is the API with the real journal behind it, reached by HTTP in memory. In a synctest
// bubble its time does not depend on the machine: only the simulated carrier takes any.
type piped struct {
	t       *testing.T
	carrier *orderstest.Carrier
	ln      *pipeListener
}

func startPiped(t *testing.T, window int, takes time.Duration) *piped {
	return startPipedWithin(t, Limits{}, window, takes)
}

func startPipedWithin(t *testing.T, l Limits, window int, takes time.Duration) *piped {
	p := &piped{t: t, carrier: &orderstest.Carrier{Window: window}, ln: &pipeListener{conns: make(chan net.Conn)}}
	p.carrier.Sends(func(context.Context, orders.Message) orders.Handover {
		time.Sleep(takes)
		return orders.Handover{Outcome: handover.Unknown}
	})
	auth, err := NewTokens([]Token{{Organisation: "ttd", Name: "backend", SHA256: sum(ttdToken)},
		{Organisation: "other", Name: "batch", SHA256: sum(otherToken)}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	service := orders.NewService(orders.Config{Journal: bolttest.New(t), SMS: p.carrier, Log: log})
	h, err := New(Config{Service: service, Auth: auth, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	connections := connectionsOf(t, l)
	server := Server(h, l, connections, log)
	go server.Serve(Listener(p.ln, connections, nil, nil))
	t.Cleanup(func() {
		server.Shutdown(context.Background())
		service.Drain(context.Background())
	})
	return p
}

// client returns a client with connections of its own.
func (p *piped) client() *http.Client {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := memnet.Pipe(64 << 10)
		p.ln.conns <- there
		return here, nil
	}}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// dial returns a connection that buffers, as a socket does.
func (p *piped) dial() net.Conn {
	here, there := memnet.Pipe(64 << 10)
	p.t.Cleanup(func() { here.Close() })
	here.SetDeadline(time.Now().Add(time.Minute))
	p.ln.conns <- there
	return here
}

// order places an order and returns the status of the answer.
func (p *piped) order(c *http.Client, key string) int { return p.orderAs(ttdToken, c, key) }

func (p *piped) orderAs(token string, c *http.Client, key string) int {
	r, err := http.NewRequest("POST", "http://straks"+smsPath, strings.NewReader(smsOf(key)))
	if err != nil {
		p.t.Fatal(err)
	}
	as(token)(r)
	header("Content-Type", "application/json")(r)
	resp, err := c.Do(r)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Clients that wait for their answers before they send the next order get no 503 where all
// of them can be answered within 50 ms.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, each, takes = 256, 20, 20 * time.Millisecond
		p := startPiped(t, clients/2, takes)
		var mu sync.Mutex
		statuses := map[int]int{}
		var longest time.Duration
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				client := p.client()
				for i := range each {
					began := time.Now()
					status := p.order(client, strconv.Itoa(c)+"-"+strconv.Itoa(i))
					mu.Lock()
					statuses[status]++
					longest = max(longest, time.Since(began))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if statuses[201] != clients*each || longest > 50*time.Millisecond {
			t.Errorf("statuses %v, the longest after %v", statuses, longest)
		}
	})
}

// A thousand orders and two repeats of each, all at once: each key is sent once, and no repeat is refused.
func TestBurstOfRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, copies = 1000, 3
		p := startPiped(t, 100, 40*time.Millisecond)
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		for i := range keys * copies {
			wg.Go(func() {
				status := p.order(p.client(), strconv.Itoa(i%keys))
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		wg.Wait()
		if n := len(p.carrier.Sent()); statuses[201] != keys || statuses[200] != keys*(copies-1) || n != keys {
			t.Errorf("statuses %v, %d messages left", statuses, n)
		}
	})
}
