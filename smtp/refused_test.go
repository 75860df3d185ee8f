package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// greets returns a script that refuses at the greeting.
func greets(reply string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, reply+"\r\n")
		io.Copy(io.Discard, c)
	}
}

// A relay that refuses us or breaks off before it is ready for a mail is dialled once a second at most, by mails and
// by maintain together, and no mail waits for it. A mail gets it as soon as it lets us in.
func TestRefusedAtTheGreeting(t *testing.T) {
	for name, test := range map[string]struct {
		refusing func(net.Conn)
		config   Relay
	}{
		"554":            {greets("554 5.7.1 No SMTP service here"), Relay{}},
		"421":            {greets("421 4.7.0 Try again later"), Relay{}},
		"EHLO":           {relaytest.Dialogue(relaytest.Reply{Verb: "EHLO", Text: "550 5.7.1 Not you\r\n"}), Relay{}},
		"closes":         {func(net.Conn) {}, Relay{}},
		"garbage":        {relaytest.Garbage, Relay{}},
		"closes at EHLO": {relaytest.Dialogue(relaytest.Reply{Verb: "EHLO", Close: true}), Relay{}},
		"no STARTTLS":    {relaytest.Dialogue(), Relay{TLS: TLSStartTLS}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var letsIn atomic.Bool
				p, relay := memoryPool(t, test.config, func(c net.Conn) {
					if letsIn.Load() {
						relaytest.Dialogue()(c)
					} else {
						test.refusing(c)
					}
				})
				runs(t, p, nil)
				const seconds = 20
				for range seconds * 50 {
					start := time.Now()
					res := p.Send(within(t), to("kari@mottaker.example"))
					if took := time.Since(start); res.Outcome != handover.NotSent || res.Err == nil || took > 50*time.Millisecond {
						t.Fatalf("after %s: %+v", took, res)
					}
					time.Sleep(20 * time.Millisecond)
				}
				if accepted, _ := relay.connections(); accepted < seconds/2 || accepted > seconds+1 {
					t.Errorf("dialled %d times in %d s", accepted, seconds)
				}
				if test.config.TLS == TLSStartTLS {
					return // Dialogue can't encrypt
				}
				letsIn.Store(true)
				time.Sleep(refusedPause)
				if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
					t.Errorf("let in: %+v", res)
				}
			})
		})
	}
}

// The same where TLS fails, at each stage.
func TestRefusedByTLS(t *testing.T) {
	cert, ca, _ := certificate(t)
	old, oldCA, _ := certificateUntil(t, time.Now().Add(-time.Minute))
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	starttls := func(then string, ends bool) relaytest.Profile {
		return dialogue(relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 STARTTLS\r\n"}, relaytest.Reply{Verb: "STARTTLS", Text: then, Close: ends})
	}
	script := func(script func(net.Conn)) relaytest.Profile { return relaytest.Profile{Script: script} }
	implicit, trusted := Relay{TLS: TLSImplicit}, Relay{TLS: TLSImplicit, CAFile: ca}
	another := trusted
	another.ServerName = "other.test"
	for name, test := range map[string]struct {
		profile relaytest.Profile
		config  Relay
	}{
		"not offered":             {relaytest.Profile{}, Relay{TLS: TLSStartTLS}},
		"454":                     {starttls("454 4.7.0 Not now\r\n", false), Relay{TLS: TLSStartTLS}},
		"closed before":           {starttls("", true), Relay{}},
		"closed after 220":        {starttls("220 go\r\n", true), Relay{}},
		"plain after 220":         {starttls("220 go\r\n250 ok\r\n", false), Relay{}},
		"closes in the handshake": {script(func(c net.Conn) { io.ReadFull(c, make([]byte, 5)) }), implicit},
		"no TLS":                  {script(func(c net.Conn) { io.WriteString(c, "220 relay.test\r\n"); io.Copy(io.Discard, c) }), implicit},
		"unknown authority":       {relaytest.Profile{TLS: server, Implicit: true}, implicit},
		"another name":            {relaytest.Profile{TLS: server, Implicit: true}, another},
		"expired":                 {relaytest.Profile{TLS: &tls.Config{Certificates: []tls.Certificate{old}}, Implicit: true}, Relay{TLS: TLSImplicit, CAFile: oldCA}},
		"554 after":               {script(func(c net.Conn) { greets("554 5.7.1 No SMTP service here")(tls.Server(c, server)) }), trusted},
		"closed after":            {script(func(c net.Conn) { tls.Server(c, server).Handshake() }), trusted},
		"certificate wanted":      {relaytest.Profile{TLS: &tls.Config{Certificates: server.Certificates, ClientAuth: tls.RequireAnyClientCert}, Implicit: true}, trusted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := listen(t, test.profile), listen(t, relaytest.Profile{})
			config := test.config
			config.Name, config.Addr = "bad", bad.Addr()
			start, alone, both := time.Now(), newPool(t, config), newPool(t, config, plain("good", good))
			for range 30 {
				if res := alone.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.NotSent || res.Err == nil {
					t.Fatalf("got %+v", res)
				}
				if res := both.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || res.Relay != "good" {
					t.Fatalf("got %+v", res)
				}
			}
			// Each Send that waits for its end would dial every second until then.
			if accepted, _ := bad.Connections(); accepted > 2*(1+int(time.Since(start)/refusedPause)) || time.Since(start) > patience {
				t.Errorf("dialled %d times in %s", accepted, time.Since(start))
			}
		})
	}
}

