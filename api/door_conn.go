package api

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Listener returns ln with the door, and with the limit on connections: beyond
// it, new ones wait in the backlog until another has ended. Where ln is one for TLS, the log
// tells of handshakes that fail. For servers that Server made.
func (h *Handler) Listener(ln net.Listener, l Limits) net.Listener {
	return &doorListener{l.listener(&handshakes{ln, h.denials}), h.door, l.withDefaults()}
}

type doorListener struct {
	net.Listener
	door   *door
	limits Limits
}

func (l *doorListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	d := &doorConn{Conn: c, door: l.door, limits: l.limits, made: time.Now()}
	d.idle.Store(true)
	return d, nil
}

// doorConn is a client's connection. Only one goroutine reads at a time:
// net/http's own, or while a request is under way the one with which it
// waits for the client to hang up.
type doorConn struct {
	net.Conn
	door   *door
	limits Limits
	idle   atomic.Bool // what comes next is the first octet of a request

	// The place for a request that was let in, until its call takes it over. Were it only
	// looked at here whether there is one, all that come at once would be let in, and turned away
	// behind net/http, when the last of them has long waited for the others.
	place atomic.Pointer[room]

	// Of the reading goroutine.
	whole  int           // octets that net/http asks for when it has none left
	begun  bool          // a deadline was set for the next request's first octets
	extend time.Time     // from when on being turned away extends the deadlines anew
	early  []byte        // an octet of the next request, which came too soon for net/http
	made   time.Time     // zero when net/http has begun with the first request
	away   time.Duration // for how long requests were turned away before that
}

// doorState tells a connection of what net/http does with it.
func doorState(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*doorConn)
	switch {
	case !ok:
	case state == http.StateIdle:
		c.giveBack()
		c.away, c.begun = 0, false
		c.idle.Store(true)
	case state == http.StateClosed:
		c.giveBack()
	case state == http.StateActive: // a head was read, of a request that may have come with the last one
		c.idle.Store(false)
	}
}

type doorKey struct{}

// withDoor lets the calls of a connection find the place that it holds for them.
func withDoor(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, doorKey{}, conn)
}

// doorOf returns the connection of a request; nil where there was no door.
func doorOf(r *http.Request) *doorConn {
	c, _ := r.Context().Value(doorKey{}).(*doorConn)
	return c
}

// takePlace takes a place in the room, if there is one.
func (c *doorConn) takePlace(r *room) bool {
	if !r.enter() {
		return false
	}
	c.place.Store(r)
	return true
}

// holds tells whether there is a place in that room for the request under way.
func (c *doorConn) holds(r *room) bool { return c != nil && c.place.Load() == r }

// handOver leaves that place to the caller, which gives it back; false where there is none.
func (c *doorConn) handOver(r *room) bool { return c != nil && c.place.CompareAndSwap(r, nil) }

// giveBack gives back a place that no call has taken over.
func (c *doorConn) giveBack() {
	if c == nil {
		return
	}
	if r := c.place.Swap(nil); r != nil {
		r.leave()
	}
}

// Read reads what net/http is to see. It is asked for less than the first time while
// net/http has something left: then what comes is no whole request. An error in answering
// ends the connection, as one in reading does.
func (c *doorConn) Read(b []byte) (int, error) {
	for {
		n, err := c.read(b)
		if n == 0 || !c.idle.Load() {
			return n, err
		}
		c.whole = cmp.Or(c.whole, len(b))
		started := time.Now()
		way, ok := c.door.meets(b[:n])
		if !ok || len(b) < c.whole || err != nil || c.takePlace(way.room) {
			c.pass(started)
			return n, err
		}
		if started.After(c.extend) {
			c.extend = started.Add(c.limits.Idle / 4)
			c.Conn.SetReadDeadline(started.Add(c.limits.Idle))
			c.SetWriteDeadline(started.Add(c.limits.Idle/4 + c.limits.Write))
		}
		way.metrics.observe(http.MethodPost, http.StatusServiceUnavailable, time.Since(started))
		if _, err := c.Conn.Write(c.door.refusal); err != nil {
			return 0, err // half an answer may have left: nothing can follow it
		}
	}
}

// read reads what the client has sent. net/http asks for one octet to learn that the
// client has hung up. If it were given one, the door could not turn that
// request away any more: so it gets none, and looks no longer.
func (c *doorConn) read(b []byte) (int, error) {
	if len(c.early) > 0 {
		early := copy(b, c.early)
		c.early = nil
		n, err := c.Conn.Read(b[early:])
		return early + n, err
	}
	n, err := c.Conn.Read(b)
	if n == 1 && len(b) == 1 {
		c.early = []byte{b[0]}
		return 0, err
	}
	return n, err
}

// pass leaves a request to net/http, which sets deadlines of its own. Those for a connection's
// first request it counts from the making of the connection.
func (c *doorConn) pass(now time.Time) {
	c.idle.Store(false)
	if !c.made.IsZero() && !c.extend.IsZero() {
		c.away = now.Sub(c.made)
		c.Conn.SetReadDeadline(now.Add(c.limits.ReadHeader))
	}
	c.made, c.extend = time.Time{}, time.Time{}
}

// SetReadDeadline sets net/http's deadlines. What was turned away does not count. While no
// request is under way nobody else bounds writes, and TLS writes within reads: net/http knows that
// of a *tls.Conn only. A second deadline before anything was read tells that net/http had the
// request's first octets already: what comes next is some of its rest.
func (c *doorConn) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		t = t.Add(c.away)
	}
	if c.idle.Load() {
		c.Conn.SetWriteDeadline(t)
		if c.begun {
			c.idle.Store(false)
		}
		c.begun = true
	}
	return c.Conn.SetReadDeadline(t)
}
