package relaytest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"time"
)

// Faulty is a relay that is right in everything but one reply. Its Script is for Profile.Script.
type Faulty struct {
	// Command whose reply is wrong: "greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", ".", "RSET",
	// "NOOP" or "QUIT"; "EHLO2" is the EHLO under TLS.
	Command string
	// Wrong writes in place of the right reply, and reports whether the relay goes on. It gets the right reply.
	Wrong func(c net.Conn, right string) (goOn bool)

	TLS        *tls.Config    // offer STARTTLS
	Handshake  func(net.Conn) // in place of the handshake and all after it; nil: the right one
	Auth       bool           // offer AUTH PLAIN under TLS, or in the clear without TLS, with any password
	Pipelining bool

	// Dot is called with the recipient when the final dot of a mail was read, before the reply. It may be nil.
	Dot func(to string)
}

// Replies of Faulty.
var rightReplies = map[string]string{
	"greeting": "220 relay.test\r\n", "STARTTLS": "220 go on\r\n", "AUTH": "235 2.7.0 ok\r\n",
	"MAIL": "250 2.1.0 ok\r\n", "RCPT": "250 2.1.5 ok\r\n", "DATA": "354 go on\r\n", ".": "250 2.0.0 ok\r\n",
	"RSET": "250 ok\r\n", "NOOP": "250 ok\r\n", "QUIT": "221 bye\r\n",
}

// faultySession is one connection to a Faulty.
type faultySession struct {
	*Faulty
	conn      net.Conn
	encrypted bool
}

// Script is the conversation on one connection.
func (f *Faulty) Script(c net.Conn) {
	s := &faultySession{Faulty: f, conn: c}
	if !s.say("greeting", rightReplies["greeting"]) {
		return
	}
	in, to, refused, body := bufio.NewReader(c), "", false, false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
		switch {
		case body && line != ".":
			continue
		case body:
			body, verb = false, "."
			if f.Dot != nil {
				f.Dot(to)
			}
		case verb == "RCPT":
			_, to, _ = strings.Cut(line, "<")
			to, _, _ = strings.Cut(to, ">")
			if refused = strings.HasPrefix(to, "nosuch@"); refused {
				if _, err := io.WriteString(c, "550 5.1.1 no such user\r\n"); err != nil {
					return
				}
				continue
			}
		case verb == "DATA" && refused:
			if _, err := io.WriteString(s.conn, "503 5.5.1 no recipient\r\n"); err != nil {
				return
			}
			continue
		}
		if !s.say(s.name(verb), s.right(verb)) || verb == "QUIT" {
			return
		}
		body = verb == "DATA"
		if verb == "STARTTLS" {
			if f.Handshake != nil {
				f.Handshake(c)
				return
			}
			secure := tls.Server(c, f.TLS)
			if secure.Handshake() != nil {
				return
			}
			s.conn, s.encrypted, in = secure, true, bufio.NewReader(secure)
			c = secure
		}
	}
}

// name is how Command spells a verb.
func (s *faultySession) name(verb string) string {
	if verb == "EHLO" && s.encrypted {
		return "EHLO2"
	}
	return verb
}

// right returns the right reply.
func (s *faultySession) right(verb string) string {
	if verb != "EHLO" {
		if reply, ok := rightReplies[verb]; ok {
			return reply
		}
		return "500 5.5.1 what\r\n"
	}
	lines := []string{"relay.test"}
	if s.TLS != nil && !s.encrypted {
		lines = append(lines, "STARTTLS")
	}
	if s.Auth && (s.encrypted || s.TLS == nil) {
		lines = append(lines, "AUTH PLAIN")
	}
	if s.Pipelining {
		lines = append(lines, "PIPELINING")
	}
	last := len(lines) - 1
	text := ""
	for _, line := range lines[:last] {
		text += "250-" + line + "\r\n"
	}
	return text + "250 " + lines[last] + "\r\n"
}

// say sends the right reply, or the wrong one in its place.
func (s *faultySession) say(name, right string) (goOn bool) {
	if name == s.Command {
		return s.Wrong(s.conn, right)
	}
	_, err := io.WriteString(s.conn, right)
	return err == nil
}

// Wrong replies for Faulty.

// Says sends another reply.
func Says(text string) func(net.Conn, string) bool {
	return func(c net.Conn, _ string) bool {
		_, err := io.WriteString(c, text)
		return err == nil
	}
}

// Cut sends the first octets of the right reply and closes the connection.
func Cut(octets int) func(net.Conn, string) bool {
	return func(c net.Conn, right string) bool {
		io.WriteString(c, right[:min(octets, len(right))])
		return false
	}
}

// Silent sends no reply.
func Silent(c net.Conn, _ string) bool {
	io.Copy(io.Discard, c)
	return false
}

// Endless sends lines of a reply that does not end.
func Endless(c net.Conn, right string) bool {
	endless(c, right[:3]+"-and so on\r\n")
	return false
}

// Late sends the right reply after a pause.
func Late(pause time.Duration) func(net.Conn, string) bool {
	return func(c net.Conn, right string) bool {
		time.Sleep(pause)
		_, err := io.WriteString(c, right)
		return err == nil
	}
}

// Dribble sends the right reply octet by octet.
func Dribble(c net.Conn, right string) bool {
	for i := range len(right) {
		if _, err := io.WriteString(c, right[i:i+1]); err != nil {
			return false
		}
	}
	return true
}

// RightReply returns the right reply of a Faulty to a command, for its length.
func (f *Faulty) RightReply(command string) string {
	s := &faultySession{Faulty: f, encrypted: command == "EHLO2"}
	if command == "EHLO2" {
		command = "EHLO"
	}
	return s.right(command)
}
