package smtp

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// A silent connection gets a NOOP each KeepAlive. Before a relay breaks off (Exim at the 11th command
// without a mail) the connection is replaced; the relay counts as up and well all the time.
func TestKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, relay := memoryPool(t, Relay{}, relaytest.Dialogue(
			relaytest.Reply{Verb: "NOOP", Nth: 11, Text: "554 Too many nonmail commands\r\n", Close: true}))
		runs(t, p, nil)
		up, probes := p.States()[0].Since, relay.count("NOOP")
		time.Sleep(31 * time.Second)
		if n := relay.count("NOOP"); n != probes+1 {
			t.Errorf("%d NOOPs in 31 s", n-probes)
		}
		time.Sleep(20 * time.Minute)
		if accepted, open := relay.connections(); accepted < 4 || accepted > 6 || open != 1 {
			t.Errorf("%d connections, %d open", accepted, open)
		}
		if n := relay.count("NOOP"); n < 35 || n > 45 {
			t.Errorf("%d NOOPs in 20 minutes", n)
		}
		if s := p.States()[0]; s.Failures > 0 || s.Troubled || !s.Up || s.Since != up {
			t.Errorf("state %+v, up since %s", s, up)
		}
	})
}

// A transaction that was left half-way is ended by the keepalive: RSET in place of NOOP.
func TestKeepaliveResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, relay := memoryPool(t, Relay{}, relaytest.Dialogue(relaytest.Reply{Verb: "RCPT TO:<NOSUCH", Text: "550 5.1.1 No such user\r\n"}))
		runs(t, p, nil)
		probes := relay.count("NOOP")
		p.Send(within(t), to("nosuch@mottaker.example"))
		time.Sleep(31 * time.Second)
		if resets, noops := relay.count("RSET"), relay.count("NOOP")-probes; resets != 1 || noops > 0 {
			t.Errorf("%d RSET, %d NOOP", resets, noops)
		}
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || relay.count("RSET") != 1 {
			t.Errorf("got %+v", res)
		}
	})
}

// Connections beyond the first are closed with QUIT after IdleTimeout. Until then they are kept
// alive.
func TestPrunesIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := relaytest.Dialogue()
		p, relay := memoryPool(t, Relay{}, func(c net.Conn) { play(slow{c, 5 * time.Millisecond}) })
		runs(t, p, nil)
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { p.Send(within(t), to("kari@mottaker.example")) })
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if _, open := relay.connections(); open != 4 || relay.count("NOOP") < 4 {
			t.Errorf("%d open, %d NOOPs", open, relay.count("NOOP"))
		}
		time.Sleep(2 * time.Minute)
		if _, open := relay.connections(); open != 1 || relay.count("QUIT") != 3 || p.Ready() != nil {
			t.Errorf("%d open, %d QUITs, ready: %v", open, relay.count("QUIT"), p.Ready())
		}
	})
}

// The loss of the last connection is noticed, and a new connection made.
func TestReconnects(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	p := runPool(t, plain("mx", relay))
	relay.Disconnect()
	eventually.True(t, "a second connection", func() bool { accepted, _ := relay.Connections(); return accepted >= 2 && p.Ready() == nil })
}

// A relay that is down is dialled after 100 ms at first and every 10 s at last, and is up as
// soon as it accepts a connection.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, relay := memoryPool(t, Relay{}, relaytest.Dialogue())
		relay.down = true
		runs(t, p, nil)
		time.Sleep(5 * time.Minute)
		if accepted, _ := relay.connections(); accepted < 30 || accepted > 75 {
			t.Errorf("dialled %d times in 5 minutes", accepted)
		}
		if s := p.States()[0]; s.Up || s.Reason == "" || p.Ready() == nil {
			t.Errorf("state %+v", s)
		}
		relay.mu.Lock()
		relay.down = false
		relay.mu.Unlock()
		time.Sleep(10 * time.Second)
		if err := p.Ready(); err != nil {
			t.Errorf("not ready 10 s after the relay was up: %v", err)
		}
	})
}

