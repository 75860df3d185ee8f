package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestAudit: what services and operators do is recorded, with who did it and what came of it, and without recipients, texts,
// tokens and keys. A change of the record shows.
func TestAudit(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	dir := filepath.Join(w.Dir, "audit")
	w.EditConfig("[journal]\n", "[audit]\ndir = \""+dir+"\"\n[journal]\n")
	log := w.KeepLog()
	w.Start()
	id := w.Send("a-secret-key", "+4799999999").ShipmentID
	w.Send("a-secret-key", "+4799999999")
	w.Status(id)
	if _, err := w.Client.Feed(t.Context(), client.FeedQuery{All: true}); err != nil {
		t.Fatal(err)
	}
	operate := func(args ...string) {
		t.Helper()
		if code, _, stderr := straks(t, "", append(args, "-admin", w.Daemon.AdminAddr())...); code != exitDone {
			t.Fatalf("%q: %s", args, stderr)
		}
	}
	operate("trace", "+4799999999", "-reason", "a call about a code")
	operate("block", "add", "kari@example.org", "-organisation", "ttd", "-reason", "asked for it")
	operate("block", "list")
	operate("block", "lift", "kari@example.org", "-organisation", "ttd", "-reason", "asked for it again")
	operate("journal", "backup", "-config", w.ConfigFile(), filepath.Join(w.Dir, "copy"))
	w.Stop()

	text, head := audited(t, dir), regexp.MustCompile(`"audit head","seq":\d+,"hash":"([0-9a-f]{64})"`).FindStringSubmatch(log.String())
	if head == nil {
		t.Fatal("the log has no head of the audit")
	}
	for _, want := range []string{
		`"action":"daemon.start"`,
		`"action":"token","organisation":"ttd","token":"backend"`,
		`"action":"order","organisation":"ttd","token":"backend","peer":"127.0.0.1:[0-9]+","object":"` + id + `","outcome":"created","reason":"SMS_`,
		`"object":"` + id + `","outcome":"repeated"`,
		`"action":"shipment.read","organisation":"ttd","token":"backend","peer":"[^"]+","object":"` + id + `"`,
		`"action":"feed.read"`,
		`"action":"lookup","user":"[^"]+","peer":"unix","object":"recipient","outcome":"ok","reason":"a call about a code","count":1`,
		`"action":"block.add","organisation":"ttd","user":"[^"]+","peer":"unix","object":"Email","outcome":"ok","reason":"asked for it"`,
		`"action":"blocks.read"`, `"action":"block.lift"`, `"action":"journal.backup"`,
	} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("the audit lacks %s", want)
		}
	}
	for _, secret := range []string{"99999999", "kari", "a-secret-key", w.Token, "Your code"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in the audit", secret)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}

	check := func(code int, want string, args ...string) {
		t.Helper()
		if got, stdout, stderr := straks(t, "", append([]string{"audit", "verify"}, args...)...); got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("verify %q: %d %s%s, want %d %s", args, got, stdout, stderr, code, want)
		}
	}
	check(exitDone, "nothing was changed; head "+head[1], dir, "-head", head[1])
	check(exitDone, "nothing was changed", "-config", w.ConfigFile())
	check(exitUsage, "64 hex digits", dir, "-head", "x")
	check(exitFailed, "no line has the hash", dir, "-head", strings.Repeat("a", 64))
	check(exitFailed, "no files", w.Dir)
	names, _ := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err := os.WriteFile(names[0], bytes.Replace(text, []byte("a call about a code"), []byte("a call about a card"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	check(exitFailed, "the line before is not the one that was written", dir)
}

// audited returns the lines of the audit.
func audited(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return text
}
