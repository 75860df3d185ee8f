package smtp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
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

// A refused recipient leaves the transaction half-way; the next mail must not
// suffer and needs no new connection.
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

// RSET needs no new EHLO: a relay that refuses a second one takes the next mail on the same
// connection.
func TestOneGreetingAConnection(t *testing.T) {
	relay := listen(t, dialogue(
		relaytest.Reply{Verb: "EHLO", Nth: 2, Text: "550 5.7.1 Too many greetings\r\n"},
		relaytest.Reply{Verb: "RCPT TO:<NOSUCH", Text: "550 5.1.1 No such user\r\n"}))
	config := plain("mx", relay)
	config.TLS = TLSOff
	p := newPool(t, config)
	for range 3 {
		if res := p.Send(within(t), to("nosuch@mottaker.example")); res.Refusal != NoSuchMailbox {
			t.Errorf("nosuch: got %+v", res)
		}
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Errorf("kari: got %+v", res)
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

func TestCapacity(t *testing.T) {
	p := newPool(t, Relay{Name: "a", Addr: "127.0.0.1:1", MaxConns: 3}, Relay{Name: "b", Addr: "127.0.0.1:1"})
	if n := p.Capacity(); n != 11 {
		t.Errorf("%d mails at a time, want 3 and the default of 8", n)
	}
}

// A relay that allows fewer connections than we would make still gets every mail.
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

// Connections that the relay closed while idle cost no mail.
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

// The keeper notices the loss of the last connection and makes a new one.
func TestReconnects(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	p := runPool(t, plain("mx", relay))
	relay.Disconnect()
	eventually(t, func() bool { accepted, _ := relay.Connections(); return accepted == 2 && p.Ready() == nil })
}

// Silent connections are asked for a sign of life, and those beyond the first
// are closed in the end.
func TestKeepAliveAndIdleTimeout(t *testing.T) {
	relay := listen(t, relaytest.Profile{Delay: 5 * time.Millisecond})
	config := plain("mx", relay)
	config.KeepAlive, config.IdleTimeout = 20*time.Millisecond, time.Hour
	p := runPool(t, config)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { p.Send(within(t), to("kari@mottaker.example")) })
	}
	wg.Wait()
	used := func() time.Time {
		r := p.relays[0]
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.idle) < 2 {
			return time.Time{}
		}
		return r.idle[0].used
	}
	first := used()
	eventually(t, func() bool { return used().After(first) })
}

// A relay that bears with few signs of life (Exim's 10) is not asked for more: the connection is
// replaced before, and nobody takes the relay for down or in trouble.
func TestRenewsWhatWasAskedTooOften(t *testing.T) {
	relay := listen(t, dialogue(relaytest.Reply{Verb: "NOOP", Nth: 11, Text: "554 Too many nonmail commands\r\n", Close: true}))
	config := plain("mx", relay)
	config.KeepAlive = 5 * time.Millisecond
	p := runPool(t, config)
	up := p.States()[0].Since
	eventually(t, func() bool { accepted, _ := relay.Connections(); return accepted > 3 })
	if s := p.States()[0]; s.Failures > 0 || s.Troubled || !s.Up || s.Since != up {
		t.Errorf("state %+v, up since %s", s, up)
	}
}

// A connection on which mail after mail was refused is replaced before the relay slows down (Postfix
// after 10 errors).
func TestRenewsAfterRefusals(t *testing.T) {
	relay := listen(t, dialogue(
		relaytest.Reply{Verb: "RCPT", Nth: 11, Text: "421 4.7.0 Error: too many errors\r\n", Close: true},
		relaytest.Reply{Verb: "RCPT", Text: "550 5.1.1 No such user\r\n"}))
	p := newPool(t, plain("mx", relay))
	for range 30 {
		if res := p.round(within(t), mustLetter(t, "nosuch@mottaker.example")); res.Refusal != NoSuchMailbox {
			t.Fatalf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted < 4 || accepted > 8 || p.States()[0].Open != 1 {
		t.Errorf("%d connections, state %+v", accepted, p.States()[0])
	}
}

func TestPrunesIdle(t *testing.T) {
	relay := listen(t, relaytest.Profile{Delay: 5 * time.Millisecond})
	config := plain("mx", relay)
	config.KeepAlive, config.IdleTimeout = 20*time.Millisecond, 60*time.Millisecond // as by default, a sign of life comes first
	p := runPool(t, config)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { p.Send(within(t), to("kari@mottaker.example")) })
	}
	wg.Wait()
	eventually(t, func() bool { _, open := relay.Connections(); return open == 1 })
	if p.Ready() != nil {
		t.Error("not ready with the first connection left")
	}
}

