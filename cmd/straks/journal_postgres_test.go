package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"straks/internal/doctor"
	"straks/internal/pgcluster"
	"straks/orders/bolt"
	"straks/orders/journaltest"
	"straks/orders/sealed"
)

// sharedConfig writes a configuration whose journal is in a database.
func sharedConfig(t *testing.T, dsn string) (path string) {
	t.Helper()
	path = writeConfig(t, "")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := strings.Cut(string(text), "[journal]\n")
	if _, rest, more := strings.Cut(after, "\n["); more {
		after = "[" + rest
	}
	shared := fmt.Sprintf("%s[journal]\nengine = \"postgres\"\npostgres = %q\n[node]\nid = 1\n%s", before, dsn, after)
	if err := os.WriteFile(path, []byte(shared), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSharedJournal runs the commands on a journal in PostgreSQL: made, looked at, taken over from a file.
func TestSharedJournal(t *testing.T) {
	db := servers(t, pgcluster.Options{Servers: 1})
	config := sharedConfig(t, db.DSN())
	fails := func(says string, args ...string) {
		t.Helper()
		if code, _, stderr := straks(t, "", args...); code == exitDone || !strings.Contains(stderr, says) {
			t.Errorf("straks %q: exit %d, %s; want %q", args, code, stderr, says)
		}
	}
	fails("straks init", "journal", "check", "-config", config)
	succeed(t, "init", "-config", config, "-feed-start", "500")
	fails("has a journal already", "init", "-config", config)
	if out := succeed(t, "upgrade", "-config", config); !strings.Contains(out, "present schema already") {
		t.Error(out)
	}
	if out := succeed(t, "journal", "check", "-config", config); !strings.Contains(out, "sound") {
		t.Error(out)
	}
	out := succeed(t, "journal", "stats", "-config", config, "-postgres", db.Primary.DSN())
	for _, row := range []string{"a primary", "shipments", "feed_head"} {
		if !strings.Contains(out, row) {
			t.Errorf("stats lack %q:\n%s", row, out)
		}
	}
	if out := succeed(t, "journal", "jump", "-config", config); !strings.Contains(out, "0 feeds") {
		t.Error(out)
	}
	for command, says := range map[string]string{"backup": "pg_basebackup", "compact": "autovacuum", "migrate": "straks upgrade"} {
		args := []string{"journal", command, "-config", config}
		if command == "backup" {
			args = append(args, filepath.Join(t.TempDir(), "copy"))
		}
		fails(says, args...)
	}
	bolted := writeConfig(t, "")
	fails("for a journal in PostgreSQL", "journal", "jump", "-config", bolted)
	fails("for a journal in PostgreSQL", "upgrade", "-config", bolted)
	fails("must be \"postgres\"", "journal", "move", "-config", bolted, "x")
	fails("-postgres", "journal", "stats", "-config", config, "-postgres", "host=x password=hemlig")
	moves(t, db, fails)
	examined(t, config)
}

// moves takes a journal in a file over, one with sealed recipients.
func moves(t *testing.T, db *pgcluster.Cluster, fails func(says string, args ...string)) {
	t.Helper()
	if err := db.Database(t.Context(), "moved"); err != nil {
		t.Fatal(err)
	}
	config := sharedConfig(t, db.DSNOf("moved"))
	dir := t.TempDir()
	path, keyFile := filepath.Join(dir, "journal.db"), filepath.Join(dir, "journal.key")
	key, own := sealed.NewKey(), sealed.NewKey()
	ownFile := filepath.Join(dir, "own.key")
	if err := os.WriteFile(ownFile, []byte(own.Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, bytes.Replace(text, []byte("[node]\n"), fmt.Appendf(nil, "key_file = %q\n[node]\n", ownFile), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	options := bolt.Options{StallAfter: time.Hour, Keys: sealed.Keys{Current: &key}}
	if err := bolt.Create(path, options); err != nil {
		t.Fatal(err)
	}
	j, err := bolt.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	journaltest.Fill(t, j)
	if err := os.WriteFile(keyFile, []byte(key.Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails("can't be read", "journal", "move", "-config", config, "-key-file", keyFile+"none", path)
	fails("locked by another process", "journal", "move", "-config", config, "-key-file", keyFile, path)
	j.Close()
	fails("key", "journal", "move", "-config", config, path)
	out := succeed(t, "journal", "move", "-config", config, "-key-file", keyFile, path)
	for _, row := range []string{"shipments", "keys", "feed entries", "sound", path + ".moved"} {
		if !strings.Contains(out, row) {
			t.Errorf("move does not say %q:\n%s", row, out)
		}
	}
	if _, err := os.Stat(path + ".moved"); err != nil {
		t.Error(err)
	}
	if out := succeed(t, "journal", "stats", "-config", config); !regexp.MustCompile(`plain recipients +0\nrecipients sealed with +` + own.ID.String()).MatchString(out) {
		t.Error(out)
	}
	fails("has a journal already", "init", "-config", config)
	succeed(t, "journal", "check", "-config", config)
	if err := os.Remove(ownFile); err != nil {
		t.Fatal(err)
	}
	if _, out, stderr := straks(t, "", "journal", "check", "-config", config); !strings.Contains(out, "sound") || !strings.Contains(stderr, "not checked") {
		t.Errorf("without the key: %s %s", out, stderr)
	}
}

// examined has the doctor look at the database: one server alone is no HA.
func examined(t *testing.T, config string) {
	t.Helper()
	code, out, stderr := straks(t, "", "doctor", "-config", config, "-resolver", "127.0.0.1:1", "-json")
	var said struct{ Findings []doctor.Finding }
	if err := json.Unmarshal([]byte(out), &said); err != nil || code != exitFailed {
		t.Fatalf("%d, %v: %s", code, err, stderr)
	}
	levels := make(map[string]doctor.Level)
	for _, f := range said.Findings {
		if f.Subject == "database" {
			levels[f.Check] = f.Level
		}
	}
	for check, want := range map[string]doctor.Level{"reachable": doctor.OK, "standby_names": doctor.Fix, "standbys": doctor.Fix, "fsync": doctor.OK, "clock": doctor.OK} {
		if levels[check] != want {
			t.Errorf("%s: %q, want %q (%s)", check, levels[check], want, stderr)
		}
	}
}
