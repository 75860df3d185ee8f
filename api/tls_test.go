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
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
)

// secured starts a world whose API also speaks TLS, at the address that it returns.
func secured(t *testing.T, l Limits, with ...func(*Config, *orders.Config)) (w *world, addr string, trusted *x509.CertPool) {
	lender := httptest.NewTLSServer(nil)
	lender.Close()
	trusted = x509.NewCertPool()
	trusted.AddCert(lender.Certificate())
	w = start(t, with...)
	addr = serve(t, w.api, l, &tls.Config{Certificates: lender.TLS.Certificates}, slog.New(slog.NewJSONHandler(w.log, nil)))
	return w, addr, trusted
}

// clientOf returns a client that speaks HTTP/2, or HTTP/1.1 only, over TLS.
func clientOf(t *testing.T, trusted *x509.CertPool, http2 bool) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "example.com"}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	if !http2 {
		transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Minute}
}

// orderOf returns the request of an SMS order.
func orderOf(ctx context.Context, addr, key string) *http.Request {
	r, _ := http.NewRequestWithContext(ctx, "POST", "https://"+addr+smsPath, strings.NewReader(smsOf(key)))
	as(ttdToken)(r)
	header("Content-Type", "application/json")(r)
	return r
}

// tlsSeen is an authenticator that notes the TLS state of each request.
type tlsSeen struct {
	Authenticator
	state atomic.Pointer[tls.ConnectionState]
}

func (s *tlsSeen) Authenticate(r *http.Request) (Principal, error) {
	s.state.Store(r.TLS)
	return s.Authenticator.Authenticate(r)
}

// Under TLS both versions of HTTP are offered, and the authenticator sees the TLS state of
// the request: the protocol, and the certificate of a client that has one.
func TestProtocols(t *testing.T) {
	seen := &tlsSeen{}
	_, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) { seen.Authenticator, cfg.Auth = cfg.Auth, seen })
	for i, c := range []struct {
		http2           bool
		protocol, major string
	}{{false, "http/1.1", "HTTP/1.1"}, {true, "h2", "HTTP/2.0"}} {
		client := clientOf(t, trusted, c.http2)
		for range 2 { // the second on the same connection
			resp, err := client.Do(orderOf(t.Context(), addr, fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode/100 != 2 || resp.Proto != c.major {
				t.Errorf("%s: %s, want 2xx by %s", resp.Proto, resp.Status, c.major)
			}
			if state := seen.state.Swap(nil); state == nil || !state.HandshakeComplete || state.NegotiatedProtocol != c.protocol {
				t.Errorf("%s: the authenticator sees %+v", resp.Proto, state)
			}
		}
	}
}

// One HTTP/2 connection has as many requests under way as the server's SETTINGS say. One more
// is refused, as a stream that was not processed (RFC 9113 §5.1.2, §8.7), and the others are answered.
func TestStreamLimit(t *testing.T) {
	const limit = 3
	w, addr, trusted := secured(t, Limits{Streams: limit})
	gate := make(chan struct{})
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		<-gate
		return orders.Handover{Outcome: handover.Unknown}
	})
	conn := dialHTTP2(t, addr, trusted)
	framer := http2.NewFramer(conn, conn)
	framer.WriteSettings()
	for i := range uint32(limit + 1) {
		body := smsOf(fmt.Sprint(i))
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: orderHeaders(addr, len(body)), EndHeaders: true})
		framer.WriteData(2*i+1, true, []byte(body))
	}
	var once sync.Once
	ended := map[uint32]string{}
	for len(ended) < limit+1 {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if n, ok := f.Value(http2.SettingMaxConcurrentStreams); !f.IsAck() && (!ok || n != limit) {
				t.Errorf("SETTINGS say %d streams, %v", n, ok)
			}
		case *http2.RSTStreamFrame:
			if ended[f.StreamID] == "" { // its body may be refused once more
				ended[f.StreamID] = f.ErrCode.String()
			}
			once.Do(func() { close(gate) })
		case *http2.HeadersFrame:
			ended[f.StreamID] = "answered"
		}
	}
	want := map[uint32]string{1: "answered", 3: "answered", 5: "answered", 7: http2.ErrCodeRefusedStream.String()}
	if !maps.Equal(ended, want) {
		t.Errorf("streams %v, want %v", ended, want)
	}
}

// dialHTTP2 returns a TLS connection on which the client's preface was sent (RFC 9113 §3.4).
func dialHTTP2(t *testing.T, addr string, trusted *x509.CertPool) net.Conn {
	t.Helper()
	conn := tls.Client(dial(t, addr), &tls.Config{RootCAs: trusted, ServerName: "example.com", NextProtos: []string{"h2"}})
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	return conn
}

// orderHeaders is the header block of an order with a body of length octets.
func orderHeaders(authority string, length int) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", authority}, {":path", smsPath},
		{"authorization", "Bearer " + ttdToken}, {"content-type", "application/json"}, {"content-length", fmt.Sprint(length)}} {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return block.Bytes()
}

