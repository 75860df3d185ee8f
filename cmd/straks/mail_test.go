package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/internal/config"
)

// TestMailKey: a configuration of the printed stanza has return paths, and the secret is in the file alone.
func TestMailKey(t *testing.T) {
	dir := t.TempDir()
	code, out, stderr := straks(t, "", "mail", "key", "-out", dir, "Bounce.Example.org")
	if code != exitDone || stderr != "" {
		t.Fatalf("%d\n%s\n%s", code, out, stderr)
	}
	_, stanza, ok := strings.Cut(out, "\n[mail]\n")
	files, _ := filepath.Glob(filepath.Join(dir, "bounce.example.org.*.key"))
	if !ok || len(files) != 1 {
		t.Fatalf("files %q after\n%s", files, out)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(files[0]); info.Mode().Perm() != 0o600 || strings.Contains(out, strings.TrimSpace(string(text))) {
		t.Errorf("mode %v", info.Mode())
	}
	path := filepath.Join(dir, "straks.toml")
	text = []byte("api.listen = \"127.0.0.1:8080\"\nmetrics.listen = \"127.0.0.1:9090\"\njournal.path = \"/var/lib/straks/journal.db\"\n" +
		"organisation = [{name = \"ttd\"}]\nrelay = [{name = \"mx\", addr = \"10.0.0.6:25\"}]\n[mail]\n" + stanza)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if paths := cfg.Mail.Paths(); paths.Keys == nil || paths.Domain != "bounce.example.org" {
		t.Errorf("got %+v", paths)
	}
}

func TestMailKeyMisused(t *testing.T) {
	for _, args := range [][]string{{"mail", "key"}, {"mail", "key", "x"}, {"mail"}, {"mail", "keys", "bounce.example.org"}} {
		if code, _, stderr := straks(t, "", args...); code != exitUsage || stderr == "" {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
}
