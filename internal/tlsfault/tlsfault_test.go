package tlsfault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"straks/internal/tlsfault"
)

const secret = "HKQTZR"

// certificate returns a self-signed certificate whose names hold the secret.
func certificate(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: secret, Organization: []string{secret}},
		DNSNames: []string{strings.ToLower(secret) + ".example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	change(form)
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// handshake returns the client's error against a peer that does as serve says.
func handshake(t *testing.T, config *tls.Config, serve func(net.Conn)) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		theirs, err := listener.Accept()
		if err == nil {
			defer theirs.Close()
			serve(theirs)
		}
	}()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return tls.Client(ours, config).HandshakeContext(ctx)
}

// A peer's certificate and octets reach no error, whatever is wrong with them.
func TestNoWordOfThePeer(t *testing.T) {
	presenting := func(cert tls.Certificate) func(net.Conn) {
		return func(c net.Conn) { tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() }
	}
	good := certificate(t, func(*x509.Certificate) {})
	named := certificate(t, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "smsc.example") })
	old := certificate(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	trusting := func(cert tls.Certificate) *tls.Config {
		pool := x509.NewCertPool()
		pool.AddCert(cert.Leaf)
		return &tls.Config{RootCAs: pool, ServerName: "smsc.example"}
	}
	for name, c := range map[string]struct {
		config *tls.Config
		serve  func(net.Conn)
		want   string
	}{
		"another name":      {trusting(good), presenting(good), "not valid for the name smsc.example"},
		"unknown authority": {&tls.Config{RootCAs: x509.NewCertPool(), ServerName: "smsc.example"}, presenting(named), "not trusted"},
		"expired":           {trusting(old), presenting(old), "expired"},
		"no TLS":            {trusting(good), func(c net.Conn) { io.WriteString(c, secret+secret+"\r\n"); io.Copy(io.Discard, c) }, "does not speak TLS"},
		"old TLS": {trusting(good), func(c net.Conn) {
			tls.Server(c, &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10}).Handshake()
		}, "tls: "},
		"hangs up": {trusting(good), func(c net.Conn) { c.Read(make([]byte, 1<<14)) }, "EOF"}, // one that does not read resets
	} {
		t.Run(name, func(t *testing.T) {
			err := handshake(t, c.config, c.serve)
			if err == nil {
				t.Fatal("the handshake succeeded")
			}
			got := tlsfault.Plain(err).Error()
			if !strings.Contains(got, c.want) || strings.Contains(strings.ToLower(got), strings.ToLower(secret)) {
				t.Errorf("%q becomes %q, want %q in it", err, got, c.want)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	quoting := fmt.Errorf("x509: cannot parse dnsName %q", secret)
	for _, err := range []error{
		quoting,
		fmt.Errorf("tls: failed to parse certificate from server: %w", quoting),
		&tls.CertificateVerificationError{Err: quoting},
		x509.CertificateInvalidError{Reason: x509.CANotAuthorizedForThisName, Detail: secret},
		fmt.Errorf("tls: unexpected %q", secret),
	} {
		if got := tlsfault.Plain(err).Error(); strings.Contains(got, secret) || got == "" {
			t.Errorf("%q becomes %q", err, got)
		}
	}
	for _, err := range []error{context.DeadlineExceeded, context.Canceled, io.EOF, os.ErrDeadlineExceeded, &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}} {
		if got := tlsfault.Plain(err); !errors.Is(got, err) && got != err {
			t.Errorf("%v becomes %v: callers look for it", err, got)
		}
	}
	if tlsfault.Plain(nil) != nil {
		t.Error("no error becomes one")
	}
}
