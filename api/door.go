package api

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// door stands before net/http. While there is no room for orders of a channel,
// it turns away requests that would place one with the very answer that
// api.answer would give, at less than half of the price: in a crowd, what a
// refusal costs decides how much is left for those that are admitted.
//
// It knows one kind of request, the one that programs send: a POST to a path
// of orders, whole in one read of a connection on which nothing else is under
// way. Whatever it does not know for certain it leaves to net/http, untouched.
type door struct {
	paths   map[string]doorway // by the request's target
	refusal []byte
}

// doorway is that of one path.
type doorway struct {
	room    *room
	metrics *routeMetrics
}

func (a *api) newDoor() *door {
	d := &door{paths: make(map[string]doorway), refusal: busy().render()}
	for _, rt := range a.routes() {
		if rt.channel != 0 {
			d.paths[a.base+rt.path] = doorway{a.rooms[rt.channel], a.metrics.route(rt)}
		}
	}
	return d
}

// render returns the whole answer, head and body.
func (p *problem) render() []byte {
	w := rendering{header: make(http.Header)}
	p.write(&w)
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", p.Status, http.StatusText(p.Status))
	w.header.Write(&head)
	return append(append(head.Bytes(), "\r\n"...), w.body...)
}

// rendering is a http.ResponseWriter that keeps what is written.
type rendering struct {
	header http.Header
	body   []byte
}

func (r *rendering) Header() http.Header { return r.header }

func (r *rendering) WriteHeader(int) {}

func (r *rendering) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

// Listener returns ln with the door, and with the limit on connections: beyond
// it, new ones wait in the backlog until another has ended. For servers that
// Server made.
func (h *Handler) Listener(ln net.Listener, l Limits) net.Listener {
	return &doorListener{l.listener(ln), h.door, l.withDefaults()}
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

	// Of the reading goroutine.
	waits  bool          // net/http has set the time limit for that octet
	extend time.Time     // from when on being turned away extends the deadlines anew
	early  []byte        // an octet of the next request, which came too soon for net/http
	made   time.Time     // zero when net/http has begun with the first request
	away   time.Duration // for how long requests were turned away before that
}

// doorState tells a connection of what net/http does with it.
func doorState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*doorConn); ok && state == http.StateIdle {
		c.away, c.waits = 0, false
		c.idle.Store(true)
	}
}

// Read reads what net/http is to see. An error in answering is left for the
// next read to find.
func (c *doorConn) Read(b []byte) (int, error) {
	for {
		n, err := c.read(b)
		if n == 0 || !c.idle.Load() {
			return n, err
		}
		started := time.Now()
		way, ok := c.door.meets(b[:n])
		if !ok || err != nil || !way.room.full() {
			c.pass(started)
			return n, err
		}
		if started.After(c.extend) {
			c.extend = started.Add(c.limits.Idle / 4)
			c.Conn.SetReadDeadline(started.Add(c.limits.Idle))
			c.SetWriteDeadline(started.Add(c.limits.Idle/4 + c.limits.Write))
		}
		way.metrics.observe(http.MethodPost, http.StatusServiceUnavailable, time.Since(started))
		c.Conn.Write(c.door.refusal)
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

// SetReadDeadline sets net/http's deadlines: that for the first octet of a request, and when it
// has that, which may have come with the last request, those for the rest. The time in which
// requests were turned away does not count.
func (c *doorConn) SetReadDeadline(t time.Time) error {
	if c.idle.Load() {
		c.idle.Store(!c.waits)
		c.waits = true
	}
	if !t.IsZero() {
		t = t.Add(c.away)
	}
	return c.Conn.SetReadDeadline(t)
}

// meets returns the doorway of the one request that b is, whole; false where b
// is anything else (RFC 9112 §2.1).
func (d *door) meets(b []byte) (doorway, bool) {
	line, b, _ := bytes.Cut(b, crlf)
	target, ok := bytes.CutPrefix(line, []byte("POST "))
	if !ok {
		return doorway{}, false
	}
	if target, ok = bytes.CutSuffix(target, []byte(" HTTP/1.1")); !ok {
		return doorway{}, false
	}
	way, ok := d.paths[string(target)]
	return way, ok && plain(b)
}

var crlf = []byte("\r\n")

// unusual are the fields of requests that are net/http's business.
var unusual = [][]byte{[]byte("Transfer-Encoding"), []byte("Connection"), []byte("Expect"), []byte("Upgrade"), []byte("Trailer")}

func control(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }

// plain tells that b is the fields of a request and then a body, just as long
// as they say, and that they ask for nothing unusual.
func plain(b []byte) bool {
	length := uint64(math.MaxUint64)
	for {
		line, rest, ok := bytes.Cut(b, crlf)
		if !ok {
			return false
		}
		if b = rest; len(line) == 0 {
			return length == uint64(len(b))
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !httpguts.ValidHeaderFieldName(string(name)) || slices.ContainsFunc(value, control) ||
			slices.ContainsFunc(unusual, func(u []byte) bool { return bytes.EqualFold(u, name) }) {
			return false
		}
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		if length != math.MaxUint64 {
			return false
		}
		var err error
		if length, err = strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 31); err != nil {
			return false
		}
	}
}
