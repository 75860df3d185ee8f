package api

import (
	"bytes"
	"cmp"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"straks/internal/connlimit"
	"straks/internal/ratelog"
)

// Limits bound the resources that one client, or all clients together, can hold. Zero
// values have the defaults named.
type Limits struct {
	ReadHeader  time.Duration // from the connection, or the request's first octet, to the end of its header; 5 s
	Read        time.Duration // to the end of its body; 10 s
	Write       time.Duration // from the end of its header to the end of the answer, so longer than the send deadline; 30 s
	Idle        time.Duration // between two requests; 120 s
	HeaderBytes int           // of a request's header, 4 KiB at least; 16 KiB
	Streams     int           // requests at a time on one HTTP/2 connection; 250

	// Connections bounds those that are open at a time: 4096. PerAddress bounds those of one IPv4
	// address, or of one /64 of IPv6: 1024, or PerAuthorizedAddress, 3072, while one of them has
	// shown a good token. See NewConnections.
	Connections          int
	PerAddress           int
	PerAuthorizedAddress int
}

// WithDefaults returns the limits with every default filled in.
func (l Limits) WithDefaults() Limits {
	l.ReadHeader = cmp.Or(l.ReadHeader, 5*time.Second)
	l.Read = cmp.Or(l.Read, 10*time.Second)
	l.Write = cmp.Or(l.Write, 30*time.Second)
	l.Idle = cmp.Or(l.Idle, 120*time.Second)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, 16<<10)
	l.Connections = cmp.Or(l.Connections, 4096)
	l.Streams = cmp.Or(l.Streams, 250)
	l.PerAddress = cmp.Or(l.PerAddress, 1024)
	l.PerAuthorizedAddress = cmp.Or(l.PerAuthorizedAddress, 3072)
	return l
}

// headerSlop is what net/http accepts beyond its MaxHeaderBytes.
const headerSlop = 4 << 10

// Server returns a server in which no client can hold a connection or a stream for
// longer than the limits say. Its listener must be one that Listener returns for the same connections.
func Server(h *Handler, l Limits, connections *connlimit.Limiter, log *slog.Logger) *http.Server {
	l = l.WithDefaults()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: l.ReadHeader,
		ReadTimeout:       l.Read,
		WriteTimeout:      l.Write,
		IdleTimeout:       l.Idle,
		MaxHeaderBytes:    max(1, l.HeaderBytes-headerSlop),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: l.Streams,
			// Received and not read yet. It bounds the rate at which a connection delivers bodies too: so much
			// for each round trip.
			MaxReceiveBufferPerConnection: 64 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
			SendPingTimeout:               l.Idle / 2, // a client that is gone while its requests are under way is not idle
			WriteByteTimeout:              l.Write,
		},
		ErrorLog: errorLog(log),
	}
	connections.Attach(srv)
	srv.RegisterOnShutdown(h.Close)
	return srv
}

// errorLog returns the log of net/http's own errors.
func errorLog(to *slog.Logger) *log.Logger {
	return log.New(&serverErrors{to, ratelog.New(to, maxDenials)}, "", 0)
}

// serverErrors is an io.Writer that net/http calls once for each error. Any client can
// cause them, so they are logged at level Debug, with two exceptions. A TLS handshake that
// fails is logged at level Info, sampled. A panic outside of the handlers, which recover
// their own, is a defect of ours: its stack is logged, but not its value, which may hold
// what the client sent.
type serverErrors struct {
	log     *slog.Logger
	sampled *ratelog.Log
}

func (s *serverErrors) Write(text []byte) (int, error) {
	line := string(bytes.TrimSpace(text))
	if handshake, ok := strings.CutPrefix(line, "http: TLS handshake error from "); ok {
		s.handshake(handshake)
	} else if strings.HasPrefix(line, "http: panic serving ") || strings.HasPrefix(line, "http2: panic serving ") {
		_, stack, _ := strings.Cut(line, "\ngoroutine ")
		s.log.Error("panic", "stack", stack)
	} else {
		s.log.Debug(line)
	}
	return len(text), nil
}

// handshake logs a TLS handshake that failed, given as "address: reason". A connection
// that ended before the client sent anything is not logged: load balancers probe the port
// like that every other second. Clients that reject our certificate (RFC 8446 §6) are
// counted apart, so that port scanners do not hide them.
func (s *serverErrors) handshake(failure string) {
	remote, reason, _ := strings.Cut(failure, ": ")
	if reason == "EOF" || strings.HasSuffix(reason, "connection reset by peer") || strings.HasSuffix(reason, net.ErrClosed.Error()) {
		return
	}
	kind := "TLS"
	if strings.HasPrefix(reason, "remote error: ") {
		kind = "TLS alert"
	}
	s.sampled.Write(kind, levelDenied, "TLS handshake failed", slog.String("remote", remote), slog.String("err", reason))
}
