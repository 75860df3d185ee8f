package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/audit"
	"straks/internal/clientcert"
	"straks/internal/clientcert/certtest"
	"straks/internal/eventually"
	"straks/orders"
)

// pki are the authorities of a test, and a verifier that trusts them: ttd has one of its own, other has the shared one.
type pki struct {
	shared, ttd *certtest.CA
	crl         string // file with the lists of ttd's
	revoked     tls.Certificate
	conf        clientcert.Config
	auth        *Callers
}

func newPKI(t testing.TB) *pki {
	t.Helper()
	p := &pki{shared: certtest.New("shared"), ttd: certtest.New("ttd"), crl: filepath.Join(t.TempDir(), "crl.pem")}
	p.revoked = p.ttd.Issue("backend")
	certtest.Replace(t, p.crl, p.ttd.CRL(time.Now().Add(time.Hour), p.revoked))
	p.conf = clientcert.Config{
		Authorities: []clientcert.Authority{
			{Key: "api", CAFiles: []string{certtest.File(t, p.shared)}},
			{Key: "organisation ttd", Organisation: "ttd", CAFiles: []string{certtest.File(t, p.ttd)}, CRLFiles: []string{p.crl}},
		},
		Rules: []clientcert.Rule{
			{Organisation: "ttd", Name: "mtls", CommonName: "backend", Scopes: []string{ScopeCreate}},
			{Organisation: "ttd", Name: "support", CommonName: "support", Scopes: []string{ScopeSupport}},
			{Organisation: "other", Name: "mtls", CommonName: "backend", Scopes: []string{ScopeCreate}},
		},
	}
	certs, err := clientcert.New(p.conf, slogDiscard())
	if err != nil {
		t.Fatal(err)
	}
	p.auth, err = NewCallers([]Token{{Organisation: "ttd", Name: "backend", SHA256: sum(ttdToken)}, {Organisation: "other", Name: "batch", SHA256: sum(otherToken)}}, nil, certs)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// showing returns a client that shows a certificate, if there is one; with sessions it resumes them.
func showing(t *testing.T, trusted *x509.CertPool, http2 bool, c *tls.Certificate, sessions tls.ClientSessionCache) *http.Client {
	client := clientOf(t, trusted, http2)
	conf := client.Transport.(*http.Transport).TLSClientConfig
	conf.ClientSessionCache = sessions
	if c != nil {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	return client
}

// ask looks the feed up, and returns the status and the answer.
func ask(t *testing.T, client *http.Client, addr, token string, options ...option) (int, string) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+addr+DefaultBasePath+"/future/shipment/feed", nil)
	if token != "" {
		as(token)(r)
	}
	for _, o := range options {
		o(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// TestClientCertificates: each kind of certificate, in a real handshake of each version of HTTP, alone and with tokens.
func TestClientCertificates(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2 %v", http2), func(t *testing.T) { tryCertificates(t, http2) })
	}
}

func tryCertificates(t *testing.T, http2 bool) {
	p := newPKI(t)
	w, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) { cfg.Auth = p.auth })
	now := time.Now()
	good, others, support := p.ttd.Issue("backend"), p.shared.Issue("backend"), p.ttd.Issue("support")
	between := p.shared.Below("between")
	changed := func(change func(*x509.Certificate)) *tls.Certificate {
		c := p.ttd.Issue("backend", change)
		return &c
	}
	of := func(c tls.Certificate) *tls.Certificate { return &c }
	for _, c := range []struct {
		name   string
		cert   *tls.Certificate
		token  string
		status int
		reason string // in the log
	}{
		{"no certificate", nil, "", 401, ""},
		{"no certificate, but a token", nil, ttdToken, 200, ""},
		{"right", &good, "", 200, ""},
		{"right, and a token", &good, ttdToken, 200, ""},
		{"right, and a bad token", &good, "guess", 401, "invalid token: unknown"},
		{"right, and another's token", &good, otherToken, 401, "of another organisation than the token"},
		{"of the shared authority", &others, "", 200, ""},
		{"of an authority in between", of(between.Issue("backend")), "", 200, ""},
		{"of an authority in between, which is not sent", of(between.Issue("backend")), "", 401, "no authority of ours"},
		{"without the scope", &support, "", 403, ""},
		{"unknown", of(p.ttd.Issue("nobody")), "", 401, "its subject is CN=nobody"},
		{"unknown, and a token", of(p.ttd.Issue("nobody")), ttdToken, 401, "its subject is CN=nobody"},
		{"the wrong authority", of(certtest.New("ttd").Issue("backend")), "", 401, "no authority of ours"},
		{"the authority of another organisation", of(p.shared.Issue("support")), "", 401, "its subject is CN=support"},
		{"expired", changed(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour) }), "", 401, "not valid now"},
		{"not yet valid", changed(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(time.Hour), now.Add(2*time.Hour) }), "", 401, "not valid now"},
		{"for servers", changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "", 401, "not for clients"},
		{"for encryption", changed(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), "", 401, "not for signatures"},
		{"signed by a client", of(p.ttd.Client("backend").Issue("backend")), "", 401, "no authority"},
		{"revoked", &p.revoked, "", 401, "it was revoked"},
		{"revoked, and a token", &p.revoked, ttdToken, 401, "it was revoked"},
	} {
		w.log.Take()
		cert := c.cert
		if strings.Contains(c.name, "not sent") {
			cert = &tls.Certificate{Certificate: c.cert.Certificate[:1], PrivateKey: c.cert.PrivateKey}
		}
		if status, body := ask(t, showing(t, trusted, http2, cert, nil), addr, c.token); status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, status, body, c.status)
		}
		if logged := w.log.Take(); c.reason == "" && strings.Contains(logged, "refused") || !strings.Contains(logged, c.reason) {
			t.Errorf("%s: want %q in %s", c.name, c.reason, logged)
		}
	}
	for _, name := range []string{"X-Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "SSL-Client-S-DN", "X-Amzn-Mtls-Clientcert"} {
		text := url.QueryEscape(string(certtest.PEM("CERTIFICATE", good.Certificate[0])))
		if status, _ := ask(t, showing(t, trusted, false, nil, nil), addr, "", header(name, text)); status != 401 {
			t.Errorf("a certificate in %s: %d", name, status)
		}
	}
}

