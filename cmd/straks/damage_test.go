package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestBadPageEndsTheProcess: a page of the journal that can't be read ends the daemon with exit code 1
// and a last line that says what to do; the operator's commands report the page.
func TestBadPageEndsTheProcess(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	p := startProcess(w)
	c := w.ClientAt(p.api)
	if _, err := c.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Fatal(err)
	}
	spoilPages(t, w.JournalFile())
	c.SendSMS(t.Context(), daemontest.SMS("k2", "+4799999999"))
	select {
	case <-p.ended:
	case <-time.After(5 * time.Minute):
		p.cmd.Process.Kill()
		t.Fatalf("the daemon goes on:\n%s", p.log.String())
	}
	p.cmd.Wait()
	last := p.log.lines[len(p.log.lines)-1]
	for _, want := range []string{w.JournalFile(), "a page can't be read", `"straks journal check"`, "restore a backup"} {
		if !strings.HasPrefix(last, "straks: ") || !strings.Contains(last, want) {
			t.Errorf("%q: want %q", last, want)
		}
	}
	if code := p.cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, what := range []string{"check", "stats"} {
		var said bytes.Buffer
		if code := run(t.Context(), []string{"journal", what, "-file", w.JournalFile()}, nil, &said, &said); code != exitFailed || !strings.Contains(said.String(), "can't be read") {
			t.Errorf("journal %s: exit code %d, %s", what, code, &said)
		}
	}
}

// TestOverwrittenJournalEndsTheProcess: an older copy that is copied over the journal of a daemon ends
// it, with a last line that says so. It does not start again before somebody has looked, and then knows
// what the copy knows.
func TestOverwrittenJournalEndsTheProcess(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	p := startProcess(w)
	c := w.ClientAt(p.api)
	send := func(key string) error {
		_, err := c.SendSMS(t.Context(), daemontest.SMS(key, "+4799999999"))
		return err
	}
	if err := send("before"); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if code := run(t.Context(), []string{"journal", "backup", "-file", w.JournalFile(), "-admin", p.admin, w.JournalFile() + ".copy"}, nil, &said, &said); code != exitDone {
		t.Fatal(&said)
	}
	older, err := os.ReadFile(w.JournalFile() + ".copy")
	if err != nil {
		t.Fatal(err)
	}
	if err := send("after"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.JournalFile(), older, 0o600); err != nil { // as cp does
		t.Fatal(err)
	}
	_ = send("after")
	wantEnd := func(p *process, words ...string) {
		t.Helper()
		select {
		case <-p.ended:
		case <-time.After(5 * time.Minute):
			p.cmd.Process.Kill()
			t.Fatalf("the daemon goes on:\n%s", p.log.String())
		}
		p.cmd.Wait()
		last := p.log.lines[len(p.log.lines)-1]
		for _, want := range words {
			if !strings.HasPrefix(last, "straks: ") || !strings.Contains(last, want) {
				t.Errorf("%q: want %q", last, want)
			}
		}
	}
	wantEnd(p, w.JournalFile(), "since it was opened", "Restoring")
	if n := len(w.SMSC.Submits()); n != 2 {
		t.Errorf("%d messages at the SMSC", n)
	}
	mark := w.JournalFile() + ".overwritten"
	wantEnd(launch(w), mark)
	if err := os.WriteFile(w.JournalFile(), older, 0o600); err != nil { // a commit may have met the copy
		t.Fatal(err)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	p = startProcess(w)
	if _, err := w.ClientAt(p.api).SendSMS(t.Context(), daemontest.SMS("before", "+4799999999")); err != nil {
		t.Error(err)
	}
	p.cmd.Process.Kill()
	<-p.ended
}

// spoilPages overwrites the number with which each leaf of the tree begins. A page has its kind at octet
// 8: 2 for a leaf.
func spoilPages(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := os.Getpagesize()
	for at := 2 * size; at+size <= len(content); at += size {
		if content[at+8] == 2 && content[at+9] == 0 {
			if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 8), int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
