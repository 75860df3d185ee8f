package inbound

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/eventually"
)

// A mail ends at CRLF "." CRLF alone: another one can't be hidden in it.
func TestSmuggling(t *testing.T) {
	w := start(t, nil)
	victim := w.address(uuid.New())
	hidden := "MAIL FROM:<evil@example.org>\r\nRCPT TO:<" + victim + ">\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
	for i, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\r\n.\r\n", "\x00\r\n..\r\n", "\r\n.\x00\r\n"} {
		p := w.dial(t, i)
		p.say("EHLO relay.example", "250")
		p.say("MAIL FROM:<>", "250")
		p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
		p.say("DATA", "354")
		p.send("Subject: x\r\n\r\nfirst" + end + hidden + ".\r\n")
		p.want("250")
		p.say("NOOP", "250")
		if got := w.stored(); len(got) != i+1 || !strings.Contains(string(got[i].Data), "smuggled") {
			t.Errorf("after %q: %d mails", end, len(got))
		}
	}
}

// What is sent in clear with STARTTLS has no effect under TLS (CVE-2011-0411).
func TestSTARTTLSInjection(t *testing.T) {
	w := start(t, withTLS(t))
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.send("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<" + w.address(uuid.New()) + ">\r\n")
	p.want("220")
	p.secureNow()
	p.say("DATA", "502")
	p.say("EHLO relay.example", "250")
	p.say("DATA", "502")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "502")

	p = w.dial(t, 1) // what was said before TLS counts no more
	p.say("EHLO relay.example", "250")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	p.secure()
	p.say("DATA", "502")
}

func (p *caller) secureNow() {
	p.t.Helper()
	p.in.Discard(p.in.Buffered())
	c := clientTLS(p.Conn)
	if err := c.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.Conn = c
	p.in.Reset(c)
}

// dialogues of one report each, as DATA and as two chunks.
func (w *world) dialogues() map[string]string {
	to := "EHLO relay.example\r\nMAIL FROM:<>\r\nRCPT TO:<" + w.address(uuid.New()) + ">\r\n"
	return map[string]string{
		"DATA": to + "DATA\r\n" + sample + ".\r\n",
		"BDAT": fmt.Sprintf("%sBDAT %d\r\n%sBDAT %d LAST\r\n%s", to, 20, sample[:20], len(sample)-20, sample[20:]),
	}
}

// A peer that breaks off stores nothing before the last octet.
func TestCutAtEachOctet(t *testing.T) {
	w := start(t, withTLS(t))
	n := 0
	for name, dialogue := range w.dialogues() {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", name, encrypted), func(t *testing.T) {
				before := len(w.stored())
				for cut := range len(dialogue) {
					if encrypted && cut%3 > 0 && cut < len(dialogue)-60 {
						continue // handshakes take time
					}
					n++
					w.cutAfter(t, n, dialogue[:cut], encrypted, false)
					if got := len(w.stored()); got != before {
						t.Fatalf("cut at %d of %d: %d stored: %s", cut, len(dialogue), got-before, w.stored()[before].Data)
					}
				}
				n++
				w.cutAfter(t, n, dialogue, encrypted, true)
				if got := len(w.stored()); got != before+1 || string(w.stored()[before].Data) != sample {
					t.Errorf("the whole: %d stored", got-before)
				}
			})
		}
	}
}

// cutAfter sends a part of a dialogue, ends the connection in order, and waits until the server has done with it. Of the
// whole it awaits the reply first.
func (w *world) cutAfter(t *testing.T, n int, part string, encrypted, whole bool) {
	t.Helper()
	p := w.dial(t, n)
	raw := p.Conn.(*net.TCPConn)
	if encrypted {
		p.say("EHLO relay.example", "250")
		p.secure()
	}
	p.send(part)
	for got := ""; whole && !strings.Contains(got, "250 2.0.0 OK: queued"); got = p.reply() {
	}
	if encrypted {
		p.Conn.(*tls.Conn).CloseWrite() // close_notify
	}
	raw.CloseWrite()
	p.closed()
	raw.Close()
	eventually.True(t, "the end of the connection", func() bool { return len(w.of(false)) == 0 })
}

// A mail whose time is over ends the connection: its rest is not read as commands.
func TestSlowBody(t *testing.T) {
	w := start(t, func(c *Config) { c.Limits.Body = 100 * time.Millisecond })
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	p.say("DATA", "354")
	p.send("Subject: x\r\n")
	p.want("451")
	p.Conn.Write([]byte("MAIL FROM:<>\r\nRCPT TO:<" + w.address(uuid.New()) + ">\r\nDATA\r\n\r\nx\r\n.\r\n"))
	if rest := p.closed(); strings.Contains(rest, "250") {
		t.Errorf("it went on: %s", rest)
	}
	if len(w.stored()) > 0 || w.counted(resultCut) != 1 {
		t.Errorf("%d stored, %d cut", len(w.stored()), w.counted(resultCut))
	}
}

// A slow or silent peer has its connection closed, whatever it says in between.
func TestSlowPeers(t *testing.T) {
	t.Run("silent", func(t *testing.T) {
		w := start(t, func(c *Config) { c.Limits.Command = 50 * time.Millisecond })
		p := w.dial(t, 0)
		p.want("421")
		p.closed()
	})
	t.Run("busy", func(t *testing.T) {
		w := start(t, func(c *Config) { c.Limits.Lifetime = 100 * time.Millisecond })
		p := w.dial(t, 0)
		for {
			if _, err := p.Conn.Write([]byte("NOOP\r\n")); err != nil {
				break
			}
			if !strings.HasPrefix(p.reply(), "250") {
				break
			}
		}
		p.closed()
	})
}

