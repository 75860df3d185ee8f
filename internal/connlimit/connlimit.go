package connlimit

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"

	"straks/internal/ratelog"
)

// Limits are the bounds of one server.
type Limits struct {
	Open              int // connections at a time; 1 at least
	Address           int // of those, from one address; 0: no bound
	AuthorizedAddress int // from one address while a connection of it has shown a good token; 0: no bound

	// NoTokens: no handler calls Authorized. Every connection with a request under way is kept.
	NoTokens bool
}

// Reasons for which connections are closed or refused: labels of metrics and words of the log.
const (
	byLimit       = "limit"       // Limits.Open
	byAddress     = "address"     // Limits.Address or AuthorizedAddress
	byDescriptors = "descriptors" // the process has no file descriptor left (EMFILE)
)

// Limiter bounds the connections of one server. It is safe for concurrent use, and owns no
// goroutine.
type Limiter struct {
	limits Limits
	log    *ratelog.Log

	mu      sync.Mutex
	open    int
	idle    queues
	peers   map[netip.Prefix]*peer // with open connections
	closed  map[string]int         // idle connections, by reason
	refused map[string]int         // new connections, by reason
}

// New returns a limiter. Of the connections that it closes or refuses it logs one line a
// minute for each reason.
func New(limits Limits, log *slog.Logger) *Limiter {
	return &Limiter{
		limits: limits, log: ratelog.New(log, 1), peers: make(map[netip.Prefix]*peer),
		closed:  map[string]int{byLimit: 0, byAddress: 0, byDescriptors: 0},
		refused: map[string]int{byLimit: 0, byAddress: 0},
	}
}

// Attach makes the server report the states of its connections. Its ConnState and
// ConnContext must not be in use.
func (l *Limiter) Attach(srv *http.Server) {
	srv.ConnState = l.state
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, contextKey{}, unwrap(nc))
	}
}

// Listener returns ln with the bounds. TLS goes on top of it.
func (l *Limiter) Listener(ln net.Listener) net.Listener { return &listener{ln, l} }

// writeBuffer is how many octets the kernel keeps for a client that does not read (SO_SNDBUF; Linux doubles it for its
// own needs). The kernel alone would let it grow to megabytes for each connection. It bounds the rate of one
// connection too: 64 KiB for each round trip.
const writeBuffer = 64 << 10

type listener struct {
	net.Listener
	limiter *Limiter
}

// Accept returns the next connection within the bounds.
func (ln *listener) Accept() (net.Conn, error) {
	for {
		nc, err := ln.Listener.Accept()
		switch {
		case errors.Is(err, syscall.EMFILE) && ln.limiter.closeOldest():
			continue
		case err != nil:
			return nil, err
		}
		if c := ln.limiter.admit(nc); c != nil {
			if b, ok := nc.(interface{ SetWriteBuffer(int) error }); ok {
				b.SetWriteBuffer(writeBuffer) // without it, the kernel's own bound applies
			}
			return c, nil
		}
		nc.Close()
	}
}

// conn is one connection. Its mutable state belongs to limiter.mu.
type conn struct {
	net.Conn
	limiter   *Limiter
	address   netip.Prefix
	peer      *peer
	class     class
	active    bool // a request is under way, as far as net/http knows
	closed    bool
	among     place // in limiter.idle
	amongPeer place // in peer.idle
}

// NetConn returns the connection beneath, as tls.Conn's method does.
func (c *conn) NetConn() net.Conn { return c.Conn }

// admit returns the connection, after it has made room for it; nil if there is none.
func (l *Limiter) admit(nc net.Conn) *conn {
	c := &conn{Conn: nc, limiter: l, address: Address(nc.RemoteAddr()), class: fresh}
	l.mu.Lock()
	reason, victim := l.shortage(c.address)
	if reason != "" && victim == nil {
		l.refused[reason]++
		open := l.open
		l.mu.Unlock()
		l.report("connection refused", reason, nc, open)
		return nil
	}
	if victim != nil {
		l.take(victim, reason)
	}
	l.add(c)
	open := l.open
	l.mu.Unlock()
	if victim != nil {
		l.report("idle connection closed", reason, victim, open)
		victim.Conn.Close()
	}
	return c
}

