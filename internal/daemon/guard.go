package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"straks/internal/config"
	"straks/internal/connlimit"
	"straks/internal/ratelog"
)

// Bounds of the private listeners.
const (
	maxPrivateConns = 64               // open at a time; an idle one makes room for a new one
	maxPrivateBody  = 4 << 20          // octets of a request's body
	privateRead     = 10 * time.Second // for a request's body
	privateWrite    = 30 * time.Second // for the client to take what one write gives it
	maxRefusals     = 3                // log lines of a kind in a minute
)

// servePrivate serves a private listener until ctx ends. tokens is whether a guard protects
// it: then requests without a token give way to others.
func servePrivate(ctx context.Context, h http.Handler, l net.Listener, tokens bool, log *slog.Logger) error {
	limiter := connlimit.New(connlimit.Limits{Open: maxPrivateConns, NoTokens: !tokens}, log)
	srv := privateServer(h, log)
	limiter.Attach(srv)
	limited := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context { return withPeer(limited(ctx, nc), nc) }
	return serveHTTP(ctx, srv, limiter.Listener(l), time.Second)
}

// privateServer has no write time-out: a profile takes as long as its request says. patient
// bounds each write.
func privateServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: patient(h), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}

// patient bounds the time in which a request's body comes, also where no handler reads it, and
// that of each write of the answer.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := deadlineWriter{w, privateWrite}
		out.extend() // a kept connection has the deadline of its last answer
		defer out.extend()
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(privateRead))
		}
		next.ServeHTTP(out, r)
	})
}

// buffered reads a request's body, within its bound, before the handler starts. A read deadline
// that is still set while a handler works would end the request.
func buffered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPrivateBody))
			if err != nil {
				refuseBody(w, err)
				return
			}
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}

func refuseBody(w http.ResponseWriter, err error) {
	w.Header().Set("Connection", "close")
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	http.Error(w, "the body did not arrive", http.StatusRequestTimeout)
}

// deadlineWriter fails a write that its reader does not take within the timeout.
type deadlineWriter struct {
	http.ResponseWriter
	timeout time.Duration
}

func (w deadlineWriter) Write(b []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(b)
}

// FlushError lets http.ResponseController flush.
func (w deadlineWriter) FlushError() error {
	w.extend()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController set deadlines.
func (w deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w deadlineWriter) extend() {
	// A test's ResponseWriter has no connection, and no deadline.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.timeout))
}

// guard protects the admin routes on TCP.
type guard struct {
	hosts  []string // that a request may name, beside addresses
	digest [sha256.Size]byte
	open   bool // there is no token
	log    *ratelog.Log
	next   http.Handler
}

// guarded returns the admin routes as they are served on TCP: the Host header names this
// machine, or else a web page whose name leads here could ask in its reader's browser (DNS
// rebinding); no page asks for a change from elsewhere; and the token is there.
func guarded(a config.Admin, log *slog.Logger, next http.Handler) http.Handler {
	g := &guard{hosts: []string{"localhost"}, open: a.Token() == "", digest: sha256.Sum256([]byte(a.Token())),
		log: ratelog.New(log, maxRefusals), next: http.NewCrossOriginProtection().Handler(next)}
	if host, _, err := net.SplitHostPort(a.Listen); err == nil && host != "" {
		g.hosts = append(g.hosts, host)
	}
	if name, err := os.Hostname(); err == nil {
		g.hosts = append(g.hosts, name)
	}
	g.hosts = append(g.hosts, a.Hosts...)
	return g
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !g.named(r.Host):
		g.refuse("host", r)
		http.Error(w, "the Host header does not name this machine: use its address, or list the name in admin.hosts", http.StatusMisdirectedRequest)
	case !g.authorized(r.Header.Get("Authorization")):
		g.refuse("token", r)
		w.Header().Set("WWW-Authenticate", `Bearer realm="straks admin"`)
		http.Error(w, "the bearer token of admin.token_file is missing or wrong", http.StatusUnauthorized)
	default:
		if g.open || connlimit.Authorized(r.Context()) { // else the connection was closed for another
			g.next.ServeHTTP(w, r)
		}
	}
}

// named reports whether a Host header is an address, or a name of this machine.
func (g *guard) named(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return slices.ContainsFunc(g.hosts, func(name string) bool { return strings.EqualFold(name, strings.TrimSuffix(host, ".")) })
}

// authorized compares digests, in a time that does not depend on what the token is.
func (g *guard) authorized(header string) bool {
	scheme, token, _ := strings.Cut(header, " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return g.open || strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(digest[:], g.digest[:]) == 1
}

func (g *guard) refuse(what string, r *http.Request) {
	connlimit.Anonymous(r.Context())
	g.log.Write(what, slog.LevelWarn, "admin request refused", slog.String("reason", what), slog.String("remote", r.RemoteAddr))
}
