package api

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A request's head may be as long as the limit says, and no longer.
func TestHeaderLimit(t *testing.T) {
	w := start(t)
	const limit = 8 << 10
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(w.server.Config.Handler, Limits{HeaderBytes: limit}, slogDiscard())
	server.Start()
	t.Cleanup(server.Close)
	for size, want := range map[int]string{limit: "HTTP/1.1 200", limit + 1: "HTTP/1.1 431"} {
		conn := dial(t, server.Listener.Addr().String())
		const head = "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: "
		io.WriteString(conn, head+strings.Repeat("x", size-len(head)-4)+"\r\n\r\n")
		if got, _ := io.ReadAll(conn); !strings.HasPrefix(string(got), want) {
			t.Errorf("%d octets: %.60q, want %q", size, got, want)
		}
	}
}

// Time-outs end what a client leaves open.
func TestSlowClients(t *testing.T) {
	w := start(t)
	server := Server(w.server.Config.Handler, Limits{
		ReadHeader: 50 * time.Millisecond, Read: 100 * time.Millisecond, Idle: 50 * time.Millisecond, HeaderBytes: 1000,
	}, slogDiscard())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(w.api.Listener(ln, Limits{Connections: 100}))
	t.Cleanup(func() { server.Close() })

	head := "POST " + DefaultBasePath + "/future/orders/instant/sms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ttdToken +
		"\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
	for _, c := range []struct{ name, sends, want string }{
		{"no request", "", ""},
		{"half a head", "GET / HTTP/1.1\r\nHost:", ""},
		{"half a body", head + smsBody[:10], "HTTP/1.1 408"},
		{"idle", "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		{"large head", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 10000) + "\r\n\r\n", "HTTP/1.1 431"},
		{"garbage", "\x16\x03\x01\r\n\r\n", "HTTP/1.1 400"},
	} {
		conn := dial(t, ln.Addr().String())
		io.WriteString(conn, c.sends)
		got, err := io.ReadAll(conn) // ends when the server hangs up
		var timeout net.Error
		if ne, ok := err.(net.Error); ok {
			timeout = ne
		}
		if timeout != nil && timeout.Timeout() || !strings.HasPrefix(string(got), c.want) {
			t.Errorf("%s: %.60q, %v; want %q", c.name, got, err, c.want)
		}
		conn.Close()
	}
}

// Several requests on one connection, one of them refused without its body
// being read, do not mix.
func TestKeepAlive(t *testing.T) {
	w := start(t)
	conn := dial(t, w.server.Listener.Addr().String())
	r := bufio.NewReader(conn)
	for i, token := range []string{"bad", ttdToken, "bad", ttdToken} {
		body := strings.Replace(smsBody, `"k"`, fmt.Sprintf(`"%d"`, i), 1)
		fmt.Fprintf(conn, "POST %s/future/orders/instant/sms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			DefaultBasePath, token, len(body), body)
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

// A panic between the socket and the handlers costs its connection, and is told as any is.
func TestPanicOnAConnection(t *testing.T) {
	w := start(t)
	here, there := net.Pipe()
	server := Server(w.api, Limits{}, slog.New(slog.NewJSONHandler(w.log, nil)))
	serveOne(t, server, &panickyConn{there}, func(ln net.Listener) net.Listener { return w.api.Listener(ln, Limits{}) })
	go io.WriteString(here, post("", smsBody))
	if n, err := io.Copy(io.Discard, here); n > 0 || err != nil {
		t.Errorf("answered with %d octets, %v", n, err)
	}
	eventually(t, func() bool { return strings.Contains(w.log.String(), `"level":"ERROR","msg":"panic","stack":`) })
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