// A connection on which mail after mail was refused is replaced before the relay slows down
// (Postfix after 10 errors).
func TestRenewsAfterRefusals(t *testing.T) {
	relay := listen(t, dialogue(
		relaytest.Reply{Verb: "RCPT", Nth: 11, Text: "421 4.7.0 Error: too many errors\r\n", Close: true},
		relaytest.Reply{Verb: "RCPT", Text: "550 5.1.1 No such user\r\n"}))
	p := newPool(t, plain("mx", relay))
	for range 30 {
		if res := round(p, within(t), mustLetter(t, "nosuch@mottaker.example")); res.Refusal != NoSuchMailbox {
			t.Fatalf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted < 4 || accepted > 8 || p.States()[0].Open != 1 {
		t.Errorf("%d connections, state %+v", accepted, p.States()[0])
	}
}

// A frozen relay delays the mails that find it frozen, and no others: it gets none until its
// probe has a reply.
func TestFrozenRelayIsLeftAlone(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		frozen, good := listen(t, relaytest.Profile{Freeze: relaytest.AtMail, Faults: 1}), listen(t, relaytest.Profile{})
		first := plain("first", frozen)
		first.CommandTimeout, first.MaxConns = 250*time.Millisecond, 2
		p := runPool(t, first, plain("second", good))
		eventually.True(t, "both relays up", func() bool { return p.States()[0].Up && p.States()[1].Up })
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Relay != "second" || res.Outcome != handover.Accepted {
			t.Fatalf("got %+v", res)
		}
		if p.States()[0].Failures != 1 {
			t.Fatalf("state %+v", p.States()[0])
		}
		if order := byHealth(p, &letter{}); order[0].Name != "second" {
			t.Error("the relay in trouble goes first")
		}
		// It froze for one mail: the probe finds it well.
		eventually.True(t, "the relay to be well", func() bool { return byHealth(p, &letter{})[0].Name == "first" })
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Relay != "first" {
			t.Fatalf("got %+v", res)
		}
	})
}

// A NOOP that had hardly any time says nothing of the relay.
func TestNoTimeForANOOP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := memoryPool(t, Relay{CommandTimeout: 2 * time.Second}, relaytest.Dialogue(relaytest.Reply{Verb: "NOOP", Text: "250 ok\r\n", After: after(time.Hour)}))
		r := p.relay(0)
		for _, test := range []struct {
			within time.Duration
			blamed bool
		}{{50 * time.Millisecond, false}, {patience, true}} {
			c, err := r.acquire(within(t), onlyNewConnections)
			if err != nil {
				t.Fatal(err)
			}
			r.release(c)
			time.Sleep(2 * maxIdle)
			ctx, cancel := context.WithTimeout(context.Background(), test.within)
			if _, err := r.acquire(ctx, keptConnection); !hasReason(err, ReasonTimeout) || p.States()[0].Troubled != test.blamed {
				t.Errorf("within %s: %v, %+v", test.within, err, p.States()[0])
			}
			cancel()
		}
	})
}

// When Run ends, mails under way are carried through, later mails are not taken,
// and the relay gets QUIT.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := relaytest.Dialogue()
		p, relay := memoryPool(t, Relay{}, func(c net.Conn) { play(slow{c, 50 * time.Millisecond}) })
		stop := runs(t, p, nil)
		time.Sleep(time.Second)
		sent := make(chan Result)
		go func() { sent <- p.Send(within(t), to("kari@mottaker.example")) }()
		time.Sleep(75 * time.Millisecond)
		if s := p.States()[0]; s.InUse != 1 {
			t.Fatalf("state %+v", s)
		}
		go stop()
		if res := <-sent; res.Outcome != handover.Accepted {
			t.Errorf("under way: %+v", res)
		}
		stop()
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.NotSent || !errors.Is(res.Err, ErrClosed) {
			t.Errorf("after the end: %+v", res)
		}
		if _, open := relay.connections(); open > 0 || p.States()[0].Open > 0 {
			t.Errorf("%d open after the end", open)
		}
	})
}
