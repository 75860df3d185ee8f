package connlimit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/eventually"
	"straks/internal/logtest"
)

// limited is a limited listener on loopback, whose connections the test drives through the
// states of net/http by itself.
type limited struct {
	t       *testing.T
	limiter *Limiter
	ln      net.Listener
	log     *logtest.Log
}

func listen(t *testing.T, l Limits) *limited {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &logtest.Log{}
	limiter := New(l, slog.New(slog.NewJSONHandler(log, nil)))
	d := &limited{t, limiter, limiter.Listener(ln), log}
	t.Cleanup(func() { ln.Close() })
	return d
}

// pair is both ends of a connection.
type pair struct {
	t      *testing.T
	client net.Conn
	server *conn
}

// dial connects from an address, and accepts.
func (d *limited) dial(from string) *pair {
	d.t.Helper()
	client := d.connect(from)
	nc, err := d.ln.Accept()
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { nc.Close() })
	if got, want := nc.RemoteAddr().String(), client.LocalAddr().String(); got != want {
		d.t.Fatalf("accepted %s, want %s", got, want)
	}
	return &pair{d.t, client, nc.(*conn)}
}

func (d *limited) connect(from string) net.Conn {
	d.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client, err := dialer.Dial("tcp", d.ln.Addr().String())
	if err != nil {
		d.t.Fatal(err)
	}
	client.SetDeadline(time.Now().Add(time.Minute))
	d.t.Cleanup(func() { client.Close() })
	return client
}

// refuse connects from an address; the connection must not be accepted, and the listener must go
// on. It closes the listener.
func (d *limited) refuse(from string) {
	d.t.Helper()
	client := d.connect(from)
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, _ := d.ln.Accept()
		accepted <- nc
	}()
	if n, err := client.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		d.t.Errorf("%d octets, %v; want a closed connection", n, err)
	}
	d.ln.Close()
	if nc := <-accepted; nc != nil {
		d.t.Errorf("%s was accepted", nc.RemoteAddr())
	}
}

// request begins a request, with a good token or without.
func (p *pair) request(good bool) *pair {
	p.t.Helper()
	p.server.limiter.state(p.server, http.StateActive)
	ctx := contextOf(p.server)
	if good && !Authorized(ctx) {
		p.t.Error("the connection is closed")
	}
	if !good {
		Anonymous(ctx)
	}
	return p
}

func contextOf(c *conn) context.Context {
	return context.WithValue(context.Background(), contextKey{}, c)
}

// idle ends the request.
func (p *pair) idle() *pair {
	p.server.limiter.state(p.server, http.StateIdle)
	return p
}

// closed reports whether the server has closed the connection.
func (p *pair) closed() bool {
	p.server.limiter.mu.Lock()
	defer p.server.limiter.mu.Unlock()
	return p.server.closed
}

// gone checks which of the connections are closed, at both ends.
func gone(t *testing.T, want string, pairs ...*pair) {
	t.Helper()
	got := ""
	for _, p := range pairs {
		if p.closed() {
			got += "x"
			if n, err := p.client.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client of a closed connection reads %d octets, %v", n, err)
			}
		} else {
			got += "-"
		}
	}
	if got != want {
		t.Errorf("closed %s, want %s", got, want)
	}
}

// Connections make room in this order: after a request without a good token, before any
// request, after one with a good token.
func TestOrder(t *testing.T) {
	d := listen(t, Limits{Open: 6})
	good := d.dial("127.0.0.1").request(true).idle()
	fresh := d.dial("127.0.0.2")
	first, second := d.dial("127.0.0.3").request(false), d.dial("127.0.0.4").request(false).idle()
	busy := d.dial("127.0.0.5").request(true)
	later := d.dial("127.0.0.6")
	for _, want := range []string{"--x---", "--xx--", "-xxx--", "-xxx-x"} {
		d.dial("127.0.0.7").request(true)
		gone(t, want, good, fresh, first, second, busy, later)
	}
	d.dial("127.0.0.7").request(true)
	gone(t, "xxxx-x", good, fresh, first, second, busy, later)
	if s := d.limiter.Stats(); s.Open != 6 || s.Idle != 0 || s.Closed[byLimit] != 5 {
		t.Errorf("%+v", s)
	}
	d.refuse("127.0.0.8")
	if s := d.limiter.Stats(); s.Open != 6 || s.Refused[byLimit] != 1 {
		t.Errorf("%+v", s)
	}
	if n := strings.Count(d.log.String(), "\n"); n != 2 || !strings.Contains(d.log.String(), `"reason":"limit","remote":"127.0.0.8:`) {
		t.Errorf("%d lines are logged, want one of each kind:\n%s", n, d.log)
	}
}

