package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"straks/codes"
	"straks/hooks"
	"straks/internal/clientcert/certtest"
	"straks/internal/daemon/daemontest"
	"straks/orders/postgres/examine"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestMonitoringMatchesTheDaemon: every metric that alert rules, dashboard and documents
// name exists from the start, with the labels and values that they name, if the API has TLS, an issuer
// and an authority for clients, there is an audit, reports about mails are taken, and there are verification codes. Those of a
// node with PostgreSQL are held against one in cmd/straks.
func TestMonitoringMatchesTheDaemon(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	_, _, file := certificate(t)
	w.Configure("[api]", fmt.Sprintf("tls_cert_file = %[1]q\ntls_key_file = %[1]q", file))
	w.EditConfig("[journal]\n", fmt.Sprintf("[audit]\ndir = %q\n[journal]\n", w.Dir+"/audit"))
	w.TakeReports(fmt.Sprintf("tls_cert_file = %[1]q\ntls_key_file = %[1]q", file))
	w.EditConfig("[[organisation]]", "[[issuer]]\nname = \"idp\"\npreset = \"maskinporten\"\njwks_url = \"http://127.0.0.1:1/jwk\"\n\n[[organisation]]")
	w.EditConfig("[[organisation]]\n", "[[organisation]]\nrate = 1000.0\n")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(hooks.NewSecret()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.EditConfig("[[organisation.token]]", fmt.Sprintf("[[organisation.webhook]]\nname = \"crm\"\nurl = \"http://127.0.0.1:9/\"\nsecret_file = %q\n[[organisation.token]]", secret))
	w.EditConfig("[[organisation]]\n", "[[price]]\nprice = \"1.00\"\n[[organisation]]\nbudget_per_month = \"1000.00\"\n")
	key := filepath.Join(t.TempDir(), "verification.key")
	if err := os.WriteFile(key, []byte(codes.NewKey().Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.EditConfig("[journal]\n", fmt.Sprintf("[verification]\nkey_file = %q\n[journal]\n", key))
	ca := certtest.New("ca")
	crl := filepath.Join(t.TempDir(), "crl")
	certtest.Replace(t, crl, ca.CRL(time.Now().Add(time.Hour)))
	w.EditConfig("[[organisation]]\n", fmt.Sprintf("[[organisation]]\nclient_ca_files = [%q]\nclient_crl_files = [%q]\n", certtest.File(t, ca), crl))
	w.EditConfig("[[organisation.token]]\n", "[[organisation.token]]\nexpires = 2099-01-31\n")
	w.Start()
	examine.NewWatch(nil, examine.Options{}, false, w.Log, w.Registry) // as a daemon has it whose journal is in a database
	families, err := w.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range families {
		byName[f.GetName()] = f
	}
	selector := regexp.MustCompile(`\b(straks_[a-z_]+)(\{[^}]*\})?`)
	matcher := regexp.MustCompile(`([a-z]+)(=~|!~|!=|=)\\?"([^"\\]*)`)
	asked := 0
	for _, file := range []string{"configs/alerts.yml", "configs/rules.yml", "configs/dashboard.json", "configs/straks.toml", "docs/operations.md", "docs/cluster.md", "docs/mail.md", "docs/cost.md", "docs/monitoring.md", "docs/performance.md", "docs/verification.md", "README.md"} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range selector.FindAllStringSubmatch(string(text), -1) {
			asked++
			if daemontest.OfNode.MatchString(m[1]) {
				continue
			}
			f := byName[m[1]]
			if f == nil {
				f = byName[strings.TrimSuffix(m[1], "_bucket")]
			}
			if f == nil {
				t.Errorf("%s asks for %s, which the daemon does not have", file, m[1])
				continue
			}
			for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
				checkLabel(t, file, f, l[1], l[2], l[3])
			}
		}
	}
	if asked < 30 {
		t.Errorf("found only %d metrics in the files", asked)
	}
}

// checkLabel checks one matcher; instance and job are the scraper's.
func checkLabel(t *testing.T, file string, f *dto.MetricFamily, label, operator, value string) {
	t.Helper()
	if label == "instance" || label == "job" {
		return
	}
	var have []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				have = append(have, l.GetValue())
			}
		}
	}
	if len(have) == 0 {
		t.Errorf("%s: %s has no label %s", file, f.GetName(), label)
		return
	}
	for _, want := range strings.Split(value, "|") {
		if !strings.HasPrefix(operator, "!") && !slices.Contains(have, want) {
			t.Errorf("%s: %s has no series with %s %q", file, f.GetName(), label, want)
		}
	}
}
