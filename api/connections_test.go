package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"straks/internal/connlimit"
	"straks/internal/eventually"
)

// crowded is a world whose API is served with few connections, plain and over TLS.
type crowded struct {
	*world
	addr        string
	connections *connlimit.Limiter
	trusted     *x509.CertPool // nil: the connections are plain
	server      *http.Server
	state       atomic.Pointer[func(net.Conn, http.ConnState)] // called before the server's own
}

func crowd(t *testing.T, l Limits, overTLS bool) *crowded {
	t.Helper()
	c := &crowded{world: start(t)}
	var conf *tls.Config
	if overTLS {
		lender := httptest.NewTLSServer(nil)
		lender.Close()
		c.trusted = x509.NewCertPool()
		c.trusted.AddCert(lender.Certificate())
		conf = &tls.Config{Certificates: lender.TLS.Certificates}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.addr = ln.Addr().String()
	if c.connections, err = NewConnections(l, slog.New(slog.NewJSONHandler(c.log, nil)), c.registry); err != nil {
		t.Fatal(err)
	}
	c.server = Server(c.api, l, c.connections, slogDiscard())
	state := c.server.ConnState
	c.server.ConnState = func(nc net.Conn, s http.ConnState) {
		if first := c.state.Load(); first != nil {
			(*first)(nc, s)
		}
		state(nc, s)
	}
	go c.server.Serve(Listener(ln, c.connections, conf, nil))
	t.Cleanup(func() { c.server.Close() })
	return c
}

// closedFor returns how many idle connections were closed for a reason, and how many
// new ones were refused for any.
func (c *crowded) closedFor(reason string) (closed, refused int) {
	s := c.connections.Stats()
	for _, n := range s.Refused {
		refused += n
	}
	return s.Closed[reason], refused
}

// from connects from an address of loopback.
func (c *crowded) from(ip string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := dialer.Dial("tcp", c.addr)
	if errors.Is(err, syscall.EADDRNOTAVAIL) && ip != "127.0.0.1" {
		c.t.Skipf("this machine has no %s", ip)
	}
	if err == nil {
		c.t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(10 * time.Minute))
	}
	return conn, err
}

// caller is a client with connections of its own.
type caller struct {
	c     *crowded
	http  *http.Client
	dials atomic.Int32
}

// client returns a client at 127.0.0.1.
func (c *crowded) client(http2 bool) *caller {
	cl := &caller{c: c, http: &http.Client{Timeout: 10 * time.Minute}}
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
		cl.dials.Add(1)
		return c.from("127.0.0.1")
	}}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	if c.trusted != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: c.trusted, ServerName: "example.com"}
	}
	c.t.Cleanup(transport.CloseIdleConnections)
	cl.http.Transport = transport
	return cl
}

