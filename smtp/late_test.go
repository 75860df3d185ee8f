package smtp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// lateReply is one call of Handler.Late.
type lateReply struct {
	message string
	Result
}

// handler returns a Handler.Late and the channel of its calls.
func handler() (func(string, Result), chan lateReply) {
	all := make(chan lateReply, 100)
	return func(message string, r Result) { all <- lateReply{message, r} }, all
}

// sendBriefly sends with a deadline that passes before the reply to the dot. Where it passed before
// the dot, as on a busy machine, it sends again with twice the time.
func sendBriefly(t *testing.T, p *Pool) (res Result) {
	t.Helper()
	for d := 200 * time.Millisecond; d < patience && res.Outcome == handover.NotSent; d *= 2 {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		res = p.Send(ctx, to("kari@mottaker.example"))
		cancel()
	}
	return res
}

// halves waits for the gate where a reply has a "|", and leaves the "|" out.
type halves struct {
	net.Conn
	gate <-chan struct{}
}

func (h halves) Write(p []byte) (int, error) {
	first, second, cut := bytes.Cut(p, []byte("|"))
	if !cut {
		return h.Conn.Write(p)
	}
	if _, err := h.Conn.Write(first); err != nil {
		return 0, err
	}
	<-h.gate
	_, err := h.Conn.Write(second)
	return len(p), err
}

// The reply may begin before the deadline, and may come over TLS: the deadline loses no octet.
func TestLateReply(t *testing.T) {
	cert, ca, _ := certificate(t)
	for name, c := range map[string]struct {
		reply   string
		outcome handover.Outcome
		refusal Refusal
		queueID string
	}{
		"taken":         {"|250 2.0.0 Ok: queued as 9A3F2C41B07\r\n", handover.Accepted, NotRefused, "9A3F2C41B07"},
		"taken, halves": {"250-2.0.0 Ok\r\n250 2.0.0 queu|ed as 9A3F2C41B07\r\n", handover.Accepted, NotRefused, "9A3F2C41B07"},
		"taken, oddly":  {"|251 fine\r\n", handover.Accepted, NotRefused, ""},
		"refused":       {"5|54 5.7.1 Content refused for kari@mottaker.example\r\n", handover.Refused, Filtered, ""},
		"not now":       {"|451 4.3.0 Try again later\r\n", handover.Refused, OtherRefusal, ""},
	} {
		for _, mode := range []TLSMode{TLSOff, TLSImplicit} {
			t.Run(name+", TLS "+string(mode), func(t *testing.T) {
				t.Parallel()
				gate := make(chan struct{})
				arrive := sync.OnceFunc(func() { close(gate) })
				t.Cleanup(arrive)
				talk := relaytest.Dialogue(pipelining, relaytest.Reply{Verb: ".", Text: c.reply})
				script := func(conn net.Conn) { talk(halves{conn, gate}) }
				config := Relay{Name: "mx", TLS: mode}
				if mode == TLSImplicit {
					script, config.CAFile = overTLS(cert, script), ca
				}
				relay := listen(t, relaytest.Profile{Script: script})
				config.Addr = relay.Addr()
				late, all := handler()
				p := newLatePool(t, late, config)
				res := sendBriefly(t, p)
				if res.Outcome != handover.Unknown || !hasReason(res.Err, ReasonTimeout) || !errors.Is(res.Err, context.DeadlineExceeded) {
					t.Fatalf("got %+v", res)
				}
				if s := p.States()[0]; s.InUse != 1 || len(all) > 0 {
					t.Fatalf("while the reply is awaited: %+v, %d calls", s, len(all))
				}
				before, _ := relay.Connections()
				arrive()
				got := <-all
				if got.message != to("").ID || got.Outcome != c.outcome || got.Refusal != c.refusal || got.QueueID != c.queueID || got.Relay != "mx" {
					t.Errorf("got %+v", got)
				}
				if (got.Err == nil) != (c.outcome == handover.Accepted) {
					t.Errorf("error %v", got.Err)
				}
				// The connection is as good as after a reply in time.
				if p.Send(within(t), to("kari@mottaker.example")); p.States()[0].InUse != 0 {
					t.Errorf("still in use: %+v", p.States()[0])
				}
				if accepted, _ := relay.Connections(); accepted != before || len(all) > 0 {
					t.Errorf("%d connections, %d before; %d more calls", accepted, before, len(all))
				}
			})
		}
	}
}

// Where no reply arrives, or octets that are none, the handler is not called and the connection is closed.
func TestNoLateReply(t *testing.T) {
	for name, reply := range map[string]relaytest.Reply{
		"never comes":  {After: nil},
		"is lost":      {Close: true},
		"is nonsense":  {Text: "yes\r\n"},
		"is a 354":     {Text: "354 more\r\n"},
		"is in halves": {Text: "25", Close: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reply.Verb, reply.After = ".", after(20*time.Second)
				if name == "never comes" {
					reply.Text, reply.After = "250 ok\r\n", after(time.Hour)
				}
				p, relay := memoryPool(t, Relay{}, relaytest.Dialogue(pipelining, reply))
				late, all := handler()
				runs(t, p, late)
				if res := sendBriefly(t, p); res.Outcome != handover.Unknown {
					t.Fatalf("got %+v", res)
				}
				if s := p.States()[0]; s.InUse != 1 {
					t.Errorf("while the reply is awaited: %+v", s)
				}
				time.Sleep(31 * time.Second)
				if s := p.States()[0]; s.InUse != 0 || len(all) > 0 {
					t.Errorf("after 31 s: %+v, %d calls", s, len(all))
				}
				if accepted, _ := relay.connections(); accepted != 2 { // a new one was made
					t.Errorf("%d connections", accepted)
				}
			})
		})
	}
}

