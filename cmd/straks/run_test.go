package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// straks runs the program in this process.
func straks(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	code = run(ctx, args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"", exitUsage, "which command?"},
		{"tokn", exitUsage, `did you mean "token"?`},
		{"zzz", exitUsage, `"straks help" lists them`},
		{"version -x", exitUsage, "flag provided but not defined: -x; usage: straks version"},
		{"version now", exitUsage, `what is "now"?`},
		{"token", exitUsage, "new is missing"},
		{"token new", exitUsage, "-org is missing"},
		{"token old -org ttd", exitUsage, `what is "old"?`},
		{"token new -org ttd -expires 2020-01-01", exitUsage, "has passed already"},
		{"token new -org ttd -expires tomorrow", exitUsage, "neither a date"},
		{"token new -org t/d", exitUsage, "letters, digits"},
		{"token new -org ttd -scopes read,write", exitUsage, "there are create, read, support"},
		{"init -feed-start -1", exitUsage, "invalid value"},
		{"init -feed-start 4503599627370497", exitUsage, "4503599627370496 at most"},
		{"shipment", exitUsage, "ID is missing"},
		{"send", exitUsage, "sms|email"},
		{"send pigeon", exitUsage, "sms|email"},
		{"send -to +4799999999 sms hei", exitUsage, "sms|email"},
		{"send sms hei", exitUsage, "-to is missing"},
		{"check -config /nonexistent/straks.toml", exitFailed, "no such file"},
	} {
		code, stdout, stderr := straks(t, "", strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(stderr, tt.stderr) || stdout != "" {
			t.Errorf("straks %s: exit %d, stdout %q, stderr %q; want exit %d, %q", tt.args, code, stdout, stderr, tt.code, tt.stderr)
		}
	}
}

// TestHelp: each command's help goes to stdout, exits with 0, and names the command.
func TestHelp(t *testing.T) {
	code, list, _ := straks(t, "", "help")
	if code != exitDone {
		t.Errorf("help: exit %d", code)
	}
	for _, c := range commands() {
		if !strings.Contains(list, c.name) || c.help == "" {
			t.Errorf("the help lacks %s", c.name)
		}
		checkHelp(t, c.name)
	}
	for _, kind := range []string{"send sms", "send email", "journal stats", "journal check", "journal compact", "journal backup"} {
		checkHelp(t, strings.Fields(kind)...)
	}
}

func checkHelp(t *testing.T, command ...string) {
	t.Helper()
	code, stdout, stderr := straks(t, "", append(command, "-h")...)
	if code != exitDone || !strings.HasPrefix(stdout, "usage: straks "+strings.Join(command, " ")) || stderr != "" {
		t.Errorf("%v -h: exit %d, stdout %q, stderr %q", command, code, stdout, stderr)
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := straks(t, "", "version")
	if code != exitDone || !regexp.MustCompile(`^straks .* go1\.`).MatchString(stdout) {
		t.Errorf("exit %d, %q", code, stdout)
	}
}

// TestToken: the stanza has the token's digest, and the configuration accepts it.
func TestToken(t *testing.T) {
	code, stdout, stderr := straks(t, "", "token", "new", "-org", "ttd", "-name", "backend", "-expires", "2099-01-31")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	token, rest, _ := strings.Cut(stdout, "\n")
	sum := sha256.Sum256([]byte(token))
	if len(token) < 43 || !strings.Contains(rest, hex.EncodeToString(sum[:])) || strings.Contains(rest, token) {
		t.Errorf("token %q, then %q", token, rest)
	}
	if _, again, _ := straks(t, "", "token", "new", "-org", "ttd"); strings.HasPrefix(again, token) {
		t.Error("the same token twice")
	}
	path := writeConfig(t, rest)
	if code, _, stderr := straks(t, "", "check", "-config-only", "-config", path); code != exitDone {
		t.Errorf("check: exit %d, %s", code, stderr)
	}
}

// writeConfig writes a small configuration with the given stanza under its
// organisation.
func writeConfig(t *testing.T, stanza string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "straks.toml")
	text := `
[api]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[journal]
path = "` + filepath.Join(dir, "journal.db") + `"
[numbers]
home = ["*"]
[[smsc]]
name = "telco"
addr = "127.0.0.1:2775"
system_id = "straks"
[[organisation]]
name = "ttd"
` + stanza
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckTellsEverything(t *testing.T) {
	path := writeConfig(t, "[[organisation.token]]\nname = 1\nsha256 = \"x\"\n[jurnal]\n[[smsc]]\nwindow = 0.5\n")
	code, stdout, stderr := straks(t, "", "check", "-config", path)
	if code != exitFailed || stdout != "" {
		t.Errorf("exit %d, %q", code, stdout)
	}
	for _, want := range []string{"organisation[0].token[0].name ", "organisation[0].token[0].sha256 ", `did you mean "journal"?`,
		"smsc[1].window ", "smsc[1].addr ", "smsc[1].system_id "} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is missing:\n%s", want, stderr)
		}
	}
}

// TestReadmeTellsTheCommands: the README has all commands, in the words of the help.
func TestReadmeTellsTheCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		if row := "| `" + c.name + "` | " + c.help + " |"; !strings.Contains(string(readme), row) {
			t.Errorf("README.md lacks %s", row)
		}
	}
}

// An error is printed without characters that a terminal obeys, in lines of bounded length.
func TestComplain(t *testing.T) {
	var out strings.Builder
	complain(&out, errors.New("one\x1b[2J\n  two\u202e\x9b"+strings.Repeat("å", maxLine)))
	checkHarmless(t, out.String())
	if s := out.String(); !strings.HasPrefix(s, "straks: one\\x1b[2J\n  two\\u202e") || len(s) > maxLine+100 {
		t.Errorf("%q", s)
	}
}

// Common slips get an answer that says what to type.
func TestSlips(t *testing.T) {
	for line, want := range map[string]string{
		"send sms -to +4799999999 -ttl 300 hi":         "-ttl 300 has no unit: is it 300s, or 300m?",
		"send sms -to +4799999999 Your code is 123456": "put it in quotes",
		"send sms -to +4799999999 -ttl soon hi":        "invalid value",
		"status -timeout 5":                            "-timeout 5 has no unit",
	} {
		if code, _, stderr := straks(t, "", strings.Fields(line)...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", line, code, stderr)
		}
	}
	if got := count(1, "relay") + count(0, "SMSC"); got != "1 relay0 SMSCs" {
		t.Error(got)
	}
}
