package daemon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// With a certificate the API speaks TLS 1.2 and later, and nothing else.
func TestTLS(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	cert, trusted, file := certificate(t)
	w.Configure("[api]", fmt.Sprintf("tls_cert_file = %[1]q\ntls_key_file = %[1]q", file))
	w.Start()

	speaking := func(highest uint16) (client.Placed, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MaxVersion: highest}}
		defer transport.CloseIdleConnections()
		c, err := client.New("https://"+w.Daemon.APIAddr()+"/notifications/api/v1", w.Token, &http.Client{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		return c.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999"))
	}
	if p, err := speaking(tls.VersionTLS13); err != nil || !p.Created {
		t.Errorf("TLS 1.3: %+v, %v", p, err)
	}
	if p, err := speaking(tls.VersionTLS12); err != nil || p.Created {
		t.Errorf("TLS 1.2: %+v, %v", p, err)
	}
	if _, err := speaking(tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, err := w.Client.SendSMS(t.Context(), daemontest.SMS("k2", "+4799999999")); err == nil || len(w.SMSC.Submits()) != 1 {
		t.Errorf("plain HTTP: %v, %d submits", err, len(w.SMSC.Submits()))
	}
	if until := metric(w, "straks_api_certificate_not_after_seconds"); until != float64(cert.Leaf.NotAfter.Unix()) {
		t.Errorf("the certificate is said to expire at %v, and does so at %v", until, cert.Leaf.NotAfter)
	}
}

// A renewed certificate is in use from the next connection on, without a restart or a reload.
func TestRenewedCertificate(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	_, _, file := certificate(t)
	w.Configure("[api]", fmt.Sprintf("tls_cert_file = %[1]q\ntls_key_file = %[1]q", file))
	w.Start()
	next, trusted, renewed := certificate(t)
	if err := os.Rename(renewed, file); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	defer transport.CloseIdleConnections()
	c, err := client.New("https://"+w.Daemon.APIAddr()+"/notifications/api/v1", w.Token, &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Error(err)
	}
	if until := metric(w, "straks_api_certificate_not_after_seconds"); until != float64(next.Leaf.NotAfter.Unix()) {
		t.Errorf("the certificate is said to expire at %v", until)
	}
}

// metric returns the one value of a metric that has no labels.
func metric(w *daemontest.World, name string) float64 {
	w.T.Helper()
	families, err := w.Registry.Gather()
	if err != nil {
		w.T.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.T.Fatalf("there is no %s", name)
	return 0
}

// The SMSC requires a certificate, and has one that only our CA file trusts.
func TestTLSByConfiguration(t *testing.T) {
	cert, pool, file := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13}
	w := daemontest.New(t, smsctest.Profile{TLS: server}, fmt.Sprintf(`
[smsc.tls]
mode = "on"
ca_file = %[1]q
cert_file = %[1]q
key_file = %[1]q
server_name = "smsc.example"
min_version = "1.3"`, file))
	w.Await(w.Send("k", "+4799999999").ShipmentID, "SMS_Delivered")
}

// certificate returns a self-signed certificate for both ends, a pool that trusts it, and
// a file with it and its key.
func certificate(t *testing.T) (cert tls.Certificate, pool *x509.CertPool, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"smsc.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})...)
	file = filepath.Join(t.TempDir(), "smsc.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	if cert, err = tls.X509KeyPair(both, both); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(both)
	return cert, pool, file
}