// TestCertificateAfterHandshake: neither an open connection nor a resumed session lets in what was revoked meanwhile;
// nor does an authority that is gone.
func TestCertificateAfterHandshake(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, open := range []bool{true, false} {
			p := newPKI(t)
			_, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) { cfg.Auth = p.auth })
			cert := p.ttd.Issue("backend")
			client := showing(t, trusted, false, &cert, tls.NewLRUClientSessionCache(1))
			transport := client.Transport.(*http.Transport)
			transport.TLSClientConfig.MaxVersion = version
			resumed, reused := 0, 0
			transport.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error {
				if s.DidResume {
					resumed++
				}
				return nil
			}
			look := func() int {
				if !open {
					transport.CloseIdleConnections()
				}
				reused++
				status, _ := ask(t, client, addr, "")
				return status
			}
			for range 2 {
				if status := look(); status != 200 {
					t.Fatalf("%d", status)
				}
			}
			certtest.Replace(t, p.crl, p.ttd.CRL(time.Now().Add(time.Hour), cert))
			eventually.True(t, "the revoked one to be refused", func() bool { return look() == 401 })
			if !open && resumed == 0 || open && resumed > 0 {
				t.Errorf("%d of %d connections were resumed", resumed, reused)
			}
		}
	}
}

// TestCertificatesComeAndGo: clients are asked for certificates from the moment on at which there are authorities, by a
// server that runs.
func TestCertificatesComeAndGo(t *testing.T) {
	certs, err := clientcert.New(clientcert.Config{}, slogDiscard())
	if err != nil {
		t.Fatal(err)
	}
	auth, err := NewCallers([]Token{{Organisation: "ttd", Name: "backend", SHA256: sum(ttdToken)}}, nil, certs)
	if err != nil {
		t.Fatal(err)
	}
	_, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) { cfg.Auth = auth })
	ca := certtest.New("ca")
	cert := ca.Issue("backend")
	on := clientcert.Config{Authorities: []clientcert.Authority{{Key: "a", Organisation: "ttd", CAFiles: []string{certtest.File(t, ca)}}},
		Rules: []clientcert.Rule{{Organisation: "ttd", Name: "any", Scopes: []string{ScopeRead}}}}
	for i, want := range []int{401, 200, 401} {
		if err := certs.Set([]clientcert.Config{{}, on, {}}[i]); err != nil {
			t.Fatal(err)
		}
		if status, _ := ask(t, showing(t, trusted, true, &cert, nil), addr, ""); status != want {
			t.Errorf("%d: %d, want %d", i, status, want)
		}
		if status, _ := ask(t, showing(t, trusted, true, &cert, nil), addr, ttdToken); status != 200 {
			t.Errorf("%d, with a token: %d", i, status)
		}
	}
	bad := on
	bad.Authorities = []clientcert.Authority{{Key: "a", CAFiles: []string{filepath.Join(t.TempDir(), "none")}}}
	if err := certs.Set(bad); err == nil || certs.Asks() {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestAuditNamesTheCertificate: the audit and the log of orders name the certificate that a caller has shown.
func TestAuditNamesTheCertificate(t *testing.T) {
	p, dir := newPKI(t), t.TempDir()
	record, err := audit.New(audit.Config{Dir: dir}, slogDiscard(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- record.Run(ctx) }()
	w, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) { cfg.Auth, cfg.Audit = p.auth, record })
	cert := p.ttd.Issue("backend")
	client := showing(t, trusted, true, &cert, nil)
	alone := orderOf(t.Context(), addr, "alone")
	alone.Header.Del("Authorization")
	for _, r := range []*http.Request{alone, orderOf(t.Context(), addr, "with a token")} {
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 201 {
			t.Error(resp.Status)
		}
	}
	stop()
	<-done
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	var lines []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var e struct{ Action, Organisation, Token, Certificate string }
			if json.Unmarshal(line, &e) == nil && e.Action == audit.Order {
				lines = append(lines, fmt.Sprintf("%s %s %.9s", e.Organisation, e.Token, e.Certificate))
			}
		}
	}
	id, err := p.auth.certs.Identify([]*x509.Certificate{cert.Leaf})
	if err != nil || len(id.Fingerprint) != 64 {
		t.Fatal(err, id)
	}
	want := fmt.Sprintf("mtls %.4s", id.Fingerprint)
	if got := strings.Join(lines, "\n"); got != "ttd  "+want+"\nttd backend "+want {
		t.Errorf("the audit has %s, want %s", got, want)
	}
	if logged := w.log.String(); strings.Count(logged, `"organisation":"ttd","certificate":"mtls","channel"`) != 1 || !strings.Contains(logged, `"token":"backend","certificate":"mtls"`) {
		t.Errorf("logged: %s", logged)
	}
}
