package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/pemfile"
)

// certificate is that of a listener. It follows its files.
type certificate struct {
	files *pemfile.Files // nil: the listener does not speak TLS
}

// openCertificate reads a certificate and its key. The key names them in errors.
func openCertificate(key, certFile, keyFile string, log *slog.Logger) (certificate, error) {
	if certFile == "" {
		return certificate{}, nil
	}
	files, err := pemfile.Open("", certFile, keyFile)
	if err != nil {
		return certificate{}, fmt.Errorf("%s: %w", key, err)
	}
	files.Report = func(err error) {
		log.Error("certificate files have changed and can't be used; the previous ones stay in use", "key", key, "err", err)
	}
	return certificate{files}, nil
}

// config returns the settings of TLS, nil where the listener does not speak it.
func (c certificate) config() *tls.Config {
	if c.files == nil {
		return nil
	}
	own := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.files.Own(), nil }
	return &tls.Config{GetCertificate: own, MinVersion: tls.VersionTLS12}
}

// end returns when the certificate expires.
func (c certificate) end() time.Time { return c.files.Own().Leaf.NotAfter }

// apiCertificate returns the certificate of the API's listener, and registers the metric of its end.
func apiCertificate(c config.API, log *slog.Logger, reg prometheus.Registerer) (certificate, error) {
	own, err := openCertificate("api.tls_cert_file", c.TLSCertFile, c.TLSKeyFile, log)
	if err != nil || own.files == nil {
		return own, err
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_api_certificate_not_after_seconds",
		Help: "Unix time at which the certificate expires that the API speaks TLS with; absent where it does not."},
		func() float64 { return float64(own.end().Unix()) }))
	return own, nil
}

func listen(section, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s.listen: %w", section, err)
	}
	return l, nil
}

// newcomers are the connections of a server that have not begun their first request.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// watch counts the connections of a server that does not serve yet.
func (n *newcomers) watch(srv *http.Server) {
	n.conns = make(map[net.Conn]struct{})
	next := srv.ConnState
	srv.ConnState = func(c net.Conn, s http.ConnState) {
		n.mu.Lock()
		if delete(n.conns, c); s == http.StateNew {
			n.conns[c] = struct{}{}
		}
		n.mu.Unlock()
		if next != nil {
			next(c, s)
		}
	}
}

// newcomersTime is how long a connection that was accepted just before the end may take to begin its request.
const newcomersTime = 250 * time.Millisecond

// await returns when each has begun its request, or the time is over, and a moment later.
func (n *newcomers) await() {
	waiting := func() int {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.conns)
	}
	for end := time.Now().Add(newcomersTime); waiting() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(5 * time.Millisecond) // from the state to net/http's look at the shutdown
}

// serveHTTP serves until ctx ends, then lets running requests finish within grace.
//
// A request that net/http has read when the shutdown begins gets no answer: its connection is closed. So nothing more is
// accepted at first, and what was accepted begins its request.
func serveHTTP(ctx context.Context, srv *http.Server, l net.Listener, grace time.Duration) error {
	var fresh newcomers
	fresh.watch(srv)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	l.Close()
	<-ended
	fresh.await()
	err := srv.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	return err
}
