package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWebhooks: every fault of a webhook is found at once, and none quotes a secret or the URL.
func TestWebhooks(t *testing.T) {
	dir := credentials(t, map[string]string{"telco.password": "hemlig", "good": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "short": "whsec_aGVtbGln",
		"bare": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "no.pem": "hunter2"})
	with := func(lines string) string {
		return smallest + "\n[[organisation.webhook]]\nname = \"crm\"\n" + lines + "\n"
	}
	const good = "url = \"https://crm.example.org/hooks?key=hunter2\"\nsecret_file = \"good\"\n"
	cfg, _, found, err := parse(with(good), now, false)
	if err != nil || len(found) > 0 {
		t.Fatalf("%v %v", err, found)
	}
	hook := cfg.Webhooks()[0]
	if hook.Organisation != "ttd" || hook.Name != "crm" || !hook.FinalOnly || hook.FromOldest || hook.MaxInFlight != 1 || hook.Timeout != 15*time.Second || hook.Secret.None() || !hook.FormerSecret.None() {
		t.Errorf("%+v", hook)
	}
	for lines, want := range map[string]string{
		"url = \"http://crm.example.org/\"\nsecret_file = \"good\"":            "url begins with http",
		"url = \"https://a:hunter2@crm.example.org/\"\nsecret_file = \"good\"": "url has a user name",
		"url = \"https://crm.example.org/#hunter2\"\nsecret_file = \"good\"":   "url has a fragment",
		"url = \"ftp://hunter2/\"\nsecret_file = \"good\"":                     "url must be like",
		"url = \"https:hunter2\"\nsecret_file = \"good\"":                      "url must be like",
		"secret_file = \"good\"":                                               "url is missing",
		"url = \"https://crm.example.org/\"":                                   "secret_file is missing",
		good + "former_secret_file = \"good\"":                                 "former_secret_file holds the same secret",
		good + "former_secret_file = \"short\"":                                "former_secret_file holds a secret that has 6 octets",
		good + "former_secret_file = \"bare\"":                                 `former_secret_file holds a secret that does not begin with "whsec_"`,
		good + "secret = \"hunter2\"":                                          "secret does not belong here",
		good + "changes = \"some\"":                                            "changes is",
		good + "begin = \"now\"":                                               "begin is",
		good + "max_in_flight = 65":                                            "max_in_flight is",
		good + "max_in_flight = 0":                                             "max_in_flight is",
		good + "timeout = \"2m\"":                                              "timeout is",
		good + "ca_file = \"" + dir + "/no.pem\"":                              "ca_file can't be used",
		good + "networks = [\"10.0.0.0/8\", \"10.1.2.3\"]":                     "networks[1] is",
		good + "networks = [\"10.1.2.3/8\"]":                                   "networks[0] is",
	} {
		_, _, found, err := parse(with(lines), now, false)
		if err != nil || len(found) != 1 || !strings.HasPrefix(found[0].Key+" "+found[0].Message, "organisation[0].webhook[0]."+want) || strings.Contains(found[0].Message, "hunter2") {
			t.Errorf("%s:\n%v %v, want %s", lines, found, err, want)
		}
	}
	twice := with(good) + strings.TrimPrefix(with(good), smallest)
	if _, _, found, _ := parse(twice, now, false); len(found) != 1 || found[0].Key != "organisation[0].webhook[1].name" {
		t.Errorf("two of one name: %v", found)
	}
	if _, _, found, _ := parse(with("url = \"http://10.0.0.1/\"\nplain_http = true\nsecret_file = \"good\""), now, false); len(found) > 0 {
		t.Errorf("plain http with an explicit yes: %v", found)
	}
	if err := os.Chmod(filepath.Join(dir, "good"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warnings, _, _ := parse(with(good), now, false); !strings.Contains(fmt.Sprint(warnings), "everybody on this machine can read") {
		t.Errorf("a secret that everybody can read: %v", warnings)
	}
	if err := os.Remove(filepath.Join(dir, "good")); err != nil {
		t.Fatal(err)
	}
	if _, _, found, err := parse(with(good), now, true); err != nil || len(found) > 0 {
		t.Errorf("sealed: %v %v", found, err)
	}
}
