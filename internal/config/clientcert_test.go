package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"straks/internal/clientcert/certtest"
)

const withCertificates = `
api.listen = "127.0.0.1:8080"
%s
metrics.listen = "127.0.0.1:9090"
journal.path = "/var/lib/straks/journal.db"

[[smsc]]
name = "telco"
addr = "10.0.0.5:2775"
system_id = "straks"
%s`

// TestClientCertificateFaults: every fault of certificates and their files is said at once, with its key.
func TestClientCertificateFaults(t *testing.T) {
	shared, own, stranger := certtest.New("shared"), certtest.New("own"), certtest.New("shared")
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%q", path)
	}
	now := time.Now()
	ca, ownCA := file("ca", certtest.Certificates(shared)), file("own", certtest.Certificates(own))
	forged, old := file("forged", stranger.CRL(now.Add(time.Hour))), file("old", shared.CRL(now.Add(-time.Hour)))
	junk := file("junk", []byte("junk"))
	text := fmt.Sprintf(withCertificates, "api.client_ca_files = ["+ca+", "+junk+", \"/none\"]\napi.client_crl_files = ["+forged+", "+old+"]\napi.client_crl_grace = \"31d\"", `
[[organisation]]
name = "a"
client_ca_files = [`+ownCA+`]
[[organisation.certificate]]
name = "any"
[[organisation.certificate]]
name = "any"
subject = "CN=a;O=b"
dns = "*.example.org"
uri = "backend"
email = "Drift <drift@example.org>"
scopes = ["all"]
[[organisation]]
name = "b"
client_ca_files = [`+ownCA+`]
client_crl_files = [`+junk+`]
[[organisation]]
name = "c"
client_crl_files = [`+old+`]
[[organisation.certificate]]
name = "x"
[[organisation.certificate]]
name = "y"
common_name = "backend"
scopes = []
[[organisation]]
name = "d"
[[organisation.certificate]]
common_name = "backend"
`)
	_, warnings, found, err := parse(text, now, false)
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(` \(organisation "."\)`).ReplaceAllString(found.Error(), "")
	for _, want := range []string{
		"api.client_ca_files[1] can't be used", "api.client_ca_files[2] can't be used: no such file", "api.client_crl_files[0] can't be used", "does not have the signature",
		"api.client_crl_grace is 31d", "api.client_ca_files has no effect without api.tls_cert_file",
		"organisation[0].certificate[1].name is that of organisation[0].certificate[0].name", "organisation[0].certificate[1].subject is", "organisation[0].certificate[1].dns",
		"organisation[0].certificate[1].uri", "organisation[0].certificate[1].email", "organisation[0].certificate[1].scopes[0]",
		"organisation[1].client_ca_files has an authority", "organisation[1].client_crl_files[0] can't be used", "organisation[2].client_crl_files has no effect without client_ca_files",
		"organisation[2].certificate[0].subject is missing", "organisation[2].certificate[1].scopes is empty",
		"organisation[3].certificate[0].name is missing", "organisation[3].certificate[0].subject and the other names are those of organisation[2].certificate[1].name",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not said in\n%s", want, all)
		}
	}
	said := fmt.Sprint(warnings)
	for _, want := range []string{"api.client_crl_files[1]", "is out of date since", "organisation[1].client_ca_files", "vouches for nobody"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not warned of in\n%s", want, said)
		}
	}
}

// TestClientCertificates: what the daemon gets, and what a reload may change.
func TestClientCertificates(t *testing.T) {
	shared, own := certtest.New("shared"), certtest.New("own")
	text := fmt.Sprintf(withCertificates, "", fmt.Sprintf(`
[[organisation]]
name = "a"
client_ca_files = [%q]
[[organisation.certificate]]
name = "any"
scopes = ["read"]
[[organisation]]
name = "b"
[[organisation.certificate]]
name = "one"
subject = "CN = backend, C = NO"
`, certtest.File(t, own)))
	load := func(text string) *Config {
		cfg, _, found, err := parse(text, time.Now(), true)
		if err != nil || len(found) > 0 {
			t.Fatal(err, found)
		}
		return cfg
	}
	before := load(text)
	after := load(strings.Replace(text, "metrics.listen", fmt.Sprintf("api.client_ca_files = [%q]\nmetrics.listen", certtest.File(t, shared)), 1))
	if changed := after.KeepFixed(before); len(changed) > 0 {
		t.Errorf("needs a restart: %v", changed)
	}
	got := after.ClientCertificates()
	if len(got.Authorities) != 2 || got.Authorities[0].Organisation != "" || got.Authorities[1].Organisation != "a" || got.Grace != 24*time.Hour {
		t.Errorf("%+v", got)
	}
	if r := got.Rules; len(r) != 2 || !r[0].Any() || r[0].Scopes[0] != "straks:read" || r[1].Organisation != "b" || r[1].Subject != "CN=backend,C=NO" {
		t.Errorf("%+v", r)
	}
	if got := load(text).ClientCertificates(); len(got.Authorities) != 1 {
		t.Errorf("%+v", got)
	}
}