// Mails fail over from a relay that refuses us at its greeting, which most of them do not even try.
func TestFailOverAtTheGreeting(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		bad, good := listen(t, relaytest.Profile{Script: greets("554 5.7.1 No SMTP service here")}), listen(t, relaytest.Profile{})
		p := newPool(t, plain("bad", bad), plain("good", good))
		for range 50 {
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || res.Relay != "good" {
				t.Fatalf("got %+v", res)
			}
		}
		if accepted, _ := bad.Connections(); accepted != 1 {
			t.Errorf("dialled %d times", accepted)
		}
	})
}

// A relay that allows few connections refuses further ones at its greeting. A connection that ends makes room for
// the next, without a pause.
func TestRoomAfterTooManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		talk := relaytest.Dialogue()
		p, relay := memoryPool(t, Relay{MaxConns: 2}, func(c net.Conn) {
			if open.Add(1) > 1 {
				io.WriteString(c, "421 4.7.0 Too many connections\r\n")
			} else {
				talk(slow{c, 5 * time.Millisecond})
			}
			open.Add(-1)
		})
		done := make(chan Result)
		for range 2 {
			go func() { done <- p.Send(within(t), to("kari@mottaker.example")) }()
		}
		for range 2 {
			if res := <-done; res.Outcome != handover.Accepted {
				t.Errorf("got %+v", res)
			}
		}
		if accepted, _ := relay.connections(); accepted != 2 {
			t.Fatalf("%d connections", accepted)
		}
		for _, c := range p.relay(0).idle {
			c.abandon() // as after a loss
		}
		synctest.Wait()
		start := time.Now()
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || time.Since(start) > refusedPause/2 {
			t.Errorf("after %s: %+v", time.Since(start), res)
		}
	})
}

// A 4yz to RCPT gets a second attempt, on a new connection: at once where postscreen meets us for the first time,
// else after a pause in which Postfix verifies the address.
func TestSecondAttemptAtRCPT(t *testing.T) {
	for _, test := range []struct {
		verb, reply string
		times       int // connections on which the reply is given
		outcome     handover.Outcome
		connections int
		least, most time.Duration
	}{
		{"RCPT", "450 4.3.2 Service currently unavailable", 1, handover.Accepted, 2, 0, 100 * time.Millisecond},
		{"RCPT", "450 4.1.1 <kari@mottaker.example>: Recipient address rejected: unverified address", 1, handover.Accepted, 2, deferralPause / 2, deferralPause},
		{"RCPT", "451 4.7.1 Greylisted", 1, handover.Accepted, 2, deferralPause / 2, deferralPause},
		{"RCPT", "450 4.3.2 Service currently unavailable", 9, handover.NotSent, 2, 0, 100 * time.Millisecond},
		{"RCPT", "451 4.7.1 Greylisted", 9, handover.NotSent, 2, deferralPause / 2, deferralPause},
		{"MAIL", "451 4.7.1 Later", 1, handover.NotSent, 1, 0, 0},
		{"DATA", "451 4.7.1 Later", 1, handover.NotSent, 1, 0, 0},
		{".", "451 4.7.1 Later", 1, handover.NotSent, 1, 0, 0},
	} {
		t.Run(fmt.Sprint(test.verb, test.reply, test.times), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				p, relay := memoryPool(t, Relay{}, func(c net.Conn) {
					if int(n.Add(1)) > test.times {
						relaytest.Dialogue()(c)
						return
					}
					relaytest.Dialogue(relaytest.Reply{Verb: test.verb, Text: test.reply + "\r\n"})(c)
				})
				start := time.Now()
				res := p.Send(within(t), to("kari@mottaker.example"))
				if took := time.Since(start); res.Outcome != test.outcome || took < test.least || took > test.most {
					t.Errorf("after %s: %+v", took, res)
				}
				if accepted, _ := relay.connections(); accepted != test.connections {
					t.Errorf("%d connections", accepted)
				}
			})
		})
	}
}

// No mail waits for a second attempt that its deadline does not leave time for, nor with another relay
// at hand.
func TestNoSecondAttemptAtRCPT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, relay := memoryPool(t, Relay{}, relaytest.Dialogue(relaytest.Reply{Verb: "RCPT", Text: "451 4.7.1 Greylisted\r\n"}))
		ctx, cancel := context.WithTimeout(context.Background(), deferralPause/2)
		defer cancel()
		start := time.Now()
		if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != handover.NotSent || res.Code != 451 || time.Since(start) > 0 {
			t.Errorf("after %s: %+v", time.Since(start), res)
		}
		if n := relay.count("RCPT"); n != 1 {
			t.Errorf("%d attempts", n)
		}
	})
	grey, good := listen(t, relaytest.Profile{Greylist: 9}), listen(t, relaytest.Profile{})
	p := newPool(t, plain("grey", grey), plain("good", good))
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || res.Relay != "good" {
		t.Errorf("got %+v", res)
	}
	if accepted, _ := grey.Connections(); accepted != 1 {
		t.Errorf("%d connections", accepted)
	}
}