// shortage returns the bound that one more connection from the address would exceed, and the
// idle connection that can make room for it. Under mu.
func (l *Limiter) shortage(address netip.Prefix) (reason string, victim *conn) {
	if p := l.peers[address]; p != nil && address.IsValid() {
		if bound := p.bound(l.limits); bound > 0 && p.open >= bound {
			return byAddress, p.idle.oldest(bound / 8)
		}
	}
	if l.open >= l.limits.Open {
		return byLimit, l.idle.oldest(l.limits.Open / 8)
	}
	return "", nil
}

// closeOldest closes an idle connection, because there is no file descriptor left, and reports
// whether there was one.
func (l *Limiter) closeOldest() bool {
	l.mu.Lock()
	victim, open := l.idle.oldest(l.limits.Open/8), l.open
	if victim != nil {
		l.take(victim, byDescriptors)
	}
	l.mu.Unlock()
	if victim == nil {
		return false
	}
	l.report("idle connection closed", byDescriptors, victim, open)
	victim.Conn.Close()
	return true
}

// add counts a new connection. Under mu.
func (l *Limiter) add(c *conn) {
	p := l.peers[c.address]
	if p == nil {
		p = &peer{}
		l.peers[c.address] = p
	}
	c.peer = p
	p.open++
	l.open++
	c.park()
}

// take closes a connection, as far as its counts go. Its caller closes the rest without
// the lock. Under mu.
func (l *Limiter) take(c *conn, reason string) {
	l.closed[reason]++
	l.remove(c)
}

// remove forgets a connection. Under mu.
func (l *Limiter) remove(c *conn) {
	c.closed = true
	c.unpark()
	l.open--
	c.peer.open--
	if c.class == authorized {
		c.peer.authorized--
	}
	if c.peer.open == 0 {
		delete(l.peers, c.address)
	}
}

// report logs that connections run short. remote is the one that is closed.
func (l *Limiter) report(msg, reason string, closed net.Conn, open int) {
	l.log.Write(msg+reason, slog.LevelWarn, msg, slog.String("reason", reason),
		slog.String("remote", closed.RemoteAddr().String()), slog.Int("open", open), slog.Int("limit", l.limits.Open))
}

// state is the server's ConnState.
func (l *Limiter) state(nc net.Conn, s http.ConnState) {
	c := unwrap(nc)
	if c == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.closed {
		return
	}
	switch s {
	case http.StateActive: // the header of a request was read, or the preface of HTTP/2
		c.active = true
		if c.class == authorized || l.limits.NoTokens {
			c.unpark()
		} else {
			c.park()
		}
	case http.StateIdle:
		c.active = false
		c.park()
	}
}

// Keep protects a connection that a server other than net/http's has accepted from being closed for another, or
// ends that. Limits.NoTokens must be set.
func (l *Limiter) Keep(nc net.Conn, keep bool) {
	c := unwrap(nc)
	if c == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.closed:
	case keep:
		c.unpark()
	default:
		c.park()
	}
}

// Read fails once the connection is closed for another: what comes later is not read. The error is
// that of a closed net.TCPConn, since net/http answers others with a 400.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n == 0 {
		return n, err
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	switch {
	case c.closed:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: net.ErrClosed}
	case c.class == authorized && !c.active:
		c.park() // the youngest
	}
	return n, err
}

// Close closes the connection.
func (c *conn) Close() error {
	c.limiter.mu.Lock()
	if !c.closed {
		c.limiter.remove(c)
	}
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite closes the sending half, if the connection has halves: net/http lets a client
// read its last answer like that.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

type contextKey struct{}

// unwrap returns the connection beneath TLS, nil if it is not one of a Limiter.
func unwrap(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

func of(ctx context.Context) *conn {
	c, _ := ctx.Value(contextKey{}).(*conn)
	return c
}

// Authorized protects the connection of the request whose context this is until it is idle
// again: its token is good. If it reports false, the connection is closed already, and the request
// must have no effect.
func Authorized(ctx context.Context) bool {
	c := of(ctx)
	if c == nil {
		return true
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if c.closed {
		return false
	}
	if c.class != authorized {
		c.unpark()
		c.class = authorized
		c.peer.authorized++
	}
	if c.active {
		c.unpark()
	} else { // a stream of HTTP/2 that its client has reset
		c.park()
	}
	return true
}

// Anonymous makes the connection of the request one of those that are closed first, unless it
// has shown a good token before: the request needs none, or has none that is good.
func Anonymous(ctx context.Context) {
	c := of(ctx)
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if c.closed || c.class == authorized || c.limiter.limits.NoTokens {
		return
	}
	c.class = anonymous
	c.park()
}