// What a client sends keeps its connection only if it has shown a good token.
func TestOctetsFromClients(t *testing.T) {
	for _, good := range []bool{true, false} {
		d := listen(t, Limits{Open: 2})
		older, younger := d.dial("127.0.0.1"), d.dial("127.0.0.2")
		if good {
			older.request(true).idle()
			younger.request(true).idle()
		}
		io.WriteString(older.client, "POST")
		if _, err := io.ReadFull(older.server, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		d.dial("127.0.0.3")
		gone(t, map[bool]string{true: "-x", false: "x-"}[good], older, younger)
	}
}

// A request that has come, and was not read yet, keeps its connection.
func TestPending(t *testing.T) {
	d := listen(t, Limits{Open: 2})
	older, younger := d.dial("127.0.0.1").request(true).idle(), d.dial("127.0.0.2").request(true).idle()
	io.WriteString(older.client, "POST")
	eventually.True(t, "the octets", func() bool { return pending(older.server.Conn) })
	d.dial("127.0.0.3")
	gone(t, "-x", older, younger)
}

// A few connections on which nothing has come yet are not closed while others are idle: else
// clients that connect at once would close each other's.
func TestNewOnesAreSpared(t *testing.T) {
	d := listen(t, Limits{Open: 16})
	for range 14 {
		d.dial("127.0.0.1").request(true).idle()
	}
	var young []*pair
	for range 3 {
		young = append(young, d.dial("127.0.0.2"))
	}
	gone(t, "---", young...)
	d.dial("127.0.0.2")
	gone(t, "x--", young...)
}

// From a connection that was chosen to be closed, nothing is read, and no request of it has an effect.
func TestTooLate(t *testing.T) {
	d := listen(t, Limits{Open: 1})
	p := d.dial("127.0.0.1").request(true).idle()
	octets := make(chan error)
	go func() {
		_, err := p.server.Read(make([]byte, 1))
		octets <- err
	}()
	d.dial("127.0.0.2")
	if err := <-octets; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	d.limiter.state(p.server, http.StateActive)
	if Authorized(contextOf(p.server)) {
		t.Error("a request on a closed connection may have an effect")
	}
	Anonymous(contextOf(p.server))
	d.limiter.state(p.server, http.StateIdle)
	if s := d.limiter.Stats(); s.Open != 1 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

// Beyond its bound an address makes room itself; one that has shown a good token has a
// larger bound, until its last such connection has ended.
func TestAddressBounds(t *testing.T) {
	d := listen(t, Limits{Open: 100, Address: 2, AuthorizedAddress: 4})
	other := d.dial("127.0.0.9")
	one, two, three := d.dial("127.0.0.1"), d.dial("127.0.0.1"), d.dial("127.0.0.1")
	gone(t, "x--", one, two, three)
	two.request(true)
	four, five := d.dial("127.0.0.1").request(true), d.dial("127.0.0.1").request(true)
	gone(t, "----", two, three, four, five)
	six := d.dial("127.0.0.1").request(true)
	gone(t, "-x---", two, three, four, five, six)
	for _, p := range []*pair{two, four, five} {
		p.server.Close()
	}
	six.server.Close()
	seven, eight, nine := d.dial("127.0.0.1").request(true), d.dial("127.0.0.1"), d.dial("127.0.0.1")
	seven.server.Close()
	ten := d.dial("127.0.0.1")
	gone(t, "x--", eight, nine, ten)
	nine.request(true)
	ten.request(true)
	for range 2 {
		d.dial("127.0.0.1").request(true)
	}
	d.refuse("127.0.0.1")
	gone(t, "-", other)
	if s := d.limiter.Stats(); s.Closed[byAddress] != 3 || s.Refused[byAddress] != 1 || s.Closed[byLimit] != 0 {
		t.Errorf("%+v", s)
	}
}

// Without tokens every connection with a request is kept.
func TestNoTokens(t *testing.T) {
	d := listen(t, Limits{Open: 2, NoTokens: true})
	busy, idle := d.dial("127.0.0.1").request(false), d.dial("127.0.0.1").request(false).idle()
	third := d.dial("127.0.0.1").request(false)
	gone(t, "-x-", busy, idle, third)
	d.refuse("127.0.0.1")
}

// Nothing is kept of connections that have ended, however they ended.
func TestNothingIsKept(t *testing.T) {
	d := listen(t, Limits{Open: 3, Address: 2, AuthorizedAddress: 2})
	var all []*pair
	for _, from := range []string{"127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.3"} {
		all = append(all, d.dial(from).request(len(all)%2 == 0).idle())
	}
	for range 2 {
		for _, p := range all {
			p.server.Close()
		}
	}
	if s := d.limiter.Stats(); s.Open != 0 || s.Idle != 0 || len(d.limiter.peers) != 0 {
		t.Errorf("%+v, %d addresses", s, len(d.limiter.peers))
	}
}

// exhausted is a listener of a process that has no file descriptor left.
type exhausted struct {
	net.Listener
	left int
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.left > 0 {
		e.left--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return e.Listener.Accept()
}

// When file descriptors run out, idle connections are closed, and then net/http is told.
func TestNoDescriptors(t *testing.T) {
	d := listen(t, Limits{Open: 100})
	short := &exhausted{Listener: d.ln.(*listener).Listener}
	d.ln = d.limiter.Listener(short)
	first, second := d.dial("127.0.0.1"), d.dial("127.0.0.1")
	short.left = 1
	third := d.dial("127.0.0.1").request(true)
	gone(t, "x--", first, second, third)
	short.left = 2
	if _, err := d.ln.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("accept: %v", err)
	}
	gone(t, "xx-", first, second, third)
	if s := d.limiter.Stats(); s.Closed[byDescriptors] != 2 {
		t.Errorf("%+v", s)
	}
}

func TestAddressOf(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:80":              "192.0.2.1/32",
		"[::ffff:192.0.2.1]:80":     "192.0.2.1/32",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:80": "2001:db8:1:2::/64",
		"[fe80::1%lo]:80":           "fe80::/64",
		"[::1]:80":                  "::/64",
	} {
		addr, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Address(addr).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if p := Address(&net.UnixAddr{Name: "/run/x"}); p.IsValid() {
		t.Errorf("a unix socket: %s", p)
	}
	if p := Address(&net.TCPAddr{}); p.IsValid() {
		t.Errorf("no address: %s", p)
	}
}

func TestMetrics(t *testing.T) {
	d := listen(t, Limits{Open: 2})
	d.dial("127.0.0.1").request(true)
	d.dial("127.0.0.1")
	d.dial("127.0.0.1")
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(d.limiter.Collector("x"))
	want := `
# HELP x_closed_total Idle connections that were closed for new ones, by the bound that was reached.
# TYPE x_closed_total counter
x_closed_total{reason="address"} 0
x_closed_total{reason="descriptors"} 0
x_closed_total{reason="limit"} 1
# HELP x_idle Open connections that have no request with a good token under way: they are closed when connections run short.
# TYPE x_idle gauge
x_idle 1
# HELP x_limit The largest number of open connections.
# TYPE x_limit gauge
x_limit 2
# HELP x_open Open connections.
# TYPE x_open gauge
x_open 2
# HELP x_refused_total New connections that were closed at once, because no other was idle, by the bound that was reached.
# TYPE x_refused_total counter
x_refused_total{reason="address"} 0
x_refused_total{reason="limit"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
