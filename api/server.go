package api

import (
	"bytes"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits bound what one client, or all of them, can hold. Zero values have the
// defaults named.
type Limits struct {
	ReadHeader  time.Duration // from the connection, or the request's first octet, to the end of its head; 5 s
	Read        time.Duration // to the end of its body; 10 s
	Write       time.Duration // from the end of its head to the end of the answer, so longer than the send deadline; 30 s
	Idle        time.Duration // between two requests; 120 s
	HeaderBytes int           // of a request's head, 4 KiB at least; 16 KiB
	Connections int           // at a time; 4096
}

func (l Limits) withDefaults() Limits {
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	or(&l.ReadHeader, 5*time.Second)
	or(&l.Read, 10*time.Second)
	or(&l.Write, 30*time.Second)
	or(&l.Idle, 120*time.Second)
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 16 << 10
	}
	if l.Connections == 0 {
		l.Connections = 4096
	}
	return l
}

// headerSlop is what net/http takes beyond its MaxHeaderBytes.
const headerSlop = 4 << 10

// Server returns a server in which no client can hold a connection for longer
// than the limits say.
func Server(h http.Handler, l Limits, to *slog.Logger) *http.Server {
	l = l.withDefaults()
	return &http.Server{
		Handler:           h,
		ConnState:         doorState,
		ConnContext:       withDoor,
		ReadHeaderTimeout: l.ReadHeader,
		ReadTimeout:       l.Read,
		WriteTimeout:      l.Write,
		IdleTimeout:       l.Idle,
		MaxHeaderBytes:    max(1, l.HeaderBytes-headerSlop),
		ErrorLog:          complaints(to),
	}
}

// complaints are net/http's own, of clients: anybody can cause them, so they go to log at level Debug.
// Not so a panic outside of the handlers, which see to theirs: that is a defect of ours, of which is told where,
// but not what, as of theirs.
func complaints(to *slog.Logger) *log.Logger {
	return log.New(complaint(func(text []byte) {
		if !bytes.HasPrefix(text, []byte("http: panic serving ")) {
			to.Debug(string(bytes.TrimSpace(text)))
			return
		}
		_, stack, _ := bytes.Cut(text, []byte("\ngoroutine "))
		to.Error("panic", slog.String("stack", string(stack)))
	}), "", 0)
}

// complaint is an io.Writer that is called once for each.
type complaint func(text []byte)

func (c complaint) Write(text []byte) (int, error) {
	c(text)
	return len(text), nil
}

// listener returns ln with the limit on connections.
func (l Limits) listener(ln net.Listener) net.Listener {
	return netutil.LimitListener(ln, l.withDefaults().Connections)
}
