package inbox

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"straks/api/client"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// Config is the sandbox around the inbox.
type Config struct {
	SMSC  *smsctest.SMSC
	Relay *relaytest.Relay

	Client  *client.Client // places orders for the buttons
	Limited *client.Client // likewise, for an organisation with a small rate

	// Forward moves the clock of verifications ahead.
	Forward func(by time.Duration)

	URL    string // of the API, with its base path
	Token  string // of Client
	Docs   string // URL of the page that renders the API's document; empty: none
	Number string // short code whose messages reach the organisation, digits only

	// Hosts are names under which the page is reached, beside localhost and addresses.
	Hosts []string
	// Remote lets it be reached by names without a dot too, as containers have.
	Remote bool

	Log *slog.Logger
}

// Bounds of the listener.
const (
	maxBody    = 64 << 10         // octets of a form
	maxStreams = 32               // pages that are told of changes, at a time
	maxWaits   = 256              // readers that wait for a message, or for an answer of the API, at a time
	writeTime  = 30 * time.Second // for a reader to take an answer
)

//go:embed page
var pageFiles embed.FS

// Server is the inbox as browsers and tests see it.
type Server struct {
	config   Config
	box      *Inbox
	pages    map[string]*template.Template
	carriers *carriers
	orders   *orders
	streams  chan struct{} // a slot for each
	waits    chan struct{} // likewise
	logins   *logins
	handler  http.Handler
}

// NewServer returns the server of an inbox. Close it when it serves no more.
func NewServer(box *Inbox, c Config) (*Server, error) {
	s := &Server{config: c, box: box, carriers: newCarriers(c.SMSC, c.Relay), orders: newOrders(box.Touch),
		streams: make(chan struct{}, maxStreams), waits: make(chan struct{}, maxWaits), logins: newLogins()}
	var err error
	if s.pages, err = parsePages(); err != nil {
		return nil, err
	}
	s.handler = s.guarded(s.routes())
	return s, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showInbox)
	mux.HandleFunc("GET /messages/{id}", s.showMessage)
	mux.HandleFunc("GET /messages/{id}/html", s.showFrame)
	mux.HandleFunc("GET /messages/{id}/eml", s.download)
	mux.HandleFunc("GET /try", s.showTry)
	mux.HandleFunc("GET /static/{file}", s.static)
	mux.HandleFunc("GET /events", s.events)

	mux.HandleFunc("GET /messages.json", s.listJSON)
	mux.HandleFunc("GET /messages/latest", s.latestJSON)
	mux.HandleFunc("DELETE /messages", s.deleteJSON)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })

	mux.HandleFunc("POST /delete", s.deleteForm)
	mux.HandleFunc("POST /messages/{id}/reply", s.reply)
	mux.HandleFunc("POST /try", s.try)
	mux.HandleFunc("POST /carriers/{carrier}", s.condition)

	mux.HandleFunc("GET /verify", s.showVerify)
	mux.HandleFunc("POST /verify/start", s.step(askForCode))
	mux.HandleFunc("POST /verify/check", s.step(checkCode))
	mux.HandleFunc("POST /verify/resend", s.step(resendCode))
	mux.HandleFunc("POST /verify/cancel", s.step(cancelCode))
	mux.HandleFunc("POST /verify/clock", s.forward)
	return mux
}

// guarded refuses requests that another page makes in its reader's browser, and bounds
// bodies and times.
func (s *Server) guarded(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-DNS-Prefetch-Control", "off")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.named(r.Host) {
			http.Error(w, "The inbox is not known by the name of this Host header, so that no page of another name can read it. "+
				"Use localhost or an address, or start the sandbox with -host NAME.", http.StatusMisdirectedRequest)
			return
		}
		extend(w)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// named reports whether a Host header is an address, or a name of this machine.
func (s *Server) named(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	local := host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761 §6.3
	remote := s.config.Remote && host != "" && (!strings.Contains(host, ".") || host == "host.docker.internal")
	return local || remote || slices.ContainsFunc(s.config.Hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

// extend gives the reader of an answer its time.
func extend(w http.ResponseWriter) {
	// A test's ResponseWriter has no connection, and no deadline.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
}

// Serve serves on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.handler, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog:    slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close waits for the orders of buttons. The API must have ended, or ends them.
func (s *Server) Close() { s.orders.close() }

// slot takes one of the slots, or refuses the request with 503.
func slot(w http.ResponseWriter, slots chan struct{}) (release func(), ok bool) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, true
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many readers wait already", http.StatusServiceUnavailable)
		return nil, false
	}
}
