package smtp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// pipelining is the reply to EHLO of a relay that offers PIPELINING.
var pipelining = relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 PIPELINING\r\n"}

// turns counts the writes that follow a read: each is one round trip.
type turns struct {
	net.Conn
	read, count atomic.Int32
}

func (c *turns) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Store(1)
	return n, err
}

func (c *turns) Write(p []byte) (int, error) {
	c.count.Add(c.read.Swap(0))
	return c.Conn.Write(p)
}

// A mail on a kept connection takes two round trips where PIPELINING is offered, else four.
func TestRoundTrips(t *testing.T) {
	for _, test := range []struct {
		name    string
		config  Relay
		replies []relaytest.Reply
		want    int32
	}{
		{"offered", Relay{}, []relaytest.Reply{pipelining}, 2},
		{"in lower case", Relay{}, []relaytest.Reply{{Verb: "EHLO", Text: "250-relay.test\r\n250 pipelining\r\n"}}, 2},
		{"not offered", Relay{}, nil, 4},
		{"turned off", Relay{NoPipelining: true}, []relaytest.Reply{pipelining}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := test.config
			config.Name, config.Addr, config.TLS = "mx", listen(t, dialogue(test.replies...)).Addr(), TLSOff
			p := newPool(t, config)
			var counted *turns
			dial := p.relay(0).dialTCP
			p.relay(0).dialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := dial(ctx, network, addr)
				counted = &turns{Conn: c}
				return counted, err
			}
			var before int32
			for n := range 3 {
				if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
					t.Fatalf("got %+v", res)
				}
				if trips := counted.count.Load() - before; n > 0 && trips != test.want {
					t.Errorf("mail %d took %d round trips, want %d", n, trips, test.want)
				}
				before = counted.count.Load()
			}
		})
	}
}

// A relay that refuses and yet replies 354 to DATA gets no dot: an empty mail could be delivered. Its connection
// is closed.
func TestNoLoneDot(t *testing.T) {
	for _, test := range []struct {
		verb, reply string
		outcome     handover.Outcome
	}{
		{"RCPT", "550 5.1.1 No such user", handover.Refused},
		{"RCPT", "451 4.7.1 Greylisted", handover.NotSent},
		{"RCPT", "554 5.7.1 Relay access denied", handover.NotSent},
		{"MAIL", "550 5.7.1 Not from here", handover.Refused},
		{"MAIL", "451 4.3.0 Later", handover.NotSent},
	} {
		t.Run(test.verb+test.reply, func(t *testing.T) {
			script, sent := recorded(relaytest.Dialogue(pipelining, relaytest.Reply{Verb: test.verb, Text: test.reply + "\r\n"},
				relaytest.Reply{Verb: "DATA", Text: "354 go on\r\n"}))
			if test.verb == "MAIL" {
				script, sent = recorded(relaytest.Dialogue(pipelining, relaytest.Reply{Verb: test.verb, Text: test.reply + "\r\n"},
					relaytest.Reply{Verb: "RCPT", Text: "503 5.5.1 Need MAIL\r\n"}))
			}
			relay := listen(t, relaytest.Profile{Script: script})
			p := newPool(t, plain("mx", relay))
			for n := range 3 {
				res := round(p, within(t), mustLetter(t, "kari@mottaker.example"))
				if res.Outcome != test.outcome || res.Err == nil || !strings.HasPrefix(test.reply, fmt.Sprint(res.Code)) {
					t.Errorf("got %+v", res)
				}
				if accepted, _ := relay.Connections(); accepted != n+1 || p.States()[0].Open != 0 {
					t.Errorf("%d connections, %d open", accepted, p.States()[0].Open)
				}
			}
			if all := sent(); strings.Contains(all, "\r\n.\r\n") || strings.Count(all, "DATA\r\n") != 3 || strings.Contains(all, "Subject") {
				t.Errorf("sent\n%s", all)
			}
		})
	}
}