// order places an order once, and returns the status of the answer.
func (cl *caller) order(key string) (int, error) {
	scheme := "http://"
	if cl.c.trusted != nil {
		scheme = "https://"
	}
	r, err := http.NewRequest("POST", scheme+cl.c.addr+smsPath, strings.NewReader(smsOf(key)))
	if err != nil {
		return 0, err
	}
	as(ttdToken)(r)
	header("Content-Type", "application/json")(r)
	resp, err := cl.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// placed checks that an order is placed at the first attempt.
func (cl *caller) placed(key string) {
	cl.c.t.Helper()
	if status, err := cl.order(key); status != http.StatusCreated {
		cl.c.t.Errorf("order %s: %d, %v", key, status, err)
	}
}

// attacks are what a client without a token does to a new connection before it falls silent.
var attacks = []struct {
	name    string
	overTLS bool
	begin   func(*crowded, net.Conn)
}{
	{"silence", false, func(*crowded, net.Conn) {}},
	{"half a header", false, sends("GET /openapi.yaml HTTP/1.1\r\nHost:")},
	{"a request without a token", false, answered("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
	{"a request with a bad token", false, answered("GET " + DefaultBasePath + "/future/shipment/feed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer no\r\n\r\n")},
	{"a body that does not come", false, sends("POST " + smsPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")},
	{"a body for a wrong method", false, sends("PUT " + smsPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")},
	{"answers that are not read", false, sends(strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 1000))},
	{"half a handshake", true, sends("\x16\x03\x01\x02\x00\x01\x00")},
	{"a handshake, then silence", true, handshake("http/1.1", nil)},
	{"HTTP/2 without its preface", true, handshake("h2", nil)},
	{"HTTP/2 without a stream", true, handshake("h2", func(c net.Conn) {
		io.WriteString(c, http2.ClientPreface)
		http2.NewFramer(c, c).WriteSettings()
	})},
	{"HTTP/2 with streams that do not end", true, handshake("h2", streams("POST", smsPath, false))},
	{"HTTP/2 with answers that are not read", true, handshake("h2", streams("GET", "/openapi.yaml", true))},
}

func sends(text string) func(*crowded, net.Conn) {
	return func(_ *crowded, conn net.Conn) {
		conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) // it reads nothing, so it may not get rid of it all
		io.WriteString(conn, text)
	}
}

func answered(text string) func(*crowded, net.Conn) {
	return func(_ *crowded, conn net.Conn) {
		io.WriteString(conn, text)
		conn.Read(make([]byte, 1))
	}
}

func handshake(proto string, then func(net.Conn)) func(*crowded, net.Conn) {
	return func(c *crowded, conn net.Conn) {
		secure := tls.Client(conn, &tls.Config{RootCAs: c.trusted, ServerName: "example.com", NextProtos: []string{proto}})
		if secure.Handshake() == nil && then != nil {
			then(secure)
		}
	}
}

// streams opens streams whose answers have no room.
func streams(method, path string, end bool) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, http2.ClientPreface)
		framer := http2.NewFramer(conn, conn)
		framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block) // without a dynamic table: each block is whole
		encoder.SetMaxDynamicTableSize(0)
		for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", "x"}, {":path", path}} {
			encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		for i := range uint32(3) {
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
		}
	}
}

// Whatever clients without a token do to four times as many connections as there may be, they keep
// nobody out, and the connections of others stay open.
func TestSilentCrowd(t *testing.T) {
	const limit = 8
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			c := crowd(t, Limits{Connections: limit, ReadHeader: time.Hour, Read: time.Hour, Write: time.Hour, Idle: time.Hour}, a.overTLS)
			early := c.client(a.overTLS)
			early.placed("early")
			var held []net.Conn // open until the end
			flood := func() {
				for i := range 4 * limit {
					conn, err := c.from(fmt.Sprintf("127.0.0.%d", 2+i))
					if err != nil {
						t.Fatal(err)
					}
					a.begin(c, conn)
					held = append(held, conn)
				}
			}
			flood()
			late := c.client(a.overTLS)
			late.placed("late")
			flood()
			late.placed("late again")
			early.placed("early again")
			if early.dials.Load()+late.dials.Load() != 2 {
				t.Errorf("%d and %d connections, want one each", early.dials.Load(), late.dials.Load())
			}
			if closed, refused := c.closedFor("limit"); closed < len(held)/2 || refused > 0 {
				t.Errorf("of %d connections, %d were closed, %d refused", len(held), closed, refused)
			}
			if n := strings.Count(c.log.String(), "idle connection closed"); n != 1 {
				t.Errorf("%d lines are logged, want one a minute", n)
			}
		})
	}
}

// The default numbers of connections, from a thousand addresses, with one request each. None ends for its time.
func TestSilentCrowdInFull(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < 9000 || testing.Short() {
		t.Skipf("needs 9000 file descriptors, has %d", files.Cur) // Go has raised the soft limit to the hard one
	}
	c := crowd(t, Limits{ReadHeader: time.Hour, Read: time.Hour, Write: time.Hour, Idle: time.Hour}, false)
	early := c.client(false)
	early.placed("early")
	const clients = 4200
	for i := range clients {
		conn, err := c.from(fmt.Sprintf("127.0.%d.%d", 1+i%4, 1+i/4%250))
		if err != nil {
			t.Fatal(err)
		}
		answered("GET / HTTP/1.1\r\nHost: x\r\n\r\n")(c, conn)
	}
	c.client(false).placed("late")
	early.placed("early again")
	if closed, refused := c.closedFor("limit"); closed != clients+2-4096 || refused > 0 || early.dials.Load() != 1 {
		t.Errorf("%d closed, %d refused, %d connections of one client", closed, refused, early.dials.Load())
	}
}

