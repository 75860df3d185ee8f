package main

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"straks/internal/config"
)

// zone reads what dkim prints: the TXT records, by name, as a resolver returns them.
func zone(t *testing.T, text string) map[string]string {
	t.Helper()
	records := make(map[string]string)
	quoted := regexp.MustCompile(`"([^"]*)"`)
	for _, m := range regexp.MustCompile(`(?m)^(\S+)\. 3600 IN TXT \((.*) \)$`).FindAllStringSubmatch(text, -1) {
		for _, part := range quoted.FindAllStringSubmatch(m[2], -1) {
			if len(part[1]) > 255 {
				t.Errorf("%s has a string of %d octets", m[1], len(part[1]))
			}
			records[m[1]] += part[1]
		}
	}
	return records
}

// TestDKIMNew: a configuration of the printed stanza signs mails that verify by the printed records.
func TestDKIMNew(t *testing.T) {
	dir := t.TempDir()
	code, out, stderr := straks(t, "", "dkim", "new", "Example.org", "-selector", "s1", "-out", dir)
	if code != exitDone || stderr != "" || strings.Contains(out, "PRIVATE") {
		t.Fatalf("%d\n%s\n%s", code, out, stderr)
	}
	records := zone(t, out)
	if len(records) != 2 || records["s1._domainkey.example.org"] == "" || records["s1-ed25519._domainkey.example.org"] == "" {
		t.Errorf("records %q in\n%s", records, out)
	}
	_, stanza, ok := strings.Cut(out, "\n[[dkim]]\n")
	if !ok {
		t.Fatal(out)
	}
	path := filepath.Join(dir, "straks.toml")
	text := "api.listen = \"127.0.0.1:8080\"\nmetrics.listen = \"127.0.0.1:9090\"\njournal.path = \"/var/lib/straks/journal.db\"\n" +
		"email.default_sender = \"x@example.org\"\norganisation = [{name = \"ttd\"}]\nrelay = [{name = \"mx\", addr = \"10.0.0.6:25\"}]\n[[dkim]]\n" + stanza
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := cfg.SigningKeys()
	if len(keys) != 2 || keys[0].Private.(*rsa.PrivateKey).N.BitLen() != 2048 {
		t.Fatalf("keys %v", keys)
	}
	for _, k := range keys {
		var signed bytes.Buffer
		options := dkim.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.Private}
		if err := dkim.Sign(&signed, strings.NewReader("From: <x@example.org>\r\n\r\nKode\r\n"), &options); err != nil {
			t.Fatal(err)
		}
		all, err := dkim.VerifyWithOptions(&signed, &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return []string{records[name]}, nil }})
		if err != nil || len(all) != 1 || all[0].Err != nil {
			t.Errorf("%s: %v, %+v", k, err, all)
		}
	}
	code, shown, stderr := straks(t, "", "dkim", "show", "-config", path, "EXAMPLE.org")
	if code != exitDone || fmt.Sprint(zone(t, shown)) != fmt.Sprint(records) || !strings.Contains(shown, "; example.org: signs (rsa, 2048 bits)\n") {
		t.Errorf("show: %d\n%s\n%s", code, shown, stderr)
	}
}

// TestDKIMNewOverwritesNothing: not one of the files, and none is left where one could not be written.
func TestDKIMNewOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	name := func(kind string) string { return filepath.Join(dir, "example.org.s1."+kind+".pem") }
	if err := os.WriteFile(name("ed25519"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := straks(t, "", "dkim", "new", "-selector", "s1", "-out", dir, "example.org")
	if code != exitFailed || out != "" || !strings.Contains(stderr, "exists and is not overwritten") {
		t.Errorf("%d\n%s\n%s", code, out, stderr)
	}
	if text, _ := os.ReadFile(name("ed25519")); string(text) != "mine" {
		t.Error("the file was overwritten")
	}
	if _, err := os.Stat(name("rsa")); err == nil {
		t.Error("the other key was left")
	}
	if code, _, stderr := straks(t, "", "dkim", "new", "-selector", "s2", "-out", dir, "example.org"); code != exitDone {
		t.Fatal(stderr)
	}
	for _, kind := range []string{"rsa", "ed25519"} {
		if info, err := os.Stat(filepath.Join(dir, "example.org.s2."+kind+".pem")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", kind, info, err)
		}
	}
}

func TestDKIMCommandLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "straks.toml")
	text := "api.listen = \"127.0.0.1:8080\"\nmetrics.listen = \"127.0.0.1:9090\"\njournal.path = \"/j\"\norganisation = [{name = \"ttd\"}]\nrelay = [{name = \"mx\", addr = \"10.0.0.6:25\"}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.toml")
	text += "[[dkim]]\ndomain = \"example.org\"\nselector = \"s1\"\nrsa_key_file = \"/nonexistent/a\"\n[dkim.next]\nselector = \"s2\"\nrsa_key_file = \"/nonexistent/b\"\n"
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		code int
		told string
	}{
		{"dkim", exitUsage, "new, show"},
		{"dkim new", exitUsage, "DOMAIN is missing"},
		{"dkim new localhost", exitUsage, "is not a domain"},
		{"dkim new a@example.org", exitUsage, "is not a domain"},
		{"dkim new ../example.org", exitUsage, "is not a domain"},
		{"dkim new example.org -selector a/b", exitUsage, "-selector"},
		{"dkim new example.org -rsa 1024", exitUsage, "2048, 3072 or 4096"},
		{"dkim new example.org -out " + dir + "/missing", exitFailed, "can't be created: no such file"},
		{"dkim show -config " + path, exitFailed, "no [[dkim]] for any domain"},
		{"dkim show -config " + path + " example.com", exitFailed, "no [[dkim]] for example.com"},
		{"dkim show -config " + broken, exitFailed, "dkim[0].rsa_key_file can't be read"},
		{"dkim show -config " + broken, exitFailed, "dkim[0].next.rsa_key_file can't be read"},
	} {
		if code, out, stderr := straks(t, "", strings.Fields(tt.args)...); code != tt.code || !strings.Contains(stderr, tt.told) || out != "" {
			t.Errorf("%s: %d, %q\n%s", tt.args, code, out, stderr)
		}
	}
}
