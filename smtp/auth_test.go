package smtp

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// changing is a Secret that changes.
type changing struct{ now *atomic.Value }

func newSecret(s string) changing {
	c := changing{new(atomic.Value)}
	c.now.Store(s)
	return c
}

func (c changing) Read() (string, error) {
	s := c.now.Load().(string)
	if s == "" {
		return "", errors.New("the file can't be read")
	}
	return s, nil
}

// A token goes with the command where there is room, else after a 334.
func TestXOAUTH2(t *testing.T) {
	for _, token := range []string{"ya29.short", strings.Repeat("0123456789abcdef", 200)} {
		relay := listen(t, relaytest.Profile{Username: "varsel@avsender.example", Password: token, Mechanisms: []string{"PLAIN", "XOAUTH2"}})
		p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), InsecureAuth: true, TLS: TLSOff, Username: "varsel@avsender.example", Password: token, Mechanism: "XOAUTH2"})
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Fatalf("%d octets: got %+v", len(token), res)
		}
		if user := relay.Messages()[0].User; user != "varsel@avsender.example" {
			t.Errorf("logged in as %q", user)
		}
	}
}

// No AUTH command is longer than a command may be, with any mechanism.
func TestAuthLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mechanism := range []string{"PLAIN", "XOAUTH2"} {
			for _, length := range []int{10, 300, 340, 350, 370, 400, 3000} {
				p, relay := memoryPool(t, Relay{InsecureAuth: true, TLS: TLSOff, Username: "u", Password: strings.Repeat("p", length), Mechanism: mechanism},
					relaytest.Dialogue(
						relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 AUTH PLAIN XOAUTH2\r\n"},
						relaytest.Reply{Verb: "AUTH " + mechanism + " ", Text: "235 ok\r\n"},
						relaytest.Reply{Verb: "AUTH", Text: "334 \r\n"}, relaytest.Reply{Verb: "DXNLCJ", Text: "235 ok\r\n"}, // base64 of "user"
						relaytest.Reply{Verb: "AHUA", Text: "235 ok\r\n"})) // of NUL, "u", NUL
				p.Send(within(t), to("kari@mottaker.example"))
				for line := range strings.SplitSeq(relay.sent.String(), "\r\n") {
					if strings.HasPrefix(line, "AUTH") && len(line) > 510 {
						t.Errorf("%s with %d: a line of %d octets", mechanism, length, len(line))
					}
				}
				if n := relay.count("MAIL FROM"); n != 1 {
					t.Errorf("%s with %d: not logged in", mechanism, length)
				}
			}
		}
	})
}

// A refused token is answered as the providers want it, and not sent again until the file has another.
func TestTokenIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret, good := newSecret("old"), new(atomic.Value)
		good.Store("dXNlcj11AWF1dGg9QmVhcmVyIG5ldwEB") // user=u, Bearer new
		var empty atomic.Int32
		p, relay := memoryPool(t, Relay{InsecureAuth: true, TLS: TLSOff, Username: "u", Secret: secret, Mechanism: "XOAUTH2"}, func(c net.Conn) {
			relaytest.Dialogue(
				relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 AUTH XOAUTH2\r\n"},
				relaytest.Reply{Verb: strings.ToUpper("AUTH XOAUTH2 " + good.Load().(string)), Text: "235 2.7.0 ok\r\n"},
				relaytest.Reply{Verb: "AUTH", Text: "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"},
				relaytest.Reply{Verb: "MAIL", Text: "250 ok\r\n"}, relaytest.Reply{Verb: "RCPT", Text: "250 ok\r\n"}, relaytest.Reply{Verb: "DATA", Text: "354 ok\r\n"},
				relaytest.Reply{Verb: ".", Text: "250 ok\r\n"}, relaytest.Reply{Verb: "NOOP", Text: "250 ok\r\n"}, relaytest.Reply{Verb: "QUIT", Text: "221 ok\r\n", Close: true},
				relaytest.Reply{Verb: "", Text: "535 5.7.8 Username and Password not accepted\r\n"})(counting{c, &empty})
		})
		runs(t, p, nil)
		time.Sleep(10 * time.Minute)
		before, _ := relay.connections()
		if before > 8 || int(empty.Load()) != before || p.States()[0].Open != 0 {
			t.Fatalf("%d logins, %d empty lines, %+v", before, empty.Load(), p.States()[0])
		}
		secret.now.Store("")
		time.Sleep(30 * time.Second)
		secret.now.Store("new")
		time.Sleep(newPasswordPause + time.Second)
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Errorf("with the new token: %+v", res)
		}
	})
}

// counting counts the empty lines that it reads.
type counting struct {
	net.Conn
	empty *atomic.Int32
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if string(p[:n]) == "\r\n" {
		c.empty.Add(1)
	}
	return n, err
}

// A password that can't be read now is not a refused login: the next attempt comes after a second.
func TestPasswordNotReadable(t *testing.T) {
	relay := listen(t, relaytest.Profile{Username: "straks", Password: "hemmelig"})
	secret := newSecret("")
	p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), InsecureAuth: true, TLS: TLSOff, Username: "straks", Secret: secret})
	res := p.Send(within(t), to("kari@mottaker.example"))
	if res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonUnfit) {
		t.Fatalf("got %+v", res)
	}
	if wait := time.Until(p.relay(0).health.noDial); wait > refusedPause {
		t.Errorf("no login for %s", wait)
	}
}
