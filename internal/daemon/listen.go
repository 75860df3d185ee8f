package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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

// serveHTTP serves until ctx ends, then lets running requests finish within grace.
func serveHTTP(ctx context.Context, srv *http.Server, l net.Listener, grace time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := srv.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-ended
	return err
}