// Whatever a relay replies to a command, PIPELINING changes nothing about the outcome, and no dot is
// written after a refusal.
func TestFlightEndsAsOneByOne(t *testing.T) {
	replies := []string{
		"250 ok\r\n", "251 ok\r\n", "354 go on\r\n", "220 hello\r\n", "421 4.3.2 bye\r\n", "450 4.2.0 later\r\n", "451 4.3.0 trouble\r\n", "452 4.3.1 full\r\n",
		"550 5.1.1 No such user\r\n", "550 5.7.1 Sender rejected\r\n", "550 5.7.708 Access denied\r\n", "503 5.5.1 Bad sequence\r\n", "554 5.7.1 Content\r\n", "552 5.3.4 Too big\r\n",
		"550-5.1.1 No such\r\n550 5.1.1 user\r\n", "550\r\n", "yes\r\n", "\r\n", "25", "", "250-ok\r\n550 no\r\n", "250 ok\r\n250 ok\r\n", "999 what\r\n",
	}
	for _, verb := range []string{"MAIL", "RCPT", "DATA", "."} {
		for _, reply := range replies {
			for _, closes := range []bool{false, true} {
				if !closes && !strings.HasSuffix(reply, "\n") {
					continue // the relay goes on: see TestReplyMissing
				}
				t.Run(fmt.Sprintf("%s %q %t", verb, reply, closes), func(t *testing.T) {
					wrong := relaytest.Reply{Verb: verb, Text: reply, Close: closes}
					var results [2]Result
					for i, replies := range [][]relaytest.Reply{{wrong}, {pipelining, wrong, {Verb: "DATA", Text: "503 5.5.1 No recipient\r\n"}}} {
						if i == 1 && (strings.HasPrefix(reply, "25") || verb == "DATA" || verb == ".") {
							replies = replies[:2]
						}
						synctest.Test(t, func(t *testing.T) {
							p, relay := memoryPool(t, Relay{DataTimeout: 5 * time.Second}, relaytest.Dialogue(replies...))
							ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
							defer cancel()
							results[i] = round(p, ctx, mustLetter(t, "kari@mottaker.example"))
							accepted, _ := relay.connections()
							if dots := relay.count("\r\n.\r\n"); dots > 1 || dots == 1 && verb != "." && results[i].Outcome != handover.Accepted || accepted > 2 {
								t.Errorf("%d dots on %d connections: %+v", dots, accepted, results[i])
							}
						})
					}
					a, b := results[0], results[1]
					two := strings.HasPrefix(reply, "250 ok\r\n2") // noticed at another command
					if a.Outcome != b.Outcome || a.Refusal != b.Refusal || !two && (a.Code != b.Code || a.Enhanced != b.Enhanced) {
						t.Errorf("one by one %+v\nin one flight %+v", a, b)
					}
				})
			}
		}
	}
}

// A relay that leaves out a reply, or gives one too many, has not refused the mail for certain: no reply counts for
// another command than its own.
func TestReplyMissing(t *testing.T) {
	for name, replies := range map[string][]relaytest.Reply{
		"none to MAIL":     {{Verb: "MAIL"}, {Verb: "RCPT", Text: "550 5.1.1 No such user\r\n"}, {Verb: "DATA", Text: "503 5.5.1 No\r\n"}},
		"none to RCPT":     {{Verb: "RCPT"}, {Verb: "DATA", Text: "550 5.1.1 No\r\n"}},
		"none to RCPT, ok": {{Verb: "RCPT"}},
		"two to MAIL":      {{Verb: "MAIL", Text: "250 ok\r\n550 5.1.1 No such user\r\n"}},
		"two to MAIL, no":  {{Verb: "MAIL", Text: "550 5.1.1 No such user\r\n250 ok\r\n"}},
		"two to RCPT":      {{Verb: "RCPT", Text: "550 5.1.1 No such user\r\n250 ok\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, relay := memoryPool(t, Relay{}, relaytest.Dialogue(append(replies, pipelining)...))
				res := round(p, within(t), mustLetter(t, "kari@mottaker.example"))
				if res.Outcome != handover.NotSent || p.States()[0].Open != 0 || relay.count("\r\n.\r\n") > 0 {
					t.Errorf("got %+v", res)
				}
			})
		})
	}
}

