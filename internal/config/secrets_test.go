package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestNoFaultQuotesASecret: whatever key a password, a token or a private key was pasted into, and however it is
// written, no fault and no warning repeats it.
func TestNoFaultQuotesASecret(t *testing.T) {
	const word, token = "hunter2!Zwiebel", "straks_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	stanzas := map[string][]string{
		"[[smsc]]\n":               {"password", "password_file", "pasword", "secret", "system_id", "name", "addr", "tls.ca_file", "tls.cert_file", "tls.key_file", "more_addrs", "errors.x.y", "tls"},
		"[[relay]]\n":              {"password", "password_file", "token", "username", "name", "addr", "ca_file", "client_cert", "client_key"},
		"[[organisation.token]]\n": {"sha256", "token", "name", "expires", "value"},
		"[admin]\n":                {"token_file", "token", "password"},
		"[api]\n":                  {"tls_key_file", "tls_cert_file", "token", "key"},
		"[[dkim]]\n":               {"domain", "selector", "ed25519_selector", "rsa_key_file", "ed25519_key_file", "rsa_key", "private_key", "next", "next.selector", "next.rsa_key_file"},
		"":                         {"password", "smsc", "token"},
	}
	for _, dir := range []string{"", t.TempDir()} {
		t.Setenv("CREDENTIALS_DIRECTORY", dir)
		for stanza, keys := range stanzas {
			for _, key := range keys {
				for _, secret := range []string{word, token, "/" + word, "./" + word, "straks:" + word + "@10.0.0.5:2775", "81726354", "-----BEGIN PRIVATE KEY-----"} {
					for _, form := range []string{`%q`, `%s`, `["%s"]`, `{ value = "%s" }`, `"%s`, "\"%s\"\n%[2]s = \"%[1]s\"", `"""%s`} {
						line := key + " = " + fmt.Sprintf(form, secret, key)
						if !strings.Contains(form, "%[2]s") {
							line = key + " = " + fmt.Sprintf(form, secret)
						}
						text := strings.Replace(smallest, stanza, stanza+line+"\n", 1)
						if stanza == "[admin]\n" {
							text = smallest + stanza + "listen = \"127.0.0.1:9091\"\n" + line + "\n"
						}
						if stanza == "[[dkim]]\n" {
							text = smallest + stanza + line + "\n"
						}
						_, warnings, found, err := parse(text, now, false)
						told := fmt.Sprint(err, "\n", found, "\n", warnings)
						if strings.Contains(told, strings.TrimLeft(secret, "./")) || strings.Contains(told, word) {
							t.Errorf("%s%s:\n%s", stanza, line, told)
						}
					}
				}
			}
		}
	}
}

// TestFaultsNameTheStanza: an operator with ten SMSCs does not count them.
func TestFaultsNameTheStanza(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	text := strings.NewReplacer(`addr = "10.0.0.5:2775"`, `addr = "nowhere"`, `addr = "10.0.0.6:25"`, `addr = ""`, `name = "backend"`, `name = "b/e"`).Replace(smallest)
	_, _, found, err := parse(text, now, false)
	want := `organisation[0].token[0].name (organisation "ttd") must be 1 to 64 letters, digits, '.', '-' and '_', a letter or digit first
relay[0].addr (relay "mx") is missing
smsc[0].addr (smsc "telco") must be host and port, like "10.0.0.5:2775"`
	if err != nil || found.Error() != want {
		t.Errorf("%v:\n%v\nwant\n%s", err, found, want)
	}
	_, _, found, _ = parse(strings.Replace(smallest, "[api]", "[api]\nsend_deadline = \"20s\"\nwrite_timeout = \"20s\"", 1), now, false)
	if got := found.Error(); !strings.Contains(got, "api.write_timeout is 20s, must be between 21s (a second more than api.send_deadline, 20s) and 10m0s") {
		t.Errorf("a limit that follows from another key: %s", got)
	}
}