// While one address opens connections as fast as it can, clients at another address, each order
// on a new connection, notice nothing.
func TestOneAddress(t *testing.T) {
	c := crowd(t, Limits{Connections: 16, PerAddress: 4, PerAuthorizedAddress: 8}, false)
	var stop atomic.Bool
	var wg sync.WaitGroup
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 4 {
		wg.Go(func() {
			for held := []net.Conn(nil); !stop.Load(); {
				conn, err := dialer.Dial("tcp", c.addr)
				if err != nil {
					continue
				}
				if held = append(held, conn); len(held) > 100 {
					held[0].Close()
					held = held[1:]
				}
			}
		})
	}
	for i := range 30 {
		client := c.client(false)
		client.placed(fmt.Sprint(i))
		client.http.CloseIdleConnections()
	}
	eventually.True(t, "connections to be closed", func() bool { closed, _ := c.closedFor("address"); return closed > 100 })
	stop.Store(true)
	wg.Wait()
	if closed, refused := c.closedFor("limit"); closed > 0 || refused > 0 {
		t.Errorf("%d closed because there are too many in all, %d refused", closed, refused)
	}
}

// More clients than connections, all with good tokens: an order whose connection was closed, or
// refused, was not placed, so that its repeat is the first. No order is lost or sent twice.
func TestMoreClientsThanConnections(t *testing.T) {
	for name, overTLS := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			const clients, each = 8, 10
			c := crowd(t, Limits{Connections: 4}, overTLS)
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() {
					client := c.client(overTLS)
					for j := range each {
						key := fmt.Sprintf("%d-%d", i, j)
						status, err := client.order(key)
						broken := err != nil
						for err != nil {
							status, err = client.order(key)
						}
						// Over HTTP/2 a connection may be closed when only the end of its last answer has not left yet.
						if status != http.StatusCreated && !(overTLS && broken && status == http.StatusOK) {
							t.Errorf("order %s: %d", key, status)
						}
					}
				})
			}
			wg.Wait()
			if n := len(c.sms.Sent()); n != clients*each {
				t.Errorf("%d messages, want %d", n, clients*each)
			}
			if closed, refused := c.closedFor("limit"); closed+refused == 0 {
				t.Error("no connection was closed")
			}
		})
	}
}

// A connection that is closed for another when the header of its request was read, and its token
// was not: the order is not placed, and its repeat is.
func TestClosedBeforeTheToken(t *testing.T) {
	for name, over := range map[string]struct {
		tls   bool
		after int // states in which something was read
	}{"HTTP/1.1": {false, 1}, "HTTP/2": {true, 2}} { // the first is the preface
		t.Run(name, func(t *testing.T) {
			c := crowd(t, Limits{Connections: 1}, over.tls)
			active := 0
			victim := func(_ net.Conn, s http.ConnState) {
				if s != http.StateActive {
					return
				}
				if active++; active != over.after {
					return
				}
				if _, err := c.from("127.0.0.1"); err != nil {
					t.Error(err)
				}
				for closed := 0; closed == 0; time.Sleep(time.Millisecond) {
					closed, _ = c.closedFor("limit")
				}
			}
			c.state.Store(&victim)
			client := c.client(over.tls)
			if status, err := client.order("k"); err == nil {
				t.Errorf("answered %d on a closed connection", status)
			}
			c.state.Store(nil)
			if n := len(c.sms.Sent()); n > 0 {
				t.Errorf("%d messages were sent", n)
			}
			client.placed("k")
		})
	}
}

// The limits and the counts are metrics.
func TestConnectionMetrics(t *testing.T) {
	c := crowd(t, Limits{Connections: 2}, false)
	for i := range 3 {
		c.client(false).placed(fmt.Sprint(i))
	}
	if n := series(t, c.world, "straks_http_connections_limit")[0].GetGauge().GetValue(); n != 2 {
		t.Errorf("limit %v", n)
	}
	if n := series(t, c.world, "straks_http_connections_open")[0].GetGauge().GetValue(); n != 2 {
		t.Errorf("open %v", n)
	}
	for _, m := range series(t, c.world, "straks_http_connections_closed_total") {
		want := map[string]float64{"limit": 1}[m.GetLabel()[0].GetValue()]
		if n := m.GetCounter().GetValue(); n != want {
			t.Errorf("closed for %s: %v, want %v", m.GetLabel()[0].GetValue(), n, want)
		}
	}
}
