package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// recorded returns the script with a record of all that the client wrote to it.
func recorded(play func(net.Conn)) (script func(net.Conn), sent func() string) {
	var mu sync.Mutex
	var all strings.Builder
	script = func(c net.Conn) { play(recordedConn{c, &mu, &all}) }
	return script, func() string { mu.Lock(); defer mu.Unlock(); return all.String() }
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
		"size":     {"250-lab\r\n250-Auth Login\r\n250-size 1000000\r\n250 8bitMime\r\n", []string{"AUTH LOGIN\r\n", " BODY=8BITMIME SIZE="}},
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
			p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), TLS: TLSImplicit, CAFile: ca, Username: "straks", Password: "hemmelig"})
			m := to("kari@mottaker.example")
			m.Reports = true
			if res := p.Send(within(t), m); res.Outcome != handover.Accepted {
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
	p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), CAFile: ca})
	m := to("kari@mottaker.example")
	m.Reports = true
	if res := p.Send(within(t), m); res.Outcome != handover.Accepted {
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

// A call that succeeds while its context is cancelled leaves a closed connection: the cancellation
// must not reach the next user of the connection.
func TestCancelledAtTheReply(t *testing.T) {
	c := dialled(t, listen(t, relaytest.Profile{Script: relaytest.Mute}))
	ctx, cancel := context.WithCancel(within(t))
	if err := c.do(ctx, time.Now().Add(patience), func() error { cancel(); return nil }); err != nil {
		t.Error(err)
	}
	if _, err := c.raw.Write([]byte("NOOP\r\n")); !errors.Is(err, net.ErrClosed) || c.silent() {
		t.Errorf("the connection is open: %v", err)
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

// A body that the relay does not read ends at its deadline as NotSent: its final dot was not
// written.
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
	r := p.relay(0)
	c, err := r.acquire(within(t), keptConnection)
	if err != nil {
		t.Fatal(err)
	}
	c.raw.(*net.TCPConn).SetWriteBuffer(4 << 10)
	r.release(c)
	m := to("kari@mottaker.example")
	m.Body = strings.Repeat(strings.Repeat("abcdefgh", 9)+"\n", 15_000)
	l, err := newLetter(m, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if res := round(p, ctx, l); res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonTimeout) {
		t.Fatalf("got %+v", res)
	}
}

// A reply without an end costs no memory.
func TestEndlessReplies(t *testing.T) {
	endless := strings.Repeat("250-and so on\r\n", 10_000)
	for name, profile := range map[string]relaytest.Profile{
		"banner": {Script: relaytest.EndlessBanner},
		"line":   {Script: relaytest.EndlessLine},
		"EHLO":   dialogue(relaytest.Reply{Verb: "EHLO", Text: endless}),
		"MAIL":   dialogue(relaytest.Reply{Verb: "MAIL", Text: endless}),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, plain("mx", listen(t, profile)))
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != handover.NotSent {
				t.Errorf("got %+v", res)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
				t.Errorf("heap grew by %d", grown)
			}
		})
	}
}

// Each parameter is sent only where the relay offers its extension.
func TestCommands(t *testing.T) {
	const id = "0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1"
	for _, test := range []struct{ ehlo, to, mail, rcpt string }{
		{"lab", "kari@b.example", "", ""},
		{"lab\nSIZE 1000\n8BITMIME", "kari@b.example", " BODY=8BITMIME SIZE=7", ""},
		{"lab\nDSN", "kari+x=y@b.example", " RET=HDRS ENVID=" + id, " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;kari+2Bx+3Dy@b.example"},
		{"lab\nSMTPUTF8\nDSN", "pål+1@b.example", " SMTPUTF8 RET=HDRS ENVID=" + id, ` NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=utf-8;pål\x{2B}1@b.example`},
	} {
		l := mustLetter(t, test.to)
		l.data = []byte("octets\n")
		l.message.Reports = true
		c := &conn{client: &client{ext: parseExtensions(test.ehlo)}, relay: Relay{}}
		if got, want := c.mail(l), "MAIL FROM:<b+1@retur.example>"+test.mail; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := c.rcpt(l), "RCPT TO:<"+test.to+">"+test.rcpt; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
