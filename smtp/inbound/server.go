package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"straks/internal/connlimit"
	"straks/internal/ratelog"
)

// Server receives mails. Make it with New; its methods are safe for concurrent use.
type Server struct {
	config      Config
	limits      Limits
	certificate *certificate // nil: no STARTTLS
	log         *slog.Logger
	seldom      *ratelog.Log
	metrics     *metrics
	memory      *memory
	peers       *peers
	forwards    *rate.Limiter // of mails to postmaster and abuse
	limiters    [2]*connlimit.Limiter

	mu    sync.Mutex
	conns map[*conn]bool
	ends  [2]ending // of the two listeners
}

// ending is how far a listener has ended.
type ending uint8

const (
	open     ending = iota
	draining        // no mail may begin
	closed          // no connection may remain
)

func index(lmtp bool) int {
	if lmtp {
		return 1
	}
	return 0
}

// Mails to postmaster and abuse that are forwarded: in the long run, and at once.
const (
	forwardEvery = 6 * time.Second
	forwardBurst = 20
)

// New returns a server that does not work before Run. It reads the certificate and registers the metrics.
func New(config Config, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	s := &Server{config: config, limits: config.Limits.WithDefaults(), log: log, seldom: ratelog.New(log, 3), conns: make(map[*conn]bool),
		forwards: rate.NewLimiter(rate.Every(forwardEvery), forwardBurst)}
	s.memory = &memory{limit: s.limits.TotalOctets}
	s.peers = newPeers(s.limits.RatePerAddress)
	s.limiters[0] = connlimit.New(connlimit.Limits{Open: s.limits.Connections, Address: s.limits.PerAddress, NoTokens: true}, log)
	s.limiters[1] = connlimit.New(connlimit.Limits{Open: s.limits.Connections, NoTokens: true}, log)
	if config.CertFile != "" {
		var err error
		if s.certificate, err = newCertificate(config.CertFile, config.KeyFile, log); err != nil {
			return nil, fmt.Errorf("inbound: certificate: %w", err)
		}
	}
	s.metrics = newMetrics(s)
	for _, c := range s.metrics.collectors() {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("inbound: %w", err)
		}
	}
	return s, nil
}

func (s *Server) limiter(lmtp bool) *connlimit.Limiter { return s.limiters[index(lmtp)] }

// Run receives mails on both listeners, each of which may be nil, until ctx ends or a listener fails. Then no connection
// is accepted and no mail begun; those that have begun have Limits.Drain. It closes the listeners.
func (s *Server) Run(ctx context.Context, smtp, lmtp net.Listener, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, ln := range []net.Listener{smtp, lmtp} {
		if ln == nil {
			continue
		}
		wg.Go(func() {
			defer cancel()
			errs[i] = s.serve(ctx, ln, i == 1, h)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// serve receives mails on one listener.
func (s *Server) serve(ctx context.Context, ln net.Listener, lmtp bool, h Handler) error {
	work, abandon := context.WithCancel(context.WithoutCancel(ctx)) // of the handler
	defer abandon()
	srv := s.library(work, lmtp, h)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(&listener{s.limiter(lmtp).Listener(ln), s, lmtp}) }()
	select {
	case err := <-ended:
		ln.Close()
		return fmt.Errorf("inbound: %w", err)
	case <-ctx.Done():
	}
	timer := time.AfterFunc(s.limits.Drain, func() {
		abandon()
		s.end(lmtp, closed)
	})
	defer timer.Stop()
	s.end(lmtp, draining)
	ln.Close() // Shutdown does not, if Serve has not begun yet
	srv.Shutdown(context.Background())
	if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("inbound: %w", err)
	}
	return nil
}

// library returns go-smtp's server.
func (s *Server) library(ctx context.Context, lmtp bool, h Handler) *gosmtp.Server {
	srv := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		return newSession(ctx, s, c, h), nil
	}))
	srv.Domain, srv.LMTP, srv.MaxRecipients = s.config.Hostname, lmtp, 1
	srv.MaxMessageBytes = int64(s.limits.MailOctets) + 1 // it takes the limit itself for too much
	srv.MaxLineLength = 64 << 10                         // reports have longer lines than RFC 5321 §4.5.3.1.6 allows
	srv.ReadTimeout, srv.WriteTimeout = s.limits.Command, s.limits.Command
	srv.EnableDSN, srv.EnableSMTPUTF8 = true, true
	srv.ErrorLog = faultLog{s.seldom}
	if s.certificate != nil && !lmtp {
		srv.TLSConfig = s.certificate.tls()
	}
	return srv
}

// faultLog is what go-smtp logs: connections that break off, and its own faults.
type faultLog struct{ log *ratelog.Log }

func (l faultLog) Printf(format string, args ...any) {
	l.log.Write("fault", slog.LevelInfo, "connection of a mail server failed", slog.String("err", fmt.Sprintf(format, args...)))
}

func (l faultLog) Println(args ...any) { l.Printf("%s", fmt.Sprint(args...)) }

// listener returns connections within the bounds of their address.
type listener struct {
	net.Listener
	server *Server
	lmtp   bool
}

const errTooOften = "421 4.7.0 Too many connections or unknown mailboxes from your address, try again later\r\n"

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := newConn(nc, l.server, l.lmtp)
		if l.server.peers.useless(c.address) {
			l.server.remember(c)
			return c, nil
		}
		l.server.metrics.count(l.lmtp, resultTooOften)
		nc.SetWriteDeadline(time.Now().Add(time.Second)) // a new connection has room for it
		nc.Write([]byte(errTooOften))
		nc.Close()
	}
}

// remember notes a new connection. It may have been accepted when the listener was about to end.
func (s *Server) remember(c *conn) {
	s.mu.Lock()
	s.conns[c] = true
	e := s.ends[index(c.lmtp)]
	s.mu.Unlock()
	c.end(e)
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// of returns the connections of a listener.
func (s *Server) of(lmtp bool) (all []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.lmtp == lmtp {
			all = append(all, c)
		}
	}
	return all
}

// end ends a listener's connections, as far as e.
func (s *Server) end(lmtp bool, e ending) {
	s.mu.Lock()
	s.ends[index(lmtp)] = e
	s.mu.Unlock()
	for _, c := range s.of(lmtp) {
		c.end(e)
	}
}
