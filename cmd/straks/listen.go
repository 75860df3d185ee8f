package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
)

// apiTLS is the TLS configuration of the API's listener; nil where none is configured. A
// metric shows the end of the certificate that is in use: the file may hold another by now.
func apiTLS(c config.API, reg prometheus.Registerer) (*tls.Config, error) {
	if c.TLSCertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls_cert_file: %w", err)
	}
	reg.MustRegister(certificateEnd(cert.Leaf))
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// certificateEnd shows until when a certificate is valid.
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
