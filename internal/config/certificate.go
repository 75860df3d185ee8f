package config

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"
)

// authorities checks a file of certificates to trust.
func (c *checker) authorities(name, path string) {
	if path == "" {
		return
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		c.fault(name, "can't be read: %v", err)
	} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		c.fault(name, "names %s, which holds no certificate in PEM", path)
	}
}

// keyPair finds and checks a certificate and its key, which go together.
func (c *checker) keyPair(certName string, cert *string, keyName string, key *string) {
	if (*cert == "") != (*key == "") {
		c.fault(keyName, "and %s go together: give both, or neither", certName)
	}
	if c.found.sealed {
		*cert, *key = "", ""
		return
	}
	*key = c.locate(keyName, *key)
	certPEM, keyPEM := c.content(certName, *cert), c.content(keyName, *key)
	if certPEM == nil || keyPEM == nil {
		return
	}
	if pair, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		c.fault(certName, "and %s can't be used: %v", keyName, err)
	} else {
		c.validity(certName, pair.Leaf)
	}
	if info, err := os.Stat(*key); err == nil {
		c.private(keyName, *key, info)
	}
}

// renewal is how long before its end a certificate should have been replaced by another.
const renewal = 14 * day

// validity warns of a certificate that is not valid now, or not for long.
func (c *checker) validity(name string, cert *x509.Certificate) {
	from, until := cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case cert.NotAfter.Before(c.now):
		c.warn(name, "names a certificate that expired on %s: who checks it hangs up", until)
	case cert.NotBefore.After(c.now):
		c.warn(name, "names a certificate that is not valid before %s: who checks it hangs up until then", from)
	case cert.NotAfter.Before(c.now.Add(renewal)):
		c.warn(name, "names a certificate that expires on %s: put a new one in its place, and restart", until)
	}
}

// content returns what is in a file that is named; nil, and perhaps a fault, where
// there is none.
func (c *checker) content(name, path string) []byte {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		c.fault(name, "can't be read: %v", err)
	}
	return content
}