// endless sends a text again and again, until the connection ends, and returns how often it could.
func (p *caller) endless(text string) int {
	for n := range 1 << 20 {
		if _, err := p.Conn.Write([]byte(text)); err != nil {
			return n
		}
	}
	p.t.Fatal("it never ended")
	return 0
}

// What is endless ends.
func TestEndless(t *testing.T) {
	w := start(t, nil)
	t.Run("line", func(t *testing.T) {
		p := w.dial(t, 0)
		go io.Copy(io.Discard, p.in)
		p.endless(strings.Repeat("x", 1000))
	})
	t.Run("commands", func(t *testing.T) {
		p := w.dial(t, 1)
		go io.Copy(io.Discard, p.in)
		p.endless(strings.Repeat("NOOP\r\n", 100))
	})
	for name, text := range map[string]string{"body": strings.Repeat("y", 998) + "\r\n", "line of a body": strings.Repeat("y", 1000)} {
		t.Run(name, func(t *testing.T) {
			p := w.dial(t, 2)
			p.say("EHLO relay.example", "250")
			p.say("MAIL FROM:<>", "250")
			p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
			p.say("DATA", "354")
			go io.Copy(io.Discard, p.in)
			if n := p.endless(text); n > 40_000 {
				t.Errorf("%d kB were read", n)
			}
		})
	}
	eventually.True(t, "the memory", func() bool { return w.memory.inUse() == 0 })
	if len(w.stored()) > 0 {
		t.Error("stored")
	}
}

func TestNUL(t *testing.T) {
	w := start(t, nil)
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.say("NO\x00OP", "50")
	p.say("MAIL FROM:<a\x00b@example.org>", "250")
	p.say("RCPT TO:<"+w.keys.Local(uuid.New())+"\x00@retur.example>", "550")
	p.say("RCPT TO:<"+w.address(uuid.New())+"\x00>", "550")
	p.say("RSET", "250")
	p.report(w.address(uuid.New()), "Subject: \x00\r\n\r\n\x00\r\n", "250")
}

// Silent connections keep nobody out.
func TestCrowdOfSilentConnections(t *testing.T) {
	w := start(t, func(c *Config) { c.Limits.Connections = 16; c.Limits.PerAddress = 4 })
	honest := w.dial(t, 0)
	honest.say("EHLO relay.example", "250")
	honest.say("MAIL FROM:<>", "250")
	honest.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	for i := range 200 {
		w.connect(t, 1+i%20)
	}
	eventually.True(t, "the crowd", func() bool { s := w.limiter(false).Stats(); return s.Closed["limit"]+s.Closed["address"] >= 150 })
	if open := w.limiter(false).Stats().Open; open > 16 {
		t.Errorf("%d open", open)
	}
	honest.say("DATA", "354")
	honest.send(sample + ".\r\n")
	honest.want("250")
	another := w.dial(t, 99)
	another.say("EHLO relay.example", "250")
	another.report(w.address(uuid.New()), sample, "250")
}

// An address that guesses is refused for a while, and others are not.
func TestGuessing(t *testing.T) {
	w := start(t, nil)
	p := w.dial(t, 0)
	p.say("EHLO spam.example", "250")
	p.say("MAIL FROM:<>", "250")
	for range maxUnknown {
		p.say("RCPT TO:<kari@retur.example>", "550")
	}
	p.closed()
	refused := func() bool {
		p := w.connect(t, 0)
		defer p.Close()
		return strings.HasPrefix(p.reply(), "421")
	}
	eventually.True(t, "the refusal", refused)
	other := w.dial(t, 1)
	other.say("EHLO relay.example", "250")
	other.report(w.address(uuid.New()), sample, "250")
}

// A peer with valid tokens is bounded by the rate of mails alone.
func TestRateOfMails(t *testing.T) {
	w := start(t, func(c *Config) { c.Limits.RatePerAddress = 2 })
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	limited := false
	for range 20 {
		p.say("MAIL FROM:<>", "250")
		p.send("RCPT TO:<" + w.address(uuid.New()) + ">\r\n")
		limited = strings.HasPrefix(p.reply(), "451") || limited
		p.say("RSET", "250")
	}
	if !limited {
		t.Error("no limit")
	}
	for range 2 * uselessAtOnce { // many connections, each with a recipient
		p := w.dial(t, 1)
		p.say("HELO relay.example", "250")
		p.say("MAIL FROM:<>", "250")
		p.send("RCPT TO:<" + w.address(uuid.New()) + ">\r\n")
		p.reply()
		p.Close()
		if t.Failed() {
			return
		}
	}
}

func TestPeersAreBounded(t *testing.T) {
	p := newPeers(1)
	for i := range 3 * maxPeers {
		c := &net.TCPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i))}
		p.useless(addressOf(c))
	}
	if len(p.all) > maxPeers {
		t.Errorf("%d addresses", len(p.all))
	}
}

// A handler that fails in its own way changes nothing for the next mail.
func TestChunksAndReset(t *testing.T) {
	w := start(t, nil)
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	p.send("BDAT 5\r\nSubje")
	p.want("250")
	p.send("RSET\r\nMAIL FROM:<>\r\nBDAT 0 LAST\r\n")
	p.want("250")
	p.want("421")
	p.closed()
	p = w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(sample), sample))
	p.want("250")
	w.setFail(errors.New("away"))
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(sample), sample))
	p.want("451")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	p.send("BDAT 2000000 LAST\r\n" + strings.Repeat("12345678\r\n", 200000))
	p.want("552")
	p.say("NOOP", "250")
	if got := w.stored(); len(got) != 1 || string(got[0].Data) != sample {
		t.Errorf("got %d", len(got))
	}
}
