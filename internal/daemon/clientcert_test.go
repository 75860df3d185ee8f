package daemon_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/clientcert/certtest"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestClientCertificateOfAnOrganisation: an order by certificate alone; a reload brings the first authority and takes it
// away again; a list that changes is in force by itself.
func TestClientCertificateOfAnOrganisation(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	_, trusted, file := certificate(t)
	w.Configure("[api]", fmt.Sprintf("tls_cert_file = %[1]q\ntls_key_file = %[1]q", file))
	w.Start()
	ca, crl := certtest.New("ttd's"), filepath.Join(t.TempDir(), "crl")
	certtest.Replace(t, crl, ca.CRL(time.Now().Add(time.Hour)))
	cert := ca.Issue("backend")
	n := 0
	send := func() error {
		n++
		c, done := certificateClient(t, w, trusted, cert)
		defer done()
		_, err := c.SendSMS(t.Context(), daemontest.SMS(fmt.Sprint("k", n), "+4799999999"))
		return err
	}
	if err := send(); !isStatus(err, 401) {
		t.Errorf("before: %v", err)
	}
	own := fmt.Sprintf("client_ca_files = [%q]\nclient_crl_files = [%q]\n", certtest.File(t, ca), crl)
	stanza := "[[organisation.certificate]]\nname = \"mtls\"\ncommon_name = \"backend\"\n"
	w.EditConfig("[[organisation]]\n", "[[organisation]]\n"+own)
	w.EditConfig("[[organisation.token]]", stanza+"[[organisation.token]]")
	if done, err := w.Daemon.Reload(); err != nil || len(done.Restart) > 0 {
		t.Fatal(done, err)
	}
	if err := send(); err != nil {
		t.Errorf("with an authority: %v", err)
	}
	w.EditConfig("common_name = \"backend\"", "common_name = \"other\"")
	w.EditConfig(stanzaPath(crl), stanzaPath(crl+".none"))
	if _, err := w.Daemon.Reload(); err == nil || !strings.Contains(err.Error(), "organisation[0].client_crl_files[0]") {
		t.Errorf("a list that is not there: %v", err)
	}
	if err := send(); err != nil {
		t.Errorf("after a reload that was refused: %v", err)
	}
	w.EditConfig(stanzaPath(crl+".none"), stanzaPath(crl))
	w.EditConfig("common_name = \"other\"", "common_name = \"backend\"")
	certtest.Replace(t, crl, ca.CRL(time.Now().Add(time.Hour), cert))
	eventually.True(t, "the revoked one to be refused", func() bool { return isStatus(send(), 401) })
	w.EditConfig(own, "")
	w.EditConfig(stanza, "")
	if done, err := w.Daemon.Reload(); err != nil || len(done.Restart) > 0 {
		t.Fatal(done, err)
	}
	if err := send(); !isStatus(err, 401) {
		t.Errorf("after: %v", err)
	}
	if _, err := w.Client.SendSMS(t.Context(), daemontest.SMS("plain", "+4799999999")); err == nil {
		t.Error("plain HTTP is spoken")
	}
}

func stanzaPath(crl string) string { return fmt.Sprintf("client_crl_files = [%q]", crl) }

// certificateClient returns a client of the API without a token, and what closes its connections.
func certificateClient(t *testing.T, w *daemontest.World, trusted *x509.CertPool, cert tls.Certificate) (*client.Client, func()) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{cert}}}
	c, err := client.New("https://"+w.Daemon.APIAddr()+"/notifications/api/v1", "none", &http.Client{Transport: withoutToken{transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c, transport.CloseIdleConnections
}

// withoutToken removes the header of tokens.
type withoutToken struct{ next http.RoundTripper }

func (w withoutToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	return w.next.RoundTrip(r)
}
