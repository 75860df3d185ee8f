package smtp

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/internal/freeport"
	"straks/internal/handover"
	"straks/smtp/relaytest"
)

func TestRelayIsDown(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		relay := listen(t, relaytest.Profile{})
		relay.Close()
		p := newPool(t, plain("mx", relay))
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		res := p.Send(ctx, to("kari@mottaker.example"))
		if res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonDial) {
			t.Fatalf("got %+v", res)
		}
		if err := p.Ready(); err == nil {
			t.Error("ready without a connection")
		}
	})
}

// A relay that is up again within the deadline still gets the mail.
func TestWaitsForRelay(t *testing.T) {
	addr := freeport.Until(t)
	p := newPool(t, Relay{Name: "mx", Addr: addr})
	done := make(chan Result)
	go func() { done <- p.Send(within(t), to("kari@mottaker.example")) }()
	eventually.True(t, "two failures", func() bool { return p.States()[0].Failures > 1 })
	back, err := relaytest.Listen(addr, relaytest.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if res := <-done; res.Outcome != handover.Accepted {
		t.Fatalf("got %+v", res)
	}
}

func TestFailOver(t *testing.T) {
	good := listen(t, relaytest.Profile{Rules: []relaytest.Rule{}})
	first := map[string]relaytest.Profile{
		"busy":                                  {Rules: relaytest.StandardRules()},
		"dropped":                               {Drop: relaytest.AtRcpt},
		"frozen":                                {Freeze: relaytest.AtMail},
		"mute":                                  {Script: relaytest.Mute},
		"rejecting us, at RCPT as Postfix does": dialogue(relaytest.Reply{Verb: "RCPT", Text: "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n"}),
		"rejecting the sender":                  dialogue(relaytest.Reply{Verb: "MAIL", Text: "550 5.7.1 Not from here\r\n"}),
	}
	for name, profile := range first {
		t.Run(name, func(t *testing.T) {
			bad := listen(t, profile)
			one := plain("bad", bad)
			one.CommandTimeout, one.DialTimeout = 100*time.Millisecond, 100*time.Millisecond
			p := newPool(t, one, plain("good", good))
			res := p.Send(within(t), to("later@mottaker.example"))
			if res.Outcome != handover.Accepted || res.Relay != "good" || bad.Taken() != 0 {
				t.Fatalf("got %+v", res)
			}
		})
	}
}

// After the final dot no other relay gets the mail, whatever happens.
func TestNoFailOverAfterDot(t *testing.T) {
	second := listen(t, relaytest.Profile{})
	for name, profile := range map[string]relaytest.Profile{
		"dropped": {Drop: relaytest.AtDot},
		"frozen":  {Freeze: relaytest.AtDot},
	} {
		t.Run(name, func(t *testing.T) {
			memory.Bubble(t, func(t *testing.T) {
				first := listen(t, profile)
				one := plain("first", first)
				one.DataTimeout = 100 * time.Millisecond
				p := newPool(t, one, plain("second", second))
				res := p.Send(within(t), to("kari@mottaker.example"))
				if res.Outcome != handover.Unknown || res.Relay != "first" || first.Taken() != 1 || second.Taken() != 0 {
					t.Fatalf("got %+v, relays took %d and %d", res, first.Taken(), second.Taken())
				}
			})
		})
	}
}

// A cancelled context ends Send at once, at each stage at which a relay may freeze.
func TestCancel(t *testing.T) {
	for name, profile := range map[string]relaytest.Profile{
		"at MAIL": {Freeze: relaytest.AtMail}, "at dot": {Freeze: relaytest.AtDot}, "mute": {Script: relaytest.Mute},
	} {
		t.Run(name, func(t *testing.T) {
			relay := listen(t, profile)
			config := plain("mx", relay)
			config.DialTimeout, config.CommandTimeout, config.DataTimeout = time.Hour, time.Hour, time.Hour
			p := newPool(t, config)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan Result)
			go func() { done <- p.Send(ctx, to("kari@mottaker.example")) }()
			eventually.True(t, "a connection", func() bool { accepted, _ := relay.Connections(); return accepted == 1 })
			if profile.Freeze == relaytest.AtDot {
				relay.WaitMessages(within(t), 1)
			}
			cancel()
			select {
			case res := <-done:
				if !errors.Is(res.Err, context.Canceled) {
					t.Errorf("got %+v", res)
				}
				if (res.Outcome == handover.Unknown) != (profile.Freeze == relaytest.AtDot) {
					t.Errorf("outcome %s", res.Outcome)
				}
			case <-time.After(patience):
				t.Fatal("Send did not notice")
			}
		})
	}
}

// A context that is cancelled between the reply to DATA and the dot leaves the dot unwritten: not
// sent is better than unknown.
func TestCancelBeforeTheDot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(within(t))
		talk := relaytest.Dialogue()
		p, relay := memoryPool(t, Relay{}, func(c net.Conn) { talk(cancelling{c, cancel}) })
		res := p.Send(ctx, to("kari@mottaker.example"))
		if res.Outcome != handover.NotSent || !errors.Is(res.Err, context.Canceled) || hasReason(res.Err, ReasonLost) {
			t.Errorf("got %+v", res)
		}
		if relay.count("DATA\r\n") != 1 || relay.count("\r\n.\r\n") > 0 {
			t.Error("the dot was written")
		}
		if s := p.States()[0]; s.Troubled || s.Failures > 0 || s.Open > 0 {
			t.Errorf("state %+v", s)
		}
	})
}

// cancelling cancels before it sends a 354.
type cancelling struct {
	net.Conn
	cancel context.CancelFunc
}

func (c cancelling) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "354") {
		c.cancel()
	}
	return c.Conn.Write(p)
}
