package inbound

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"straks/internal/connlimit"
)

// Octets that a connection may send, beside those of its mails: commands, TLS, and the rest of mails that are too large.
const (
	commandOctets = 256 << 10
	excessOctets  = 8 << 20
)

// maxUnknown bounds the recipients without a mailbox on one connection.
const maxUnknown = 10

// conn is one connection, below TLS. go-smtp sets a deadline for each command; conn keeps these within those of the
// mail and of the connection.
type conn struct {
	net.Conn
	server  *Server
	lmtp    bool
	address netip.Prefix // of the peer; invalid on a unix socket
	until   time.Time    // the connection ends

	mu        sync.Mutex
	bodyUntil time.Time // the mail that is being received ends; zero: there is none
	asked     time.Time // the deadline that go-smtp set last
	left      int       // octets that may be read
	unknown   int       // recipients without a mailbox
	welcome   bool      // it has named a recipient of ours
	draining  bool
	stopped   bool // nothing more is read
	ended     bool // the peer has closed its half, or reading has failed
	probing   bool // Read returns at once
}

func newConn(nc net.Conn, s *Server, lmtp bool) *conn {
	c := &conn{Conn: nc, server: s, lmtp: lmtp, address: connlimit.Address(nc.RemoteAddr()), until: time.Now().Add(s.limits.Lifetime), left: commandOctets}
	c.asked = time.Now().Add(s.limits.Command)
	c.mu.Lock()
	c.apply()
	c.mu.Unlock()
	return c
}

// SetReadDeadline implements net.Conn. The deadlines of the mail and of the connection go before it.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = t
	return c.apply()
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// apply sets the deadline that counts. Under mu.
func (c *conn) apply() error {
	t := c.until
	if !c.bodyUntil.IsZero() {
		t = earlier(t, c.bodyUntil)
	} else {
		t = earlier(t, c.asked)
		if c.draining {
			t = time.Unix(1, 0) // nothing is awaited any more
		}
	}
	return c.Conn.SetReadDeadline(t)
}

func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Read reads within the octets that are left.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	left, stopped, probing := c.left, c.stopped, c.probing
	c.mu.Unlock()
	switch {
	case probing:
		return 0, os.ErrDeadlineExceeded
	case stopped || left <= 0:
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p[:min(len(p), left)])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left -= n
	c.ended = c.ended || err != nil
	return n, err
}

// Close closes the connection, and forgets it.
func (c *conn) Close() error {
	c.server.forget(c)
	return c.Conn.Close()
}

// expectBody gives the peer the octets of one mail. go-smtp reads a chunk of BDAT that is too large without asking Data.
func (c *conn) expectBody() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = commandOctets + excessOctets + c.server.limits.MailOctets
}

// beginBody gives the peer the time of one mail.
func (c *conn) beginBody() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodyUntil = time.Now().Add(c.server.limits.Body)
	c.apply()
}

// endBody ends the time of the mail. Of a mail that was not read whole, go-smtp reads the rest before the next command,
// within the same time and octets.
func (c *conn) endBody(whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if whole {
		c.left = commandOctets
	} else {
		c.asked = c.bodyUntil
	}
	c.bodyUntil = time.Time{}
	c.apply()
}

// stop makes the next read find the end of the connection. What was written before arrives.
func (c *conn) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
}

// end ends the connection at once, or as soon as it has no mail under way.
func (c *conn) end(e ending) {
	switch e {
	case draining:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.draining = true
		c.apply()
	case closed:
		c.Close()
	}
}

// protect keeps the connection from being closed for another.
func (c *conn) protect(keep bool) { c.server.limiter(c.lmtp).Keep(c.Conn, keep) }
