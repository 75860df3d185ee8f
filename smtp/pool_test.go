package smtp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

func TestKeepsConnection(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	p := runPool(t, plain("mx", relay))
	const mails = 50
	for range mails {
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Fatalf("got %+v", res)
		}
	}
	accepted, open := relay.Connections()
	if accepted != 1 || open != 1 || relay.Taken() != mails {
		t.Errorf("%d connections, %d open, %d mails", accepted, open, relay.Taken())
	}
}

// A refused recipient leaves the transaction half-way. The next mail succeeds, on the same
// connection.
func TestResetsAfterRefusal(t *testing.T) {
	relay := listen(t, relaytest.Profile{Rules: relaytest.StandardRules()})
	p := newPool(t, plain("mx", relay))
	for range 3 {
		p.Send(within(t), to("nosuch@mottaker.example"))
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Fatalf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 1 {
		t.Errorf("%d connections", accepted)
	}
}

func TestPoolBound(t *testing.T) {
	relay := listen(t, relaytest.Profile{Delay: 2 * time.Millisecond})
	config := plain("mx", relay)
	config.MaxConns = 3
	p := runPool(t, config)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if res := p.Send(within(t), to(fmt.Sprintf("kari%d@mottaker.example", i))); res.Outcome != handover.Accepted {
				t.Errorf("got %+v", res)
			}
		})
	}
	wg.Wait()
	accepted, open := relay.Connections()
	if accepted != 3 || open != 3 || relay.Taken() != 60 {
		t.Errorf("%d connections, %d open, %d mails", accepted, open, relay.Taken())
	}
	if s := p.States()[0]; s.Open != 3 || s.InUse != 0 {
		t.Errorf("state %+v", s)
	}
}

// A relay that allows fewer connections than MaxConns still gets every mail.
func TestOneConnectionAtMost(t *testing.T) {
	relay := listen(t, relaytest.Profile{MaxConns: 1, Delay: time.Millisecond})
	p := runPool(t, plain("mx", relay))
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
				t.Errorf("got %+v", res)
			}
		})
	}
	wg.Wait()
	if relay.Taken() != 12 {
		t.Errorf("took %d mails", relay.Taken())
	}
}

func TestMailsPerConnection(t *testing.T) {
	relay := listen(t, relaytest.Profile{MaxMailsPerConn: 3})
	p := newPool(t, plain("mx", relay))
	for range 10 {
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Fatalf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 4 || relay.Taken() != 10 {
		t.Errorf("%d connections, %d mails", accepted, relay.Taken())
	}
}

// A connection that the relay closed while it was idle loses no mail.
func TestClosedWhileIdle(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	p := newPool(t, plain("mx", relay))
	for range 5 {
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Fatalf("got %+v", res)
		}
		relay.Disconnect()
	}
}

// Of more mails than a slow relay can take before their deadline, the last are not sent, and the
// connection lives on.
func TestOverloadKeepsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := relaytest.Dialogue()
		p, relay := memoryPool(t, Relay{MaxConns: 1}, func(c net.Conn) { play(slow{c, 20 * time.Millisecond}) })
		runs(t, p, nil)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		var mu sync.Mutex
		count := make(map[handover.Outcome]int)
		for range 30 {
			wg.Go(func() {
				res := p.Send(ctx, to("kari@mottaker.example"))
				mu.Lock()
				defer mu.Unlock()
				count[res.Outcome]++
			})
		}
		wg.Wait()
		if count[handover.Accepted] < 4 || count[handover.NotSent] < 24 || count[handover.Unknown] > 1 || count[handover.Refused] > 0 {
			t.Errorf("outcomes %v", count)
		}
		if p.States()[0].Troubled {
			t.Errorf("the relay is blamed: %+v", p.States()[0])
		}
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Errorf("afterwards: %+v", res)
		}
		if accepted, _ := relay.connections(); accepted > 2 { // a mail at the deadline may cost one
			t.Errorf("%d connections", accepted)
		}
	})
}

func TestMetrics(t *testing.T) {
	relay := listen(t, relaytest.Profile{Rules: relaytest.StandardRules()})
	registry := prometheus.NewRegistry()
	p, err := New(Config{Relays: []Relay{plain("mx", relay)}}, slog.New(slog.NewTextHandler(io.Discard, nil)), registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, local := range []string{"kari", "nosuch", "later", "ola"} {
		p.Send(within(t), to(local+"@mottaker.example"))
	}
	for class, want := range map[string]float64{"2yz": 2, "4yz": 2, "5yz": 1, "none": 0} {
		if got := testutil.ToFloat64(p.relay(0).metrics.replies.WithLabelValues(class)); got != want {
			t.Errorf("replies of class %s: %v", class, got)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	if _, err := New(Config{Relays: []Relay{plain("mx", relay)}}, slog.New(slog.DiscardHandler), registry); err == nil {
		t.Error("registered twice without an error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Run(ctx, Handler{})
}

func BenchmarkSend(b *testing.B) {
	relay := listen(b, relaytest.Profile{Keep: 1})
	p := runPool(b, plain("mx", relay))
	m := to("kari@mottaker.example")
	b.ReportAllocs()
	for b.Loop() {
		if res := p.Send(context.Background(), m); res.Outcome != handover.Accepted {
			b.Fatal(res.Err)
		}
	}
}

func BenchmarkSendParallel(b *testing.B) {
	relay := listen(b, relaytest.Profile{Keep: 1})
	p := runPool(b, plain("mx", relay))
	m := to("kari@mottaker.example")
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if res := p.Send(context.Background(), m); res.Outcome != handover.Accepted {
				b.Error(res.Err)
			}
		}
	})
}
