package smtp

import (
	"bytes"
	"crypto/tls"
	"net"
	"testing"

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
