package smtp

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// MinIdle connections are open before the first mail, and again after a burst and a loss.
func TestWarmConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := relaytest.Dialogue()
		p, relay := memoryPool(t, Relay{MinIdle: 3, MaxConns: 6}, func(c net.Conn) { play(slow{c, 20 * time.Millisecond}) })
		runs(t, p, nil)
		time.Sleep(time.Second)
		expect := func(when string, want int) {
			t.Helper()
			if _, open := relay.connections(); open != want || p.States()[0].Open != want {
				t.Fatalf("%s: %d open, %+v", when, open, p.States()[0])
			}
		}
		expect("at the start", 3)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
					t.Errorf("got %+v", res)
				}
			})
		}
		wg.Wait()
		expect("after a burst", 6)
		time.Sleep(5 * time.Minute)
		expect("after idle_timeout", 3)
		r := p.relay(0)
		r.mu.Lock()
		for _, c := range r.idle {
			c.close()
		}
		r.mu.Unlock()
		time.Sleep(5 * time.Second)
		expect("after a loss", 3)
	})
}

// A relay that allows fewer connections than MinIdle is not asked for more all the time, and gets its mails.
func TestFewerConnectionsThanWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var one sync.Mutex
		p, relay := memoryPool(t, Relay{MinIdle: 2}, func(c net.Conn) {
			if !one.TryLock() {
				greets("421 4.7.0 Too many connections")(c)
				return
			}
			defer one.Unlock()
			relaytest.Dialogue()(c)
		})
		runs(t, p, nil)
		time.Sleep(10 * time.Minute)
		if accepted, open := relay.connections(); accepted > 130 || open != 1 {
			t.Errorf("%d connections in 10 minutes, %d open", accepted, open)
		}
		for range 20 {
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
				t.Fatalf("got %+v", res)
			}
		}
		if err := p.Ready(); err != nil {
			t.Error(err)
		}
	})
}

// A connection is replaced at its age, within a tenth, and no mail waits for that.
func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const greeting = 100 * time.Millisecond
		play := relaytest.Dialogue()
		p, relay := memoryPool(t, Relay{MaxAge: 10 * time.Minute, KeepAlive: 2 * time.Minute}, func(c net.Conn) {
			time.Sleep(greeting)
			play(c)
		})
		runs(t, p, nil)
		start := time.Now()
		for n := 1; time.Since(start) < 2*time.Hour; {
			time.Sleep(4 * time.Second) // else each mail would follow a NOOP, see maxReuse
			sent := time.Now()
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || time.Since(sent) >= greeting {
				t.Fatalf("after %s, %s: %+v", time.Since(start), time.Since(sent), res)
			}
			accepted, open := relay.connections()
			if accepted > n {
				n = accepted
			}
			if open > 2 { // the next is made before the last is closed
				t.Fatalf("%d open", open)
			}
		}
		if accepted, _ := relay.connections(); accepted < 12 || accepted > 14 {
			t.Errorf("%d connections in two hours", accepted)
		}
	})
}

// A connection carries MaxMails mails, refused ones included, and no mail waits for the next connection.
func TestMaxMails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, relay := memoryPool(t, Relay{MaxMails: 5}, relaytest.Dialogue())
		runs(t, p, nil)
		time.Sleep(time.Second)
		for range 23 {
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
				t.Fatalf("got %+v", res)
			}
			time.Sleep(time.Millisecond)
		}
		if accepted, open := relay.connections(); accepted != 5 || open != 1 {
			t.Errorf("%d connections, %d open", accepted, open)
		}
	})
}

// A relay gets Rate mails a second, evenly, and those that would wait beyond their deadline are not sent.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, relay := memoryPool(t, Relay{Rate: 10}, relaytest.Dialogue())
		runs(t, p, nil)
		time.Sleep(time.Second)
		start := time.Now()
		for range 31 {
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
				t.Fatalf("got %+v", res)
			}
		}
		if took := time.Since(start); took < 3*time.Second || took > 3100*time.Millisecond {
			t.Errorf("31 mails at 10 a second took %s", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		before := relay.count("MAIL FROM")
		start = time.Now()
		if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != handover.NotSent || relay.count("MAIL FROM") != before || time.Since(start) > 50*time.Millisecond {
			t.Errorf("after %s: %+v", time.Since(start), res)
		}
	})
}

// What is beyond the rate of one relay goes to the next at once.
func TestRateFailsOver(t *testing.T) {
	slow, other := listen(t, relaytest.Profile{}), listen(t, relaytest.Profile{})
	limited := plain("slow", slow)
	limited.Rate = 0.01
	p := newPool(t, limited, plain("other", other))
	for i := range 10 {
		res := p.Send(within(t), to("kari@mottaker.example"))
		if res.Outcome != handover.Accepted || (res.Relay == "slow") != (i == 0) {
			t.Fatalf("mail %d: %+v", i, res)
		}
	}
}
