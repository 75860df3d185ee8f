package smtp

import (
	"bytes"
	"crypto/tls"
	"net"
	"testing"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// A reply to no command is not taken for the reply to the next one: the connection is closed. It may
// arrive in one piece with the reply before it, and under TLS in a record of its own.
func TestSurplus(t *testing.T) {
	cert, ca, _ := certificate(t)
	for name, surplus := range map[string]string{
		"taken": "250 ok\r\n", "refused": "550 5.1.1 No such user\r\n", "closing": "421 bye\r\n", "half a line": "55", "no reply": "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			talk := relaytest.Dialogue(relaytest.Reply{Verb: ".", Text: "250 2.0.0 queued as 9A3F2C41B07\r\n" + surplus})
			relays := map[*relaytest.Relay]Relay{}
			clear := listen(t, relaytest.Profile{Script: talk})
			relays[clear] = plain("mx", clear)
			secure := listen(t, relaytest.Profile{Script: inRecords(cert, talk)})
			relays[secure] = Relay{Name: "mx", Addr: secure.Addr(), TLS: TLSImplicit, CAFile: ca}
			for relay, config := range relays {
				p := newPool(t, config)
				for n := range 3 {
					res := p.Send(within(t), to("kari@mottaker.example"))
					if accepted, _ := relay.Connections(); res.Outcome != handover.Accepted || res.QueueID != "9A3F2C41B07" || accepted != n+1 {
						t.Errorf("%s: mail %d on connection %d: got %+v", config.TLS, n, accepted, res)
					}
				}
			}
		})
	}
}

// A reply that arrives with the 354 is none to the dot: the dot is not written.
func TestSurplusBeforeTheDot(t *testing.T) {
	cert, ca, _ := certificate(t)
	relay := listen(t, relaytest.Profile{Script: inRecords(cert, relaytest.Dialogue(
		relaytest.Reply{Verb: "DATA", Text: "354 go on\r\n250 ok\r\n"},
		relaytest.Reply{Verb: ".", Text: "554 5.7.1 Content refused\r\n"}))})
	p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), TLS: TLSImplicit, CAFile: ca})
	if res := round(p, within(t), mustLetter(t, "kari@mottaker.example")); res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonProtocol) {
		t.Errorf("got %+v", res)
	}
}

// After a surplus reply on a kept connection the mail goes over a new one, once.
func TestSurplusOnAKeptConnection(t *testing.T) {
	relay := listen(t, dialogue(relaytest.Reply{Verb: "MAIL", Nth: 2, Text: "250 ok\r\n250 ok\r\n"}))
	p := newPool(t, plain("mx", relay))
	for range 2 {
		if res := round(p, within(t), mustLetter(t, "kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Errorf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 2 {
		t.Errorf("%d connections", accepted)
	}
}

// inRecords plays the script over TLS: each line in a record of its own, the records of one
// write in one piece.
func inRecords(cert tls.Certificate, play func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		raw := &corked{Conn: c}
		secure := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}})
		play(&lineRecords{secure, raw})
	}
}

// corked keeps writes back while cork is set.
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
