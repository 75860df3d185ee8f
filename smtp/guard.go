package smtp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// maxReply bounds one reply of a relay, in octets. The longest sensible one, to
// EHLO, has under 2,000.
const maxReply = 32 << 10

var (
	errReplyTooLong = errors.New("reply is longer than 32 KiB")
	errUnasked      = errors.New("the relay said more than it was asked for")
)

// guard is the connection as go-smtp sees it. It bounds each reply, which
// go-smtp does not, and holds deadlines that go-smtp can't take off again, as
// it does while a body is written. And it keeps replies in step with commands: what
// came in one piece with a reply, beyond it, is never taken for the answer to the next command.
type guard struct {
	net.Conn           // what is spoken over: raw, or the TLS on it
	raw      net.Conn  // the TCP connection
	deadline time.Time // of until
	buf      [4 << 10]byte
	ahead    []byte // came, and is not read yet
	column   int    // octets of its line that were read
	told     []byte // the reply to the next write, which is not made: it was, and answered
	left     int    // octets that the reply may still have; each write begins a new reply
	broken   bool   // a write was not taken whole: its last octet surely did not leave

	reading atomic.Bool // since the last write, what the peer says is read
}

func newGuard(raw net.Conn) *guard { return &guard{Conn: raw, raw: raw, left: maxReply} }

// until makes everything fail that has not happened by t.
func (g *guard) until(t time.Time) {
	g.deadline = t
	g.raw.SetDeadline(t)
}

// SetDeadline, SetReadDeadline and SetWriteDeadline ignore go-smtp: until rules.
func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// Read hands out one line at most. So no reader above has anything left when a reply
// has ended: what came beyond it is here. A code that stands alone gets the blank without
// which textproto takes it for no reply; we should bear with it (RFC 5321 §4.2).
func (g *guard) Read(p []byte) (int, error) {
	if len(g.ahead) == 0 {
		if err := g.fill(); err != nil {
			return 0, err
		}
	}
	line := g.ahead
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end+1]
	}
	switch code := 3 - g.column; {
	case code > 0:
		line = line[:min(code, len(line))]
	case code == 0 && bytes.IndexAny(line, "\r\n") == 0:
		g.column++
		return copy(p, " "), nil
	}
	n := copy(p, line)
	g.ahead = g.ahead[n:]
	g.column += n
	if n > 0 && line[n-1] == '\n' {
		g.column = 0
	}
	return n, nil
}

// fill waits for more of the reply.
func (g *guard) fill() error {
	if g.left <= 0 {
		return errReplyTooLong
	}
	g.reading.Store(true)
	n, err := g.Conn.Read(g.buf[:min(len(g.buf), g.left)])
	if n == 0 {
		return err
	}
	g.left -= n
	g.ahead = g.buf[:n] // an error comes again
	return nil
}

// Write asks nothing of a peer that has answered already: the answer would be
// taken for another's.
func (g *guard) Write(p []byte) (int, error) {
	if err := g.unasked(); err != nil {
		g.broken = true
		return 0, err
	}
	if g.told != nil {
		g.ahead, g.told = g.told, nil
		return len(p), nil
	}
	g.left = maxReply
	g.reading.Store(false)
	n, err := g.Conn.Write(p)
	if n < len(p) {
		g.broken = true
	}
	return n, err
}

// unasked returns a *Failure if something beyond the last reply was read from the socket.
func (g *guard) unasked() error {
	if len(g.ahead) == 0 && g.encrypted() {
		// TLS may have read the next record, too. A read that has no time left does not
		// touch the socket, and may be repeated.
		g.raw.SetReadDeadline(time.Unix(1, 0))
		n, err := g.Conn.Read(g.buf[:])
		g.raw.SetReadDeadline(g.deadline)
		g.ahead = g.buf[:n]
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return &Failure{ReasonLost, err}
		}
	}
	if len(g.ahead) > 0 {
		return &Failure{ReasonProtocol, errUnasked}
	}
	return nil
}

// awaits tells, from any goroutine, whether all was written and an answer is awaited.
func (g *guard) awaits() bool { return g.reading.Load() }

// Close closes the socket at once, without the wait that TLS's farewell may
// cost at a frozen peer.
func (g *guard) Close() error { return g.raw.Close() }

// encrypt puts TLS on the connection. The deadline of until holds for the handshake.
func (g *guard) encrypt(config *tls.Config) error {
	conn := tls.Client(g.raw, config)
	if err := conn.Handshake(); err != nil {
		return err
	}
	g.Conn = conn
	return nil
}

// encrypted tells whether TLS is on.
func (g *guard) encrypted() bool { return g.Conn != g.raw }

// silent tells whether the peer has neither closed the connection nor said anything
// unasked since the last reply; it is asked of idle connections and costs one
// system call. Relays say 421 and close when they tire of an idle client.
func (g *guard) silent() bool {
	if g.unasked() != nil {
		return false
	}
	sc, ok := g.raw.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var peekErr error
	err = rc.Control(func(fd uintptr) {
		_, _, peekErr = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && (peekErr == syscall.EAGAIN || peekErr == syscall.EWOULDBLOCK)
}
