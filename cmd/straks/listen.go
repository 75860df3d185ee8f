package main

import (
	"crypto/tls"
	"fmt"
	"net"

	"straks/cmd/straks/config"
)

// listenAPI listens for clients, over TLS where the configuration says so.
func listenAPI(c config.API) (net.Listener, error) {
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
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
}

func listen(section, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s.listen: %w", section, err)
	}
	return l, nil
}
