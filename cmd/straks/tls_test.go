package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"straks/api/client"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// writeCertificate writes a certificate of 127.0.0.1 and its key, and returns
// who trusts it.
func writeCertificate(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for file, text := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: octets})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool
}

// The API speaks TLS 1.2 and up where a certificate is configured, and nothing else.
func TestTLS(t *testing.T) {
	w := newStoppedWorld(t, smsctest.Profile{}, relaytest.Profile{}, "")
	certFile, keyFile := filepath.Join(w.dir, "cert.pem"), filepath.Join(w.dir, "key.pem")
	trusted := writeCertificate(t, certFile, keyFile)
	text, err := os.ReadFile(w.configFile())
	if err != nil {
		t.Fatal(err)
	}
	withTLS := strings.Replace(string(text), "[api]\n", "[api]\ntls_cert_file = \""+certFile+"\"\ntls_key_file = \""+keyFile+"\"\n", 1)
	if err := os.WriteFile(w.configFile(), []byte(withTLS), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	defer func() { w.stop() }()

	speaking := func(highest uint16) (client.Placed, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MaxVersion: highest}}
		defer transport.CloseIdleConnections()
		c, err := client.New("https://"+w.daemon.apiAddr()+"/notifications/api/v1", w.token, &http.Client{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		return c.SendSMS(t.Context(), sms("k", "+4799999999"))
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
	if _, err := w.client.SendSMS(t.Context(), sms("k2", "+4799999999")); err == nil || len(w.smsc.Submits()) != 1 {
		t.Errorf("plain HTTP: %v, %d submits", err, len(w.smsc.Submits()))
	}
}
