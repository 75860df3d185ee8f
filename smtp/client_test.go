package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// A reply that answers nothing is no answer to what comes next: the connection goes. It
// may have come in one piece with the reply before it, and under TLS in a record of its own.
func TestAReplyTooMany(t *testing.T) {
	cert, ca, _ := certificate(t)
	for name, surplus := range map[string]string{
		"taken": "250 ok\r\n", "refused": "550 5.1.1 No such user\r\n", "closing": "421 bye\r\n", "half a line": "55", "no reply": "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			talk := relaytest.Dialogue(relaytest.Reply{Verb: ".", Text: "250 2.0.0 queued as A\r\n" + surplus})
			relays := map[*relaytest.Relay]Relay{}
			clear := listen(t, relaytest.Profile{Script: talk})
			relays[clear] = plain("mx", clear)
			secure := listen(t, relaytest.Profile{Script: inRecords(cert, talk)})
			relays[secure] = Relay{Name: "mx", Addr: secure.Addr(), TLS: TLSImplicit, CAFile: ca}
			for relay, config := range relays {
				p := newPool(t, config)
				for n := range 3 {
					res := p.Send(within(t), to("kari@mottaker.example"))
					if accepted, _ := relay.Connections(); res.Outcome != handover.Accepted || res.QueueID != "A" || accepted != n+1 {
						t.Errorf("%s: mail %d on connection %d: got %+v", config.TLS, n, accepted, res)
					}
				}
			}
		})
	}
}

// A code alone is a reply, in whatever pieces it comes.
func TestCodeAlone(t *testing.T) {
	talk := relaytest.Dialogue(
		relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250\r\n"},
		relaytest.Reply{Verb: "MAIL", Text: "250\r\n"},
		relaytest.Reply{Verb: "RCPT TO:<NOSUCH", Text: "550\r\n"},
		relaytest.Reply{Verb: "DATA", Text: "354\r\n"},
		relaytest.Reply{Verb: "RSET", Text: "250\n"},
		relaytest.Reply{Verb: ".", Text: "250\r\n"})
	for name, script := range map[string]func(net.Conn){
		"whole": talk, "octet by octet": func(c net.Conn) { talk(dribble{c}) },
	} {
		t.Run(name, func(t *testing.T) {
			relay := listen(t, relaytest.Profile{Script: script})
			p := newPool(t, plain("mx", relay))
			for local, want := range map[string]handover.Outcome{"kari": handover.Accepted, "nosuch": handover.Refused} {
				for range 2 {
					if res := p.round(within(t), mustLetter(t, local+"@mottaker.example")); res.Outcome != want {
						t.Errorf("%s: got %+v", local, res)
					}
				}
			}
			if accepted, _ := relay.Connections(); accepted != 1 {
				t.Errorf("%d connections", accepted)
			}
		})
	}
}

// dribble writes one octet at a time.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// What came with the 354 is no answer to a dot that was not written: then it is not.
func TestAnAnswerAheadOfTheDot(t *testing.T) {
	cert, ca, _ := certificate(t)
	relay := listen(t, relaytest.Profile{Script: inRecords(cert, relaytest.Dialogue(
		relaytest.Reply{Verb: "DATA", Text: "354 go on\r\n250 ok\r\n"},
		relaytest.Reply{Verb: ".", Text: "554 5.7.1 Content refused\r\n"}))})
	p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), TLS: TLSImplicit, CAFile: ca})
	if res := p.round(within(t), mustLetter(t, "kari@mottaker.example")); res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonProtocol) {
		t.Errorf("got %+v", res)
	}
}

// A relay that answers a kept connection wrongly gets the mail over a new one, once.
func TestAReplyTooManyOnAKeptConnection(t *testing.T) {
	relay := listen(t, dialogue(relaytest.Reply{Verb: "MAIL", Nth: 2, Text: "250 ok\r\n250 ok\r\n"}))
	p := newPool(t, plain("mx", relay))
	for range 2 {
		if res := p.round(within(t), mustLetter(t, "kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Errorf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 2 {
		t.Errorf("%d connections", accepted)
	}
}

// inRecords plays the script over TLS, each line in a record of its own, and all lines that
// are said at a time in one piece.
func inRecords(cert tls.Certificate, play func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		raw := &corked{Conn: c}
		secure := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}})
		play(&lineRecords{secure, raw})
	}
}

// corked keeps what is written while it has a cork.
type corked struct {
	net.Conn
	cork bool
	kept []byte
}