// The limits hold for HTTP/2 too: of a header that is too large, of a body that does not
// come, and of a connection that is idle.
func TestHTTP2Limits(t *testing.T) {
	t.Run("header", func(t *testing.T) {
		_, addr, trusted := secured(t, Limits{HeaderBytes: 5000})
		large := orderOf(t.Context(), addr, "large")
		large.Header.Set("X", strings.Repeat("x", 10000))
		if resp, err := clientOf(t, trusted, true).Do(large); err == nil && resp.StatusCode != 431 {
			t.Errorf("%s", resp.Status)
		}
	})
	t.Run("body", func(t *testing.T) {
		_, addr, trusted := secured(t, Limits{Read: 100 * time.Millisecond})
		client := clientOf(t, trusted, true)
		// The limit is that of the handshake too, which may take longer on a loaded machine.
		eventually.True(t, "an answer", func() bool {
			body, never := io.Pipe()
			defer never.Close()
			slow := orderOf(t.Context(), addr, "slow")
			slow.Body, slow.ContentLength = body, -1
			resp, err := client.Do(slow)
			if err == nil && resp.StatusCode != 408 {
				t.Errorf("%s", resp.Status)
			}
			return err == nil
		})
	})
	t.Run("idle", func(t *testing.T) {
		_, addr, trusted := secured(t, Limits{Idle: 100 * time.Millisecond})
		conn := dialHTTP2(t, addr, trusted)
		http2.NewFramer(conn, conn).WriteSettings()
		// If the server closes the connection before it has read the SETTINGS, the end is a reset.
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("open after a minute: %v", err)
		}
	})
}

// A client of HTTP/2 that resets its stream has no answer; its order is carried on.
func TestAbandonedStream(t *testing.T) {
	w, addr, trusted := secured(t, Limits{})
	entered, gate := make(chan struct{}), make(chan struct{})
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orders.Handover{Outcome: handover.Unknown}
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-entered
		leave()
	}()
	if _, err := clientOf(t, trusted, true).Do(orderOf(ctx, addr, "k")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	eventually.True(t, "status 499 in the log", func() bool { return strings.Contains(w.log.String(), `"status":499`) })
	close(gate)
	if a := w.sendSMS("k"); a.status != 200 || len(w.sms.Sent()) != 1 {
		t.Errorf("the repeat: %d %s", a.status, a.body)
	}
}

// Handshakes that fail are logged, sampled. Clients that speak no TLS at all do not hide
// those that do not trust our certificate.
func TestHandshakesThatFail(t *testing.T) {
	w, addr, _ := secured(t, Limits{})
	for range 2 * maxDenials {
		conn := dial(t, addr)
		io.WriteString(conn, "not TLS at all\r\n\r\n")
		io.Copy(io.Discard, conn) // until the server has hung up
	}
	eventually.True(t, "the denials in the log", func() bool { return strings.Count(w.log.String(), "TLS handshake failed") == maxDenials })
	logged := w.log.Take()
	if n := strings.Count(logged, `"level":"INFO","msg":"TLS handshake failed","remote":"127.0.0.1:`); n != maxDenials {
		t.Errorf("%d lines, want %d: %s", n, maxDenials, logged)
	}
	if !strings.Contains(logged, "does not look like a TLS handshake") || strings.Contains(logged, "not TLS at all") {
		t.Errorf("logged: %s", logged)
	}

	conn := dial(t, addr)
	if err := tls.Client(conn, &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com"}).Handshake(); err == nil {
		t.Fatal("a certificate that nobody signed is trusted")
	}
	eventually.True(t, "the TLS error in the log", func() bool { return strings.Contains(w.log.String(), "remote error: tls: ") })
	if logged := w.log.Take(); strings.Count(logged, "\n") != 1 || !strings.Contains(logged, conn.LocalAddr().String()) {
		t.Errorf("logged: %s", logged)
	}
}

// Nothing is logged of a connection on which nothing is sent, which is how load balancers
// probe the port, nor of a connection that ends after its handshake.
func TestHandshakesThatDoNotFail(t *testing.T) {
	w, addr, trusted := secured(t, Limits{})
	silent := dial(t, addr)
	if err := silent.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, silent)

	c := tls.Client(dial(t, addr), &tls.Config{RootCAs: trusted, ServerName: "example.com"})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, c)
	if logged := w.log.Take(); strings.Contains(logged, "TLS") {
		t.Errorf("logged: %s", logged)
	}
}

// A client that speaks HTTP to the port for TLS gets a 400 from net/http, and nothing is sent.
func TestPlainHTTPWhereTLSIsWanted(t *testing.T) {
	w, addr, _ := secured(t, Limits{})
	conn := dial(t, addr)
	io.WriteString(conn, post("", smsBody))
	if got, _ := io.ReadAll(conn); !strings.Contains(string(got), "400 Bad Request") || !strings.Contains(string(got), "HTTPS") {
		t.Errorf("answered %q", got)
	}
	if n := len(w.sms.Sent()); n > 0 {
		t.Errorf("%d were sent", n)
	}
}
