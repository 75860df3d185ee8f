package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/daemon/daemontest"
	"straks/orders/bolt"
	"straks/orders/orderstest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// newJournal creates a journal with n shipments.
func newJournal(t *testing.T, n int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal.db")
	if err := bolt.Create(path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	j := openJournal(t, path)
	for range n {
		if _, claimed, err := j.Accept(t.Context(), orderstest.AcceptRequest(uuid.NewString())); err != nil || !claimed {
			t.Fatal(claimed, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func openJournal(t *testing.T, path string) *bolt.Journal {
	t.Helper()
	j, err := bolt.Open(path, bolt.Options{StallAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func succeed(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := straks(t, "", args...)
	if code != exitDone {
		t.Fatalf("straks %q: exit %d: %s", args, code, stderr)
	}
	return stdout
}

func stats(t *testing.T, path string) bolt.Stats {
	t.Helper()
	j := openJournal(t, path)
	defer j.Close()
	s, err := j.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJournal(t *testing.T) {
	path := newJournal(t, 7)
	if out := succeed(t, "journal", "stats", "-file", path); !strings.Contains(out, "shipments        7\n") {
		t.Errorf("stats: %s", out)
	}
	if out := succeed(t, "journal", "check", "-file", path); !strings.Contains(out, "sound") {
		t.Errorf("check: %s", out)
	}
	before := stats(t, path)
	succeed(t, "journal", "compact", "-file", path)
	compact, err := os.Stat(path)
	if err != nil || compact.Size() > 64<<10 {
		t.Errorf("compacted: %v (%v), with room for more than its pages", compact, err)
	}
	if after := stats(t, path); after.Shipments != 7 || after.ID != before.ID {
		t.Errorf("compacted: %+v, before %+v", after, before)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the journal lie %v (%v)", left, err)
	}
}

// TestInitFeedStart: a journal can be made whose numbers begin above those that clients hold.
func TestInitFeedStart(t *testing.T) {
	config := writeConfig(t, "")
	if out := succeed(t, "init", "-config", config, "-feed-start", "123456"); !strings.Contains(out, "above 123456") {
		t.Errorf("init: %s", out)
	}
	path := filepath.Join(filepath.Dir(config), "journal.db")
	succeed(t, "journal", "compact", "-file", path)
	if out := succeed(t, "journal", "stats", "-config", config); !strings.Contains(out, "feed start       123456\n") {
		t.Errorf("stats: %s", out)
	}
	if s := stats(t, path); s.FeedStart != 123456 {
		t.Errorf("%+v", s)
	}
}

// TestCompactOfADamagedJournal: compact fails, and changes nothing.
func TestCompactOfADamagedJournal(t *testing.T) {
	path := newJournal(t, 30)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 4 * os.Getpagesize(); at < len(sound); at += os.Getpagesize() {
		damaged := bytes.Clone(sound)
		copy(damaged[at:], bytes.Repeat([]byte{0xff}, 8)) // the page's number
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := straks(t, "", "journal", "compact", "-file", path)
		if code == exitDone { // a free page
			continue
		}
		if after, err := os.ReadFile(path); code != exitFailed || err != nil || !bytes.Equal(after, damaged) {
			t.Fatalf("exit %d, %v: %s", code, err, stderr)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
			t.Fatalf("beside the journal lie %v (%v)", left, err)
		}
		return
	}
	t.Error("no page was missed")
}

// TestCompactBehindALink: the configured path may be a symbolic link to the journal.
func TestCompactBehindALink(t *testing.T) {
	path, link := newJournal(t, 7), filepath.Join(t.TempDir(), "journal.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	succeed(t, "journal", "compact", "-file", link)
	if to, err := os.Readlink(link); to != path {
		t.Errorf("the link is gone: %q, %v", to, err)
	}
	if after, err := os.Stat(path); err != nil || os.SameFile(before, after) {
		t.Errorf("the journal was not replaced (%v)", err)
	}
}

// TestCompactIsCalledOff: an interrupted compact leaves the journal as it was.
func TestCompactIsCalledOff(t *testing.T) {
	path := newJournal(t, 7)
	before, _ := os.Stat(path)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if code := run(ctx, []string{"journal", "compact", "-file", path}, nil, io.Discard, io.Discard); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("replaced (%v)", err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the journal lie %v (%v)", left, err)
	}
}

func TestJournalBackup(t *testing.T) {
	path := newJournal(t, 7)
	copied := filepath.Join(t.TempDir(), "copy.db")
	succeed(t, "journal", "backup", "-file", path, copied)
	if s := stats(t, copied); s.Shipments != 7 {
		t.Errorf("the copy has %+v", s)
	}
	if code, _, stderr := straks(t, "", "journal", "backup", "-file", path, copied); code != exitFailed || !strings.Contains(stderr, "exists") {
		t.Errorf("over an older backup: exit %d, %s", code, stderr)
	}
	out := succeed(t, "journal", "backup", "-file", path, "-")
	if info, err := os.Stat(copied); err != nil || int64(len(out)) != info.Size() {
		t.Errorf("%d octets on stdout, want %d (%v)", len(out), info.Size(), err)
	}
}

// TestJournalOfAnOlderProgram: stats and check say what to do and change nothing, backup
// works, and the daemon migrates it.
func TestJournalOfAnOlderProgram(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	path := w.Config().Journal.Path
	older, err := os.Open("../../orders/bolt/testdata/schema4.db.gz") // written by a program with schema 4
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	unpacked, err := gzip.NewReader(older)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	for _, what := range []string{"stats", "check"} {
		code, _, stderr := straks(t, "", "journal", what, "-file", path)
		if code != exitFailed || !strings.Contains(stderr, "schema version 4") || !strings.Contains(stderr, "straks serve brings it up to date") {
			t.Errorf("%s: exit %d, %s", what, code, stderr)
		}
	}
	succeed(t, "journal", "backup", "-file", path, filepath.Join(t.TempDir(), "copy.db"))
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Fatal("the file was changed")
	}
	if err := startProcess(w).kill(); err != nil {
		t.Fatal(err)
	}
	succeed(t, "journal", "check", "-file", path)
}

// TestJournalInUse: while the daemon has the journal open only backup works, through the daemon.
func TestJournalInUse(t *testing.T) {
	path := newJournal(t, 7)
	j := openJournal(t, path)
	defer j.Close()
	for _, what := range []string{"stats", "check", "compact"} {
		code, _, stderr := straks(t, "", "journal", what, "-file", path)
		if code != exitFailed || !strings.Contains(stderr, "locked by another process") {
			t.Errorf("%s: exit %d, %s", what, code, stderr)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the journal lie %v (%v)", left, err)
	}
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := j.Backup(r.Context(), w); err != nil {
			t.Error(err)
		}
	}))
	defer admin.Close()
	config := writeConfig(t, "")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("[admin]\nlisten = \"127.0.0.1:0\""), []byte("[admin]\nlisten = \""+admin.Listener.Addr().String()+"\""), 1)
	another := filepath.Join(t.TempDir(), "straks.toml")
	if err := os.WriteFile(another, text, 0o600); err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(filepath.Join(filepath.Dir(config), "journal.db")), []byte(path), 1)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, where := range []string{"-admin=" + admin.URL, "-config=" + config} {
		copied := filepath.Join(t.TempDir(), fmt.Sprint(i))
		succeed(t, "journal", "backup", "-file", path, where, copied)
		if s := stats(t, copied); s.Shipments != 7 {
			t.Errorf("%s: the copy has %+v", where, s)
		}
	}
	code, _, stderr := straks(t, "", "journal", "backup", "-file", path, "-config", "/nonexistent/straks.toml", "-")
	if code != exitFailed || !strings.Contains(stderr, "Give -admin, or -config") {
		t.Errorf("the admin listener is not known: exit %d, %s", code, stderr)
	}
	code, _, stderr = straks(t, "", "journal", "backup", "-file", path, "-config", another, "-")
	if code != exitFailed || !strings.Contains(stderr, "is about another") {
		t.Errorf("the configuration is another's: exit %d, %s", code, stderr)
	}
}

// TestBackupBreaksOff: a truncated copy is deleted.
func TestBackupBreaksOff(t *testing.T) {
	path := newJournal(t, 1)
	j := openJournal(t, path)
	defer j.Close()
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half of it")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer admin.Close()
	copied := filepath.Join(t.TempDir(), "copy.db")
	code, _, _ := straks(t, "", "journal", "backup", "-file", path, "-admin", admin.URL, copied)
	if _, err := os.Stat(copied); code != exitFailed || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("exit %d, and the copy: %v", code, err)
	}
}