// after returns a channel that is closed after d.
func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

// A mail that needs a connection comes before a reply that is awaited; a probe does not.
func TestLateYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frozen := true
		p, _ := memoryPool(t, Relay{MaxConns: 1}, func(c net.Conn) {
			reply := relaytest.Reply{Verb: ".", Text: "250 ok\r\n"}
			if frozen {
				frozen, reply.After = false, after(time.Hour)
			}
			relaytest.Dialogue(reply)(c)
		})
		late, all := handler()
		p.relay(0).handler.Late = late
		if res := sendBriefly(t, p); res.Outcome != handover.Unknown {
			t.Fatalf("got %+v", res)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*yieldAfter)
		defer cancel()
		if err := p.relay(0).probe(ctx); !errors.Is(err, context.DeadlineExceeded) || p.States()[0].Open != 1 {
			t.Fatalf("the probe: %v, %+v", err, p.States()[0])
		}
		start := time.Now()
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || time.Since(start) != yieldAfter {
			t.Fatalf("after %s: %+v", time.Since(start), res)
		}
		if len(all) > 0 {
			t.Errorf("got %+v", <-all)
		}
	})
}

// When Run ends, late replies are awaited, but only for drainTime.
func TestLateAtTheEnd(t *testing.T) {
	for name, delay := range map[string]time.Duration{"comes": drainTime - time.Second, "comes too late": drainTime + 5*time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := memoryPool(t, Relay{}, relaytest.Dialogue(relaytest.Reply{Verb: ".", Text: "250 ok\r\n", After: after(delay)}))
				late, all := handler()
				stop := runs(t, p, late)
				if res := sendBriefly(t, p); res.Outcome != handover.Unknown {
					t.Fatalf("got %+v", res)
				}
				start := time.Now()
				stop()
				if want := name == "comes"; (len(all) == 1) != want || time.Since(start) > drainTime {
					t.Errorf("%d calls after %s", len(all), time.Since(start))
				}
				if s := p.States()[0]; s.Open != 0 {
					t.Errorf("after the end: %+v", s)
				}
			})
		})
	}
}

// No late reply is awaited after a cancellation, nor without a handler.
func TestNoWaitForALateReply(t *testing.T) {
	relay := listen(t, relaytest.Profile{Freeze: relaytest.AtDot})
	p := newPool(t, plain("mx", relay))
	if res := sendBriefly(t, p); res.Outcome != handover.Unknown || p.States()[0].Open != 0 {
		t.Errorf("got %+v, %+v", res, p.States()[0])
	}

	relay = listen(t, relaytest.Profile{Freeze: relaytest.AtDot})
	late, _ := handler()
	p = newLatePool(t, late, plain("mx", relay))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		relay.WaitMessages(within(t), 1)
		cancel()
	}()
	if res := p.Send(ctx, to("kari@mottaker.example")); !errors.Is(res.Err, context.Canceled) || p.States()[0].Open != 0 {
		t.Errorf("cancelled: got %+v, %+v", res, p.States()[0])
	}
}

// A dot that is not written when the deadline passes never left: there is no reply to wait for.
func TestNoLateReplyToADotThatNeverLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := deafToTheMail(t), mustLetter(t, "kari@mottaker.example")
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		res, late := c.deliver(ctx, l, time.Now().Add(patience), func(time.Time) {})
		if res.Outcome != handover.NotSent || late || !c.dead {
			t.Errorf("got %+v, late %t", res, late)
		}
	})
}

// A deadline that passes before the dot is written leaves it unwritten.
func TestNoDotAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := deafToTheMail(t), mustLetter(t, "kari@mottaker.example")
		if _, err := c.ask(within(t), time.Now().Add(patience), 354, "DATA"); err != nil {
			t.Fatal(err)
		}
		err := c.body(within(t), time.Now().Add(patience), time.Now(), l.data)
		if res := c.result(l, stageData, nil, err); err == nil || res.Outcome != handover.NotSent || !c.dead {
			t.Errorf("got %v, %+v", err, res)
		}
	})
}

// deafToTheMail returns a connection to a relay that reads until DATA, and nothing of the mail.
func deafToTheMail(t *testing.T) *conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	go func() {
		in := bufio.NewScanner(theirs)
		io.WriteString(theirs, "220 ready\r\n")
		for in.Scan() {
			if in.Text() == "DATA" {
				io.WriteString(theirs, "354 go on\r\n")
				return
			}
			io.WriteString(theirs, "250 ok\r\n")
		}
	}()
	config := Relay{Name: "mx", TLS: TLSOff}.WithDefaults()
	c := newClient(ours)
	if err := (&relay{Relay: config}).establish(within(t), time.Now().Add(patience), c); err != nil {
		t.Fatal(err)
	}
	return &conn{client: c, relay: config, used: time.Now()}
}
