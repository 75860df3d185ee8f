package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"straks/internal/config"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// hostileWords are words that a peer may say, whose octets would change a terminal.
var hostileWords = []string{"\x1b[2J", `\x1b[2J`, `a \x1b[31mb`, "\x9b2J", "line\nline", "\u202e", "\xff", `"\u001b"`}

// colour is what a log may send to a terminal besides text: ECMA-48 §8.3.117.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// A readable line does a terminal no harm, whatever a peer said, with and without colours.
func TestReadableLinesAreHarmless(t *testing.T) {
	for _, colours := range []bool{true, false} {
		var out strings.Builder
		log := slog.New(logStyle{text: true, colours: colours}.handler(&out))
		for _, words := range hostileWords {
			log.With("with", words).WithGroup("group").Warn("said "+words, "text", words, "err", errors.New(words), "any", []string{words}, words, 1)
		}
		text := out.String()
		if bare := colour.ReplaceAllString(text, ""); colours == (bare == text) {
			t.Errorf("colours %t: %q", colours, text)
		} else {
			checkHarmless(t, bare)
		}
		if n := strings.Count(text, "\n"); n < len(hostileWords) {
			t.Errorf("%d lines", n)
		}
	}
}

// A terminal gets readable lines, a pipe gets JSON, and the configuration has the last word.
func TestLogStyle(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	var pipe strings.Builder
	if s := styleOf(&pipe, config.Log{Level: "warn", Format: "auto"}); s != (logStyle{level: slog.LevelWarn}) {
		t.Errorf("a pipe: %+v", s)
	}
	if s := styleOf(&pipe, config.Log{Level: "info", Format: "text"}); s != (logStyle{text: true}) {
		t.Errorf("a pipe with text: %+v", s)
	}
	screen, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer screen.Close()
	defer tty.Close()
	if s := styleOf(tty, config.Log{Level: "info", Format: "auto"}); s != (logStyle{text: true, colours: true}) {
		t.Errorf("a terminal: %+v", s)
	}
	if s := styleOf(tty, config.Log{Level: "info", Format: "json"}); s != (logStyle{}) {
		t.Errorf("a terminal with JSON: %+v", s)
	}
	t.Setenv("NO_COLOR", "1")
	if s := styleOf(tty, config.Log{Level: "info", Format: "auto"}); s != (logStyle{text: true}) {
		t.Errorf("NO_COLOR: %+v", s)
	}
}

// Systemd's journal gets each line after its priority, and as JSON.
func TestLogForJournal(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	cmd, reader := inJournal(t, "serve", "-config", w.ConfigFile())
	seen := make(map[string]bool)
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		prefix, line, _ := strings.Cut(lines.Text(), ">")
		var event struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if want := map[string]string{"DEBUG": "<7", "INFO": "<6", "WARN": "<4", "ERROR": "<3"}[event.Level]; prefix != want {
			t.Errorf("%s", lines.Text())
		}
		seen[event.Level] = true
		if event.Msg == "serving" {
			w.EditConfig("[journal]", "[[route]]\nsmscs = [\"nobody\"]\n[journal]")
			_ = cmd.Process.Signal(syscall.SIGHUP) // the configuration is refused
		}
		if strings.HasPrefix(event.Msg, "configuration refused") {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if err := cmd.Wait(); err != nil || !seen["INFO"] || !seen["ERROR"] {
		t.Errorf("%v, levels %v", err, seen)
	}
}

// inJournal starts the program as a service of systemd whose log is read here.
func inJournal(t *testing.T, args ...string) (*exec.Cmd, io.Reader) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	reader, stderr := os.NewFile(uintptr(pair[0]), "journal"), os.NewFile(uintptr(pair[1]), "stderr")
	t.Cleanup(func() { reader.Close() })
	info, err := stderr.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stderr.Close()
	return cmd, reader
}

// The reason of a failed start has the priority of an error there, in each of its lines.
func TestComplaintForJournal(t *testing.T) {
	cmd, reader := inJournal(t, "check", "-config-only", "-config", writeConfig(t, "[jurnal]\n[[smsc]]\nwindow = 0.5\n"))
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	_, reason, _ := strings.Cut(string(text), "\n<3>straks: ") // after the warnings
	lines := strings.Split(strings.TrimSpace(reason), "\n")
	if cmd.Wait() == nil || len(lines) < 3 {
		t.Errorf("%s", text)
	}
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "<3>") {
			t.Errorf("%s", line)
		}
	}
}
