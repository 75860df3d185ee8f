package smpp

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
)

// pemFiles writes a certificate and its key to files.
func pemFiles(t *testing.T, c tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", c.Certificate[0]), write("key.pem", "EC PRIVATE KEY", key)
}

func TestGatewayOverTLS(t *testing.T) {
	cert, pool := peertest.Certificate(t)
	certFile, keyFile := pemFiles(t, cert)
	s := centre(t, smsctest.Profile{TLS: &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13,
	}})
	c := account("telco", s)
	c.TLS = TLS{Mode: "on", CAFile: certFile, CertFile: certFile, KeyFile: keyFile, ServerName: "smsc.example", MinVersion: "1.3"}
	g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
	wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
}

func TestForeignCertificateIsRefused(t *testing.T) {
	cert, _ := peertest.Certificate(t)
	s := centre(t, smsctest.Profile{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	c := account("telco", s)
	c.TLS = TLS{Mode: "on", ServerName: "smsc.example"}
	g := run(t, Config{SMSCs: []SMSC{c}})
	eventually.True(t, "the failure to show", func() bool { return g.States()[0].State == StateDown })
	if n := s.Stats().Binds; n != 0 {
		t.Error("bound to an SMSC with an unknown certificate")
	}
}

func TestUnreadableFilesAreReportedWithTheirKeys(t *testing.T) {
	c := minimal()
	c.SMSCs[0].TLS = TLS{Mode: "on", CAFile: "/nowhere/ca.pem", CertFile: "/nowhere/cert.pem", KeyFile: "/nowhere/key.pem"}
	_, err := New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if got := keys(err); !slices.Equal(got, []string{"smsc[0].tls.ca_file", "smsc[0].tls.cert_file"}) {
		t.Errorf("%q, %v", got, err)
	}
}
