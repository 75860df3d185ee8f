package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
)

// TestProgressLines: elsewhere than on a terminal there is a line every ten seconds, however often is reported, and one at
// the end.
func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(env{stderr: &out}, "journal check", records)
		for i := range int64(35_000) { // 35 s
			time.Sleep(time.Millisecond)
			p.report(i*100, 7_000_000)
		}
		p.end(nil)
		want := `journal check: 999,900 records of about 7,000,000 records (14 %), 99,990 records/s, 1m0s left
journal check: 1,999,900 records of about 7,000,000 records (28 %), 99,995 records/s, 50s left
journal check: 2,999,900 records of about 7,000,000 records (42 %), 99,996 records/s, 40s left
journal check: 3,499,900 records in 35s, 99,997 records/s
`
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	})
}

// TestProgressOfAFailure: a command that fails says why, and not that it is done.
func TestProgressOfAFailure(t *testing.T) {
	var out bytes.Buffer
	newProgress(env{stderr: &out}, "journal check", records).end(errors.New("x"))
	if out.Len() != 0 {
		t.Errorf("%q", out.String())
	}
}

// longCommands are the commands of the journal that take long over a large one, and how each ends.
func longCommands(t *testing.T) map[string][]string {
	path := newJournal(t, 50)
	older := newJournal(t, 0)
	setSchema(t, older, func(uint32) uint32 { return 4 })
	return map[string][]string{
		`journal check: [0-9,]+ records in `:   {"journal", "check", "-file", path},
		`journal backup: [0-9.]+ MiB in `:      {"journal", "backup", "-file", path, filepath.Join(t.TempDir(), "copy")},
		`journal compact: [0-9.]+ MiB in `:     {"journal", "compact", "-file", path},
		`journal migrate: [0-9,]+ records in `: {"journal", "migrate", "-file", older},
	}
}

// TestProgressInAPipe: one line, at the end, of a command that takes less than ten seconds.
func TestProgressInAPipe(t *testing.T) {
	for end, args := range longCommands(t) {
		code, _, stderr := straks(t, "", args...)
		if code != exitDone || !regexp.MustCompile("^"+end+".*/s\n$").MatchString(stderr) {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
}

// TestProgressOnATerminal: a line that changes, and one that stays.
func TestProgressOnATerminal(t *testing.T) {
	for end, args := range longCommands(t) {
		master, terminal, err := pty.Open()
		if err != nil {
			t.Skip("no pseudo terminal: ", err)
		}
		read := make(chan string)
		go func() {
			text, _ := io.ReadAll(master) // ends with EIO when the other end is closed
			read <- string(text)
		}()
		code := run(context.Background(), args, strings.NewReader(""), io.Discard, terminal)
		terminal.Close()
		got := <-read
		master.Close()
		drawn := regexp.MustCompile(`(?s)^\r\x1b\[K` + args[0] + " " + args[1] + `: .*/s.*\r\x1b\[K` + end + `.*/s\r\n$`)
		if code != exitDone || !drawn.MatchString(got) {
			t.Errorf("%v: exit %d, %q", args, code, got)
		}
	}
}

// TestNoTerminal: /dev/null is a device, and no terminal.
func TestNoTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if newProgress(env{stderr: null}, "x", records).terminal {
		t.Error("/dev/null is taken for a terminal")
	}
}
