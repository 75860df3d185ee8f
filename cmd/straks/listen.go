package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
)

// listenAPI listens for clients, over TLS where the configuration says so. Then the metrics have
// the end of the certificate that is in use, which the one in the file may not be any more.
func listenAPI(c config.API, reg prometheus.Registerer) (net.Listener, error) {
	if c.TLSCertFile == "" {
		return listen("api", c.Listen)
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls_cert_file: %w", err)
	}
	l, err := listen("api", c.Listen)
	if err != nil {
		return nil, err
	}
	reg.MustRegister(certificateEnd(cert.Leaf))
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
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
