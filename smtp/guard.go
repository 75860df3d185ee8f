package smtp

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// maxReply bounds one reply of a relay, in octets. The longest sensible one, to
// EHLO, has under 2,000.
const maxReply = 32 << 10

var errReplyTooLong = errors.New("reply is longer than 32 KiB")

// guard is the connection as go-smtp sees it. It bounds each reply, which
// go-smtp does not, and holds deadlines that go-smtp can't take off again, as
// it does while a body is written.
type guard struct {
	net.Conn          // what is spoken over: raw, or the TLS on it
	raw      net.Conn // the TCP connection
	replay   []byte   // read before anything from the network
	left     int      // octets that the reply may still have; each write begins a new reply
	broken   bool     // a write was not taken whole: its last octet surely did not leave

	reading atomic.Bool // since the last write, what the peer says is read
}

func newGuard(raw net.Conn) *guard { return &guard{Conn: raw, raw: raw, left: maxReply} }

// until makes everything fail that has not happened by t.
func (g *guard) until(t time.Time) { g.raw.SetDeadline(t) }

// SetDeadline, SetReadDeadline and SetWriteDeadline ignore go-smtp: until rules.
func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

func (g *guard) Read(p []byte) (int, error) {
	if len(g.replay) > 0 {
		n := copy(p, g.replay)
		g.replay = g.replay[n:]
		return n, nil
	}
	if g.left <= 0 {
		return 0, errReplyTooLong
	}
	g.reading.Store(true)
	n, err := g.Conn.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

func (g *guard) Write(p []byte) (int, error) {
	g.left = maxReply
	g.reading.Store(false)
	n, err := g.Conn.Write(p)
	if n < len(p) {
		g.broken = true
	}
	return n, err
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
