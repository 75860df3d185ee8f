package config

import (
	"strings"
	"testing"

	"straks/api"
)

// withIssuers comes before issuers; its last table is the organisation.
const withIssuers = `
api.listen = "127.0.0.1:8080"
metrics.listen = "127.0.0.1:9090"
journal.path = "/var/lib/straks/journal.db"

[[smsc]]
name = "telco"
addr = "10.0.0.5:2775"
system_id = "straks"

[[organisation]]
name = "ttd"
`

const issuers = `
[[issuer]]
name = "maskinporten"
preset = "maskinporten"

[[issuer]]
name = "own"
issuer = "https://id.example.org"
organisation_claims = ["client_id"]
audiences = ["straks"]
create_scopes = ["send", "all"]
read_scopes = ["all"]

[organisation.identities]
maskinporten = ["0192:991825827", "974760673"]
own = ["login"]
`

func TestIssuers(t *testing.T) {
	cfg, warnings, found, err := parse(withIssuers+issuers, now, false)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	for _, w := range warnings {
		if strings.Contains(w.Key, "issuer") {
			t.Errorf("warned of %v", w)
		}
	}
	all := cfg.TokenIssuers()
	if got := all[0]; got.Keys.Issuer != "https://maskinporten.no/" || got.Use.Organisations["991825827"] != "ttd" || got.Use.Organisations["974760673"] != "ttd" ||
		len(got.Use.Claims) != 1 || got.Use.Claims[0] != "consumer.ID" || len(got.Use.Grants) > 0 {
		t.Errorf("maskinporten: %+v", got)
	}
	if got := all[1].Use; got.Organisations["login"] != "ttd" || len(got.Scopes["all"]) != 2 || len(got.Scopes["send"]) != 1 || got.Scopes["send"][0] != api.ScopeCreate {
		t.Errorf("own: %+v", got)
	}
}

func TestIssuerFaults(t *testing.T) {
	for _, c := range []struct{ change, by, key, says string }{
		{`preset = "maskinporten"`, `preset = "maskinport"`, "issuer[0].preset", "must be one of"},
		{`preset = "maskinporten"`, `preset = "platform-access-token"`, "issuer[0].issuer", "is missing"},
		{`issuer = "https://id`, `issuer = "http://id`, "issuer[1].issuer", "https://"},
		{`audiences = ["straks"]`, `jwks_url = "ftp://x"`, "issuer[1].jwks_url", "https://"},
		{`audiences = ["straks"]`, `keys_file = "/nowhere"`, "issuer[1].keys_file", "can't be read"},
		{`audiences = ["straks"]`, "keys_file = \"/x\"\njwks_url = \"https://x\"", "issuer[1].keys_file", "exclude each other"},
		{`audiences = ["straks"]`, `leeway = "1h"`, "issuer[1].leeway", "between"},
		{`audiences = ["straks"]`, `header = "Authorization"`, "issuer[1].header", "of its own"},
		{`organisation_claims = ["client_id"]`, ``, "issuer[1].organisation_claims", "client_id"},
		{`name = "own"`, `name = "maskinporten"`, "issuer[1].name", "issuer[0].name"},
		{`own = ["login"]`, `owm = ["login"]`, "organisation[0].identities.owm", `did you mean "own"?`},
		{`own = ["login"]`, `own = ["login", "login"]`, "organisation[0].identities.own[1]", "own[0]"},
		{`own = ["login"]`, `own = [" "]`, "organisation[0].identities.own[0]", "blank"},
	} {
		text := strings.Replace(issuers, c.change, c.by, 1)
		if text == issuers {
			t.Fatalf("%s is not in the text", c.change)
		}
		_, _, found, err := parse(withIssuers+text, now, false)
		if err != nil {
			t.Fatal(c.by, err)
		}
		if !strings.Contains(found.Error(), c.key[strings.LastIndex(c.key, ".")+1:]+" ") || !strings.Contains(found.Error(), c.says) {
			t.Errorf("%s: %v, want %s %s", c.by, found, c.key, c.says)
		}
	}
	_, warnings, _, _ := parse(withIssuers+strings.Replace(issuers, `own = ["login"]`, "", 1), now, false)
	if !strings.Contains(textOf(warnings), "good for nothing") {
		t.Error("no warning of an issuer without identities")
	}
}

func textOf(all []Warning) string {
	var b strings.Builder
	for _, w := range all {
		b.WriteString(w.Key + " " + w.Message + "\n")
	}
	return b.String()
}