func (c *corked) Write(p []byte) (int, error) {
	if !c.cork {
		return c.Conn.Write(p)
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

type lineRecords struct {
	*tls.Conn
	raw *corked
}

func (l *lineRecords) Write(p []byte) (int, error) {
	if err := l.Handshake(); err != nil {
		return 0, err
	}
	l.raw.cork = true
	for line := range bytes.Lines(p) {
		l.Conn.Write(line)
	}
	said := l.raw.kept
	l.raw.cork, l.raw.kept = false, nil
	if _, err := l.raw.Write(said); err != nil {
		return 0, err
	}
	return len(p), nil
}

// recorded returns the script with a record of all that the client wrote to it.
func recorded(play func(net.Conn)) (script func(net.Conn), sent func() string) {
	var mu sync.Mutex
	var all strings.Builder
	script = func(c net.Conn) { play(recordedConn{c, &mu, &all}) }
	return script, func() string { mu.Lock(); defer mu.Unlock(); return all.String() }
}

type recordedConn struct {
	net.Conn
	mu  *sync.Mutex
	all *strings.Builder
}

func (r recordedConn) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Write(p[:n])
	return n, err
}

// overTLS plays the script on the connection after a handshake.
func overTLS(cert tls.Certificate, play func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		if secure.Handshake() == nil {
			play(secure)
		}
	}
}

// The keywords of EHLO have any letter case (RFC 5321 §2.4), and AUTH its old form.
func TestKeywordsInAnyCase(t *testing.T) {
	cert, ca, _ := certificate(t)
	for name, test := range map[string]struct {
		ehlo string
		want []string
	}{
		"lower":    {"250-lab\r\n250-auth plain\r\n250 SIZE\r\n", []string{"AUTH PLAIN AHN0cmFrcwBoZW1tZWxpZw==\r\n", " SIZE="}},
		"size":     {"250-lab\r\n250-Auth Login\r\n250-size 100\r\n250 8bitMime\r\n", []string{"AUTH LOGIN\r\n", " BODY=8BITMIME SIZE="}},
		"old form": {"250-lab\r\n250-AUTH=LOGIN PLAIN\r\n250 dsn\r\n", []string{"AUTH PLAIN ", " RET=HDRS ENVID=0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1\r\n", " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;kari@mottaker.example\r\n"}},
		"old only": {"250-lab\r\n250 auth=login\r\n", []string{"AUTH LOGIN\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script, sent := recorded(relaytest.Dialogue(
				relaytest.Reply{Verb: "EHLO", Text: test.ehlo},
				relaytest.Reply{Verb: "AUTH PLAIN", Text: "235 2.7.0 ok\r\n"},
				relaytest.Reply{Verb: "AUTH LOGIN", Text: "334 VXNlcm5hbWU6\r\n"},
				relaytest.Reply{Verb: "C3RYYWTZ", Text: "334 UGFzc3dvcmQ6\r\n"},
				relaytest.Reply{Verb: "AGVTBWVSAWC=", Text: "235 2.7.0 ok\r\n"}))
			relay := listen(t, relaytest.Profile{Script: overTLS(cert, script)})
			p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), TLS: TLSImplicit, CAFile: ca, Username: "straks", Password: "hemmelig", DSN: true})
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
				t.Fatalf("got %+v", res)
			}
			for _, want := range test.want {
				if !strings.Contains(sent(), want) {
					t.Errorf("%q is not in\n%s", want, sent())
				}
			}
		})
	}
}

// The extensions of a relay are those that it offers under TLS.
func TestEHLOIsRepeatedUnderTLS(t *testing.T) {
	cert, ca, _ := certificate(t)
	inside, sent := recorded(relaytest.Dialogue(relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 SIZE\r\n"}))
	relay := listen(t, relaytest.Profile{Script: func(c net.Conn) {
		clear := func(reply string) { // each reply is that to one command
			c.Write([]byte(reply))
			c.Read(make([]byte, 512))
		}
		clear("220 relay.test\r\n")
		clear("250-relay.test\r\n250-DSN\r\n250 starttls\r\n")
		c.Write([]byte("220 go\r\n"))
		overTLS(cert, func(c net.Conn) { inside(noGreeting{Conn: c}) })(c)
	}})
	p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), CAFile: ca, DSN: true})
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
		t.Fatalf("got %+v", res)
	}
	if got := sent(); !strings.HasPrefix(got, "EHLO ") || !strings.Contains(got, " SIZE=") || strings.Contains(got, "ENVID") {
		t.Errorf("under TLS:\n%s", got)
	}
}

