package smpp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
)

// config reads the files that the settings name. It returns nil where TLS is off.
// key is the dotted key of the settings, for errors.
func (t *TLS) config(key string) (c *tls.Config, errs []error) {
	if t.Mode != "on" {
		return nil, nil
	}
	c = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.MinVersion == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		c.RootCAs = x509.NewCertPool()
		if err == nil && !c.RootCAs.AppendCertsFromPEM(pem) {
			err = errors.New("holds no certificate in PEM")
		}
		if err != nil {
			errs = append(errs, &KeyError{key + ".ca_file", err.Error()})
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			errs = append(errs, &KeyError{key + ".cert_file", err.Error()})
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, errs
}
