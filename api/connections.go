package api

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/clientcert"
	"straks/internal/connlimit"
)

// NewConnections returns the bounds on the connections of a server. At a bound the oldest idle
// connection makes room for a new one; see package connlimit for the order. The metrics are
// registered with reg, if it is not nil.
func NewConnections(l Limits, log *slog.Logger, reg prometheus.Registerer) (*connlimit.Limiter, error) {
	l = l.WithDefaults()
	c := connlimit.New(connlimit.Limits{Open: l.Connections, Address: l.PerAddress, AuthorizedAddress: l.PerAuthorizedAddress}, log)
	if reg == nil {
		return c, nil
	}
	return c, reg.Register(c.Collector("straks_http_connections"))
}

// Listener returns ln with the bounds on connections. With a TLS configuration the connections
// speak TLS, and HTTP/2 where the client offers it (RFC 7301). Clients are asked for a certificate while certs, which may
// be nil, knows authorities. They are not told which: that would name our organisations to anybody. The bounds are below TLS, because
// net/http finds the TLS state of a request only in a *tls.Conn.
func Listener(ln net.Listener, connections *connlimit.Limiter, t *tls.Config, certs *clientcert.Verifier) net.Listener {
	ln = connections.Listener(ln)
	if t == nil {
		return ln
	}
	t = t.Clone()
	t.NextProtos = []string{"h2", "http/1.1"}
	asking := t.Clone()
	asking.ClientAuth = tls.RequestClientCert // what it is good for is found out at each request
	t.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if certs.Asks() {
			return asking, nil
		}
		return nil, nil
	}
	return tls.NewListener(ln, t)
}

// keep protects the connection of a caller with a good token while it has a request under
// way. If the connection was closed for another before that, the request must have no effect:
// nobody would read the answer.
func (x *exchange) keep() error {
	if !connlimit.Authorized(x.r.Context()) {
		return context.Canceled
	}
	return nil
}

// spare lets the connection be closed for another: the caller has no good token, and may
// neither read the answer nor send the rest of the request.
func (x *exchange) spare() { connlimit.Anonymous(x.r.Context()) }
