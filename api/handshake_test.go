package api

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
)

// secured starts a world whose API speaks TLS at the address that it returns.
func secured(t *testing.T) (w *world, addr string, trusted *x509.CertPool) {
	lender := httptest.NewTLSServer(nil)
	lender.Close()
	trusted = x509.NewCertPool()
	trusted.AddCert(lender.Certificate())
	w = start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(w.api, Limits{}, slogDiscard())
	go server.Serve(w.api.Listener(tls.NewListener(ln, lender.TLS), Limits{}))
	t.Cleanup(func() { server.Close() })
	return w, ln.Addr().String(), trusted
}

// Handshakes that fail are told, but not as often as somebody likes; nor do those that can't speak
// TLS at all hide those that don't trust our certificate.
func TestHandshakesThatFail(t *testing.T) {
	w, addr, _ := secured(t)
	for range 2 * maxDenials {
		c := calling(t, dial(t, addr))
		c.write("not TLS at all\r\n\r\n")
		io.Copy(io.Discard, c.in) // until the server has hung up, and so has told
	}
	told := w.log.Take()
	if n := strings.Count(told, `"level":"INFO","msg":"TLS handshake failed","remote":"127.0.0.1:`); n != maxDenials {
		t.Errorf("%d lines, want %d: %s", n, maxDenials, told)
	}
	if !strings.Contains(told, "does not look like a TLS handshake") || strings.Contains(told, "not TLS at all") {
		t.Errorf("told: %s", told)
	}

	conn := dial(t, addr)
	if err := tls.Client(conn, &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com"}).Handshake(); err == nil {
		t.Fatal("a certificate that nobody signed is trusted")
	}
	io.Copy(io.Discard, conn)
	if told := w.log.Take(); strings.Count(told, "\n") != 1 || !strings.Contains(told, conn.LocalAddr().String()) || !strings.Contains(told, "remote error: tls: ") {
		t.Errorf("told: %s", told)
	}
}

// Nothing is told of a connection without a word, which is how load balancers look whether
// we are there, nor of one that ends after its handshake.
func TestHandshakesThatDoNotFail(t *testing.T) {
	w, addr, trusted := secured(t)
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
	if told := w.log.Take(); strings.Contains(told, "TLS") {
		t.Errorf("told: %s", told)
	}
}