// noGreeting drops the greeting of a Dialogue.
type noGreeting struct{ net.Conn }

func (n noGreeting) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("220 ")) {
		return len(p), nil
	}
	return n.Conn.Write(p)
}

func TestParseExtensions(t *testing.T) {
	ext := parseExtensions("lab\nsize 100\nAuth=plain\nAUTH LOGIN\n\nX=\n=\nDSN")
	if got := fmt.Sprint(map[string][]string(ext)); got != "map[:[] AUTH:[PLAIN LOGIN] DSN:[] SIZE:[100] X:[]]" {
		t.Error(got)
	}
	if !ext.offersAuth("PLAIN") || !ext.offersAuth("LOGIN") || ext.offersAuth("XOAUTH2") || !ext.offers("DSN") || ext.offers("LAB") {
		t.Errorf("got %v", ext)
	}
	if len(parseExtensions("relay.test")) > 0 || len(parseExtensions("")) > 0 {
		t.Error("the name of the relay is an extension")
	}
}

func FuzzParseExtensions(f *testing.F) {
	f.Add("lab\nAUTH=PLAIN LOGIN\nsize 100")
	f.Add("\n=\n = =\x00")
	f.Fuzz(func(t *testing.T, text string) {
		for keyword, parameters := range parseExtensions(text) {
			if strings.ContainsAny(keyword, " \r\n=") || keyword != strings.ToUpper(keyword) || strings.ContainsAny(strings.Join(parameters, ""), " \r\n") {
				t.Errorf("%q has %q with %q", text, keyword, parameters)
			}
		}
	})
}

// A call ends at its time, at the deadline of its context, and when that is cancelled.
func TestCallsEnd(t *testing.T) {
	relay := listen(t, relaytest.Profile{Script: relaytest.Mute})
	call := map[string]func(context.Context, *client, time.Time) error{
		"read": func(ctx context.Context, c *client, by time.Time) error { _, err := c.read(ctx, by, 220); return err },
		"ask": func(ctx context.Context, c *client, by time.Time) error {
			_, err := c.ask(ctx, by, 250, "NOOP")
			return err
		},
		"handshake": func(ctx context.Context, c *client, by time.Time) error {
			return c.handshake(ctx, by, &tls.Config{ServerName: "relay.test"})
		},
	}
	for name, call := range call {
		t.Run(name, func(t *testing.T) {
			far, near := time.Now().Add(patience), time.Now().Add(20*time.Millisecond)
			deadline, cancel := context.WithDeadline(within(t), near)
			defer cancel()
			cancelled, cancel := context.WithCancel(within(t))
			time.AfterFunc(20*time.Millisecond, cancel)
			for want, err := range map[error]error{
				os.ErrDeadlineExceeded:   call(within(t), dialled(t, relay), near),
				context.DeadlineExceeded: call(deadline, dialled(t, relay), far),
				context.Canceled:         call(cancelled, dialled(t, relay), far),
			} {
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			c := dialled(t, relay)
			if err := call(cancelled, c, far); !errors.Is(err, context.Canceled) {
				t.Errorf("after the end of its context: %v", err)
			}
		})
	}
}

func dialled(t *testing.T, relay *relaytest.Relay) *client {
	t.Helper()
	raw, err := net.Dial("tcp", relay.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return newClient(raw)
}

// A connection that was left half-way and then asked for a sign of life takes the next mail.
func TestKeepaliveEndsATransactionLeftHalfWay(t *testing.T) {
	relay := listen(t, dialogue(
		relaytest.Reply{Verb: "RCPT TO:<NOSUCH", Text: "550 5.1.1 No such user\r\n"},
		relaytest.Reply{Verb: "MAIL", Nth: 2, Text: "503 5.5.1 Nested MAIL command\r\n"},
		relaytest.Reply{Verb: "RSET", Nth: 1, Text: "250 reset\r\n"}))
	p := newPool(t, plain("mx", relay))
	r := p.relays[0]
	p.Send(within(t), to("nosuch@mottaker.example"))
	r.idle[0].used = time.Now().Add(-r.KeepAlive)
	r.keepalive(within(t))
	if c := r.idle[0]; c.dirty || c.reuse != 2 {
		t.Errorf("dirty %t, reuse %d", c.dirty, c.reuse)
	}
}
