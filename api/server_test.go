package api

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/clientcert"
	"straks/internal/connlimit"
	"straks/internal/eventually"
)

// serve serves h with these limits until the test ends, over TLS where t is given, and
// returns the address.
func serve(t testing.TB, h http.Handler, l Limits, conf *tls.Config, log *slog.Logger) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	whole, ok := h.(*Handler)
	if !ok {
		whole = &Handler{Handler: h, api: &api{closing: make(chan struct{})}}
	}
	connections := connectionsOf(t, l)
	server := Server(whole, l, connections, log)
	var certs *clientcert.Verifier
	if callers, ok := whole.api.auth.(*Callers); ok {
		certs = callers.certs
	}
	go server.Serve(Listener(ln, connections, conf, certs))
	t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

// connectionsOf returns the bounds on connections, without log and metrics.
func connectionsOf(t testing.TB, l Limits) *connlimit.Limiter {
	t.Helper()
	c, err := NewConnections(l, slogDiscard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A request's header may be as long as the limit says, and no longer.
func TestHeaderLimit(t *testing.T) {
	w := start(t)
	const limit = 8 << 10
	addr := serve(t, w.api, Limits{HeaderBytes: limit}, nil, slogDiscard())
	for size, want := range map[int]string{limit: "HTTP/1.1 200", limit + 1: "HTTP/1.1 431"} {
		conn := dial(t, addr)
		const head = "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: "
		io.WriteString(conn, head+strings.Repeat("x", size-len(head)-4)+"\r\n\r\n")
		if got, _ := io.ReadAll(conn); !strings.HasPrefix(string(got), want) {
			t.Errorf("%d octets: %.60q, want %q", size, got, want)
		}
	}
}

// Time-outs end what a client leaves open.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPipedWithin(t, Limits{
			ReadHeader: 50 * time.Millisecond, Read: 100 * time.Millisecond, Idle: 50 * time.Millisecond, HeaderBytes: 1000, Connections: 100,
		}, 1, 0)

		head := "POST " + smsPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ttdToken +
			"\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
		for _, c := range []struct{ name, sends, want string }{
			{"no request", "", ""},
			{"half a header", "GET / HTTP/1.1\r\nHost:", ""},
			{"half a body", head + smsBody[:10], "HTTP/1.1 408"},
			{"idle", "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
			{"large header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 10000) + "\r\n\r\n", "HTTP/1.1 431"},
			{"garbage", "\x16\x03\x01\r\n\r\n", "HTTP/1.1 400"},
		} {
			conn := p.dial()
			io.WriteString(conn, c.sends)
			got, err := io.ReadAll(conn) // ends when the server hangs up
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() || !strings.HasPrefix(string(got), c.want) {
				t.Errorf("%s: %.60q, %v; want %q", c.name, got, err, c.want)
			}
			conn.Close()
		}
	})
}

// A client that reads nothing of its answer has the connection for no longer than the limit.
func TestDeafClient(t *testing.T) {
	ended := make(chan struct{})
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 1<<20))
		}
		close(ended)
	}), Limits{Write: 50 * time.Millisecond}, nil, slogDiscard())
	io.WriteString(dial(t, addr), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-ended
}

// Several requests on one connection, one of them refused without its body
// being read, do not mix.
func TestKeepAlive(t *testing.T) {
	w := start(t)
	conn := dial(t, w.server.Listener.Addr().String())
	r := bufio.NewReader(conn)
	for i, token := range []string{"bad", ttdToken, "bad", ttdToken} {
		body := strings.Replace(smsBody, `"k"`, fmt.Sprintf(`"%d"`, i), 1)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			smsPath, token, len(body), body)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if want := map[bool]int{true: 201, false: 401}[token == ttdToken]; resp.StatusCode != want {
			t.Errorf("request %d: %d; want %d", i, resp.StatusCode, want)
		}
	}
}

// A panic outside of the handlers costs its connection, and its stack is logged.
func TestPanicOnAConnection(t *testing.T) {
	w := start(t)
	here, there := net.Pipe()
	ln := &pipeListener{conns: make(chan net.Conn, 1)}
	ln.conns <- &panickyConn{there}
	connections := connectionsOf(t, Limits{})
	server := Server(w.api, Limits{}, connections, slog.New(slog.NewJSONHandler(w.log, nil)))
	go server.Serve(Listener(ln, connections, nil, nil))
	t.Cleanup(func() { server.Close() })
	go io.WriteString(here, post("", smsBody))
	if n, err := io.Copy(io.Discard, here); n > 0 || err != nil {
		t.Errorf("answered with %d octets, %v", n, err)
	}
	eventually.True(t, "the panic in the log", func() bool { return strings.Contains(w.log.String(), `"level":"ERROR","msg":"panic","stack":`) })
	if log := w.log.String(); !strings.Contains(log, "panickyConn") || strings.Contains(log, "Koden") {
		t.Errorf("the log:\n%s", log)
	}
}

// panickyConn panics about what it reads.
type panickyConn struct{ net.Conn }

func (c *panickyConn) Read(b []byte) (int, error) {
	n, _ := c.Conn.Read(b)
	panic("read " + string(b[:n]))
}
