package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/pemfile"
)

// apiTLS returns the TLS configuration of the API's listener, nil where there is
// none. It registers a metric of the certificate in use, which may no longer be the
// one in the file.
func apiTLS(c config.API, reg prometheus.Registerer) (*tls.Config, error) {
	if c.TLSCertFile == "" {
		return nil, nil
	}
	pair, err := pemfile.Pair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls_cert_file: %w", err)
	}
	reg.MustRegister(certificateEnd(pair[0].Leaf))
	return &tls.Config{Certificates: pair, MinVersion: tls.VersionTLS12}, nil
}

// certificateEnd is the metric of when a certificate expires.
func certificateEnd(cert *x509.Certificate) prometheus.Collector {
	end := prometheus.NewGauge(prometheus.GaugeOpts{Name: "straks_api_certificate_not_after_seconds",
		Help: "Unix time at which the certificate expires that the API speaks TLS with; absent where it does not."})
	end.Set(float64(cert.NotAfter.Unix()))
	return end
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
