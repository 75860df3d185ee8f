package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/orders/sealed"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestJournalKey: a key that is printed can be used, is another one each time, and has the id that -id prints.
func TestJournalKey(t *testing.T) {
	text := strings.TrimSpace(succeed(t, "journal", "key"))
	key, err := sealed.ParseKey(text)
	if err != nil || text == strings.TrimSpace(succeed(t, "journal", "key")) {
		t.Fatalf("%q: %v", text, err)
	}
	file := filepath.Join(t.TempDir(), "journal.key")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := succeed(t, "journal", "key", "-id", file); got != key.ID.String()+"\n" {
		t.Errorf("id %q of %v", got, key)
	}
	if err := os.WriteFile(file, []byte("hemmelig\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := straks(t, "", "journal", "key", "-id", file); code != exitFailed || !strings.Contains(stderr, "no key of a journal") || strings.Contains(stderr, "hemmelig") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestSealedJournalIsKilled: a daemon that is killed, and one that has a new key then, leave no recipient in any file.
// Without the key, or with another one, nothing starts, and check says why.
func TestSealedJournalIsKilled(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.SealJournal()
	send := func(p *process, n int) {
		c := w.ClientAt(p.api)
		for i := range n {
			order := daemontest.SMS(fmt.Sprintf("%d-%d", p.cmd.Process.Pid, i), "+4798765432")
			order.SendersReference = ""
			if _, err := c.SendSMS(t.Context(), order); err != nil {
				t.Fatal(err)
			}
			mail := daemontest.Mail(fmt.Sprintf("m%d-%d", p.cmd.Process.Pid, i), "Kari.Kanari@example.org")
			mail.SendersReference = ""
			if _, err := c.SendEmail(t.Context(), mail); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		p := startProcess(w)
		send(p, 5)
		if err := p.kill(); err != nil {
			t.Fatal(err)
		}
		wantNoRecipient(t, w.Dir)
	}
	if out := succeed(t, "journal", "check", "-config", w.ConfigFile()); !strings.Contains(out, "sound") {
		t.Error(out)
	}
	if out := succeed(t, "journal", "stats", "-config", w.ConfigFile()); !regexp.MustCompile(`plain recipients +0\n`).MatchString(out) || !strings.Contains(out, "sealed with") {
		t.Error(out)
	}
	text, err := os.ReadFile(w.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	w.EditConfig("key_file", "#key_file")
	for _, command := range []string{"serve", "check"} {
		if code, _, stderr := straks(t, "", command, "-config", w.ConfigFile()); code != exitFailed || !strings.Contains(stderr, "journal.key_file") {
			t.Errorf("%s without the key: exit %d: %s", command, code, stderr)
		}
	}
	if err := os.WriteFile(w.ConfigFile(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(w)
	send(p, 1)
	p.stop(t)
	wantNoRecipient(t, w.Dir)
}

// wantNoRecipient: no file of a folder has one of the test's recipients, in any case.
func wantNoRecipient(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		octets, err := os.ReadFile(path)
		for _, secret := range []string{"98765432", "kari.kanari"} {
			if bytes.Contains(bytes.ToLower(octets), []byte(secret)) {
				t.Errorf("%q is in %s", secret, path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
