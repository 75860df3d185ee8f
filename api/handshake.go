package api

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"

	"straks/internal/ratelog"
)

// handshakes is a listener, perhaps for TLS, that tells of handshakes that fail. net/http would,
// if the door did not hide the *tls.Conn from it.
type handshakes struct {
	net.Listener
	denials *ratelog.Log
}

func (l *handshakes) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*tls.Conn); ok {
		return &handshakeConn{t, l.denials}, err
	}
	return c, err
}

// handshakeConn shakes hands when it is first read from.
type handshakeConn struct {
	*tls.Conn
	denials *ratelog.Log
}

func (c *handshakeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		if state := c.ConnectionState(); !state.HandshakeComplete && !unspoken(state, err) {
			c.denials.Write(handshakeKind(err), levelDenied, "TLS handshake failed",
				slog.String("remote", c.RemoteAddr().String()), slog.String("err", err.Error()))
		}
	}
	return n, err
}

// unspoken tells that there was no handshake to fail: somebody looked whether the port is
// open, as load balancers do every other second, or we hung up.
func unspoken(state tls.ConnectionState, err error) bool {
	left := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	return left && state.Version == 0 || errors.Is(err, net.ErrClosed)
}

// handshakeKind keeps those who scan ports from hiding the clients that say what they have against
// our certificate (RFC 8446 §6).
func handshakeKind(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return "TLS alert"
	}
	return "TLS"
}
