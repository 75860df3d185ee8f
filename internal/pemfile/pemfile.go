// Package pemfile reads certificates and keys from PEM files.
package pemfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Pool returns the certificates in the file as those to trust. Without a path it returns
// nil, which stands for the system's.
func Pool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, Reason(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// Pair returns the certificate chain of one file with its key from another. Without
// paths it returns none.
func Pair(certificate, key string) ([]tls.Certificate, error) {
	if certificate == "" && key == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, Reason(err)
	}
	return []tls.Certificate{pair}, nil
}

// Reason returns why a file can't be opened, without its name: what a configuration gives as the
// name of a file may be a secret that belongs into one.
func Reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// MinVersion returns the constant of package tls for "1.2" or "1.3".
func MinVersion(s string) (uint16, bool) {
	switch s {
	case "1.2":
		return tls.VersionTLS12, true
	case "1.3":
		return tls.VersionTLS13, true
	}
	return 0, false
}