// When Run ends, mails under way are carried through, later ones are not taken,
// and the relay is told.
func TestDrain(t *testing.T) {
	relay := listen(t, relaytest.Profile{Delay: 50 * time.Millisecond})
	p, err := New([]Relay{plain("mx", relay)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- p.Run(ctx, nil) }()
	eventually(t, func() bool { return p.Ready() == nil })
	sent := make(chan Result)
	go func() { sent <- p.Send(within(t), to("kari@mottaker.example")) }()
	eventually(t, func() bool { return p.States()[0].InUse == 1 })
	cancel()
	if res := <-sent; res.Outcome != handover.Accepted {
		t.Errorf("under way: %+v", res)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.NotSent {
		t.Errorf("after the end: %+v", res)
	}
	eventually(t, func() bool { _, open := relay.Connections(); return open == 0 })
}

func TestMetrics(t *testing.T) {
	relay := listen(t, relaytest.Profile{Rules: relaytest.StandardRules()})
	registry := prometheus.NewRegistry()
	p, err := New([]Relay{plain("mx", relay)}, slog.New(slog.NewTextHandler(io.Discard, nil)), registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, local := range []string{"kari", "nosuch", "later", "ola"} {
		p.Send(within(t), to(local+"@mottaker.example"))
	}
	for class, want := range map[string]float64{"2yz": 2, "4yz": 1, "5yz": 1, "none": 0} {
		if got := testutil.ToFloat64(p.relays[0].metrics.replies.WithLabelValues(class)); got != want {
			t.Errorf("replies of class %s: %v", class, got)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	if _, err := New([]Relay{plain("mx", relay)}, slog.New(slog.DiscardHandler), registry); err == nil {
		t.Error("registered twice without an error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Run(ctx, nil)
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

// A frozen relay delays the mails that find it frozen, and no others: it gets
// none until the keeper's probe is answered.
func TestFrozenRelayIsLeftAlone(t *testing.T) {
	frozen, good := listen(t, relaytest.Profile{Freeze: relaytest.AtMail, Faults: 1}), listen(t, relaytest.Profile{})
	first := plain("first", frozen)
	first.CommandTimeout, first.MaxConns = 250*time.Millisecond, 2
	p := runPool(t, first, plain("second", good))
	eventually(t, func() bool { return p.States()[0].Up && p.States()[1].Up })
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Relay != "second" || res.Outcome != handover.Accepted {
		t.Fatalf("got %+v", res)
	}
	if p.States()[0].Failures != 1 {
		t.Fatalf("state %+v", p.States()[0])
	}
	if order := p.byHealth(&letter{}); order[0].Name != "second" {
		t.Error("the relay in trouble goes first")
	}
	// The freeze was for one mail: the probe finds the relay well.
	eventually(t, func() bool { return p.byHealth(&letter{})[0].Name == "first" })
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Relay != "first" {
		t.Fatalf("got %+v", res)
	}
}

// A sign of life for which the mail had next to no time says nothing of the relay.
func TestNoTimeForASignOfLife(t *testing.T) {
	over := make(chan struct{})
	relay := listen(t, dialogue(relaytest.Reply{Verb: "NOOP", Text: "250 ok\r\n", After: over}))
	defer close(over)
	config := plain("mx", relay)
	config.CommandTimeout = 2 * time.Second
	p := newPool(t, config)
	r := p.relays[0]
	for _, test := range []struct {
		within time.Duration
		blamed bool
	}{{50 * time.Millisecond, false}, {patience, true}} {
		c, err := r.acquire(within(t), true)
		if err != nil {
			t.Fatal(err)
		}
		c.used = time.Now().Add(-time.Minute)
		r.release(c)
		ctx, cancel := context.WithTimeout(within(t), test.within)
		if _, err := r.acquire(ctx, false); !hasReason(err, ReasonTimeout) || p.States()[0].Troubled != test.blamed {
			t.Errorf("within %s: %v, %+v", test.within, err, p.States()[0])
		}
		cancel()
	}
}

// A body that the relay does not read holds up nobody, and surely did not leave:
// its final dot was never written.
func TestBodyNotRead(t *testing.T) {
	over := make(chan struct{})
	relay := listen(t, relaytest.Profile{Script: func(c net.Conn) {
		in := bufio.NewScanner(c)
		io.WriteString(c, "220 relay.test\r\n")
		for in.Scan() && !strings.HasPrefix(in.Text(), "DATA") {
			io.WriteString(c, "250 ok\r\n")
		}
		io.WriteString(c, "354 go on\r\n")
		<-over
	}})
	defer close(over)
	config := plain("mx", relay)
	config.TLS = TLSOff
	p := newPool(t, config)
	r := p.relays[0]
	c, err := r.acquire(within(t), false)
	if err != nil {
		t.Fatal(err)
	}
	c.raw.(*net.TCPConn).SetWriteBuffer(4 << 10)
	r.release(c)
	m := to("kari@mottaker.example")
	m.Body = strings.Repeat(strings.Repeat("abcdefgh", 9)+"\n", 15_000)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if res := p.Send(ctx, m); res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonTimeout) {
		t.Fatalf("got %+v", res)
	}
}

// More mails than a slow relay can take before their deadline: those that come
// too late are not sent, and the connections live on.
func TestOverloadKeepsConnections(t *testing.T) {
	relay := listen(t, relaytest.Profile{Delay: 20 * time.Millisecond})
	config := plain("mx", relay)
	config.MaxConns = 1
	p := runPool(t, config)
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
	if count[handover.NotSent] < 20 || count[handover.Unknown] > 1 || count[handover.Refused] > 0 {
		t.Errorf("outcomes %v", count)
	}
	if p.States()[0].Troubled {
		t.Errorf("the relay is blamed: %+v", p.States()[0])
	}
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
		t.Errorf("afterwards: %+v", res)
	}
}