// Replies to a flight may come in any pieces.
func TestFlightOctetByOctet(t *testing.T) {
	talk := relaytest.Dialogue(pipelining, relaytest.Reply{Verb: "RCPT TO:<NOSUCH", Text: "550-5.1.1 No such\r\n550 5.1.1 user\r\n"},
		relaytest.Reply{Verb: "DATA", Nth: 2, Text: "554 5.5.1 No valid recipients\r\n"})
	relay := listen(t, relaytest.Profile{Script: func(c net.Conn) { talk(dribble{c}) }})
	config := plain("mx", relay)
	config.TLS = TLSOff
	p := newPool(t, config)
	for i, want := range []handover.Outcome{handover.Accepted, handover.Refused, handover.Accepted} {
		local := [...]string{"kari", "nosuch", "ola"}[i]
		if res := p.Send(within(t), to(local+"@mottaker.example")); res.Outcome != want {
			t.Errorf("%s: got %+v", local, res)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 1 {
		t.Errorf("%d connections", accepted)
	}
}

// Octets that a relay sends in reply to a flight never get it a dot unless they are three replies that allow
// the mail, and nothing else.
func FuzzFlight(f *testing.F) {
	for _, seed := range []string{
		"250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n550 5.1.1 no\r\n354 go\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "550 no\r\n503 no\r\n503 no\r\n",
		"250-a\r\n250 b\r\n251\r\n354\r\n", "250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", "250\n250\n354\n", "250 ok\r\n421 bye\r\n", "250 ok\r\n250 ok\r\n354", "\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		dot := make(chan bool, 1)
		go func() {
			defer theirs.Close()
			in := bufio.NewReader(theirs)
			for line := ""; !strings.HasPrefix(line, "DATA"); {
				var err error
				if line, err = in.ReadString('\n'); err != nil {
					dot <- false
					return
				}
			}
			go theirs.Write(said)
			all, _ := io.ReadAll(in) // until the client closes, or the deadline
			dot <- strings.HasSuffix(string(all), "\r\n.\r\n")
		}()
		client := newClient(ours)
		client.ext = parseExtensions("relay.test\nPIPELINING")
		c := &conn{client: client, relay: Relay{Name: "mx", CommandTimeout: 5 * time.Millisecond, DataTimeout: 5 * time.Millisecond}}
		res, _ := c.deliver(context.Background(), mustLetter(t, "kari@mottaker.example"), time.Now().Add(time.Second), func(time.Time) {})
		c.abandon()
		r := readerOf(strings.NewReader(string(said)))
		allowed := true
		for _, want := range []int{250, 25, 354} {
			got, err := r.next()
			allowed = allowed && err == nil && got.is(want)
		}
		if wrote := <-dot; wrote && !allowed {
			t.Errorf("%q: the dot was written: %+v", said, res)
		}
		if !allowed && (res.Outcome == handover.Accepted || res.Outcome == handover.Unknown) {
			t.Errorf("%q: %+v", said, res)
		}
	})
}

// far delivers what is written to it after a delay, as a distant network does: without holding up
// what follows.
func far(c net.Conn, delay time.Duration) net.Conn {
	ours, theirs := net.Pipe()
	carry := func(to, from net.Conn) {
		type piece struct {
			due    time.Time
			octets []byte
		}
		pieces := make(chan piece, 1000)
		go func() {
			defer close(pieces)
			for {
				buf := make([]byte, 32<<10)
				n, err := from.Read(buf)
				if err != nil {
					return
				}
				pieces <- piece{time.Now().Add(delay), buf[:n]}
			}
		}()
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.octets); err != nil {
				break
			}
		}
		to.Close()
		from.Close()
	}
	go carry(c, theirs)
	go carry(theirs, c)
	return ours
}

// BenchmarkSendFar reports the median time of a mail to a relay that is 20 ms away, on a kept connection.
func BenchmarkSendFar(b *testing.B) {
	for name, replies := range map[string][]relaytest.Reply{"pipelining": {pipelining}, "one by one": nil} {
		b.Run(name, func(b *testing.B) {
			config := plain("mx", listen(b, dialogue(replies...)))
			config.TLS = TLSOff
			p := newPool(b, config)
			dial := p.relay(0).dialTCP
			p.relay(0).dialTCP = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := dial(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return far(c, 10*time.Millisecond), nil
			}
			p.Send(within(b), to("kari@mottaker.example"))
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if res := p.Send(within(b), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
					b.Fatalf("got %+v", res)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		})
	}
}
