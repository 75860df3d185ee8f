package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everyCommand calls do for each command and each action, with its words.
func everyCommand(do func(c command, words []string)) {
	var walk func(table []command, above []string)
	walk = func(table []command, above []string) {
		for _, c := range table {
			words := append(slices.Clone(above), c.name)
			do(c, words)
			walk(c.usage().actions, words)
		}
	}
	walk(commands(), nil)
}

// Every command and action has a line of help, and describes its flags without doing anything.
func TestCommandsDescribeThemselves(t *testing.T) {
	everyCommand(func(c command, words []string) {
		u := c.usage()
		if c.help == "" || strings.HasSuffix(c.help, ".") || u.flags == nil {
			t.Errorf("%v: help %q, flags %v", words, c.help, u.flags)
		}
		for _, line := range [][]string{append(slices.Clone(words), "-h"), append([]string{"help"}, words...)} {
			code, stdout, stderr := straks(t, "", line...)
			synopsis, _, _ := strings.Cut(stdout, "\n")
			if code != exitDone || !strings.HasPrefix(synopsis, "usage: straks "+words[0]) || !strings.Contains(synopsis, c.name) || stderr != "" {
				t.Errorf("%v: exit %d, %q, %q", line, code, stdout, stderr)
			}
		}
	})
}

// Both spellings of a flag, with and without the equals sign, mean the same, also for the program itself.
func TestSpellings(t *testing.T) {
	for _, line := range []string{"version", "-version", "--version", "-v"} {
		if code, stdout, stderr := straks(t, "", line); code != exitDone || stdout != versionLine()+"\n" || stderr != "" {
			t.Errorf("%s: exit %d, %q, %q", line, code, stdout, stderr)
		}
	}
	for _, line := range []string{"help", "-h", "-help", "--help"} {
		if code, stdout, stderr := straks(t, "", line); code != exitDone || !strings.Contains(stdout, "Commands:") || stderr != "" {
			t.Errorf("%s: exit %d, %q, %q", line, code, stdout, stderr)
		}
	}
	path := writeConfig(t, "")
	for _, args := range [][]string{{"-config", path}, {"--config", path}, {"-config=" + path}, {"--config=" + path}} {
		args = append(args, "-config-only")
		if code, _, stderr := straks(t, "", append([]string{"check"}, args...)...); code != exitDone {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
}

func TestSuggestions(t *testing.T) {
	for line, want := range map[string]string{
		"help tokn":                         `did you mean "token"?`,
		"check -confg x":                    "no flag -confg; did you mean -config?",
		"check --confg=x":                   "no flag -confg; did you mean -config?",
		"journal stat":                      `no action "stat"; did you mean "stats"?`,
		"journal pigeon":                    "stats, check, compact, migrate, backup",
		"completion tcsh":                   "bash|zsh|fish",
		"send -to +4799999999 sms Your":     "sms|email",
		"journal backup -fil x -config y z": "did you mean -file?",
	} {
		if code, stdout, stderr := straks(t, "", strings.Fields(line)...); code != exitUsage || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("%s: exit %d, %q, %s", line, code, stdout, stderr)
		}
	}
}

// completions returns what the words may become, without the descriptions, and whether the shell looks for files.
func completions(t *testing.T, words ...string) (found []string, files bool) {
	t.Helper()
	code, stdout, _ := straks(t, "", append([]string{"__complete"}, words...)...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitDone || !strings.HasPrefix(lines[len(lines)-1], ":") {
		t.Fatalf("%q: exit %d, %q", words, code, stdout)
	}
	for _, line := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(line, "\t")
		found = append(found, word)
	}
	return found, lines[len(lines)-1] != ":4"
}

func TestComplete(t *testing.T) {
	path := writeConfig(t, "password_file = 1 # a fault\n[[smsc]]\nname = \"other\"\n[[relay]]\nname = \"mx\"\n")
	config := "-config=" + path
	for _, tt := range []struct {
		words string // ends with the word to complete
		want  string // a blank between the words
	}{
		{"sh", "shipment"},
		{"jo", "journal"},
		{"nothing", ""},
		{"journal c", "check compact"},
		{"journal nothing -", ""},
		{"journal stats -", "-config -file -postgres"},
		{"journal stats --f", "--file"},
		{"journal stats -file x -", "-config -postgres"},
		{"smsc -rule x -rul", "-rule"},
		{"check -config-o", "-config-only"},
		{"check -config-only=", "-config-only=true -config-only=false"},
		{"check nothing", ""},
		{"token ", "new"},
		{"token new -ex", "-expires"},
		{"completion ", "bash zsh fish"},
		{"completion z", "zsh"},
		{"completion zsh ", ""},
		{"help jou", "journal"},
		{"help journal st", "stats"},
		{"debug words " + config + " -smsc ", "telco other"},
		{"debug words " + config + " -relay=m", "-relay=mx"},
		{"block list --config " + path + " --organisation ", "ttd"},
		{"route " + config + " -org t", "ttd"},
		{"block list -config /nonexistent -organisation ", ""},
	} {
		found, files := completions(t, strings.Split(tt.words, " ")...)
		if strings.Join(found, " ") != tt.want || files {
			t.Errorf("%q: %q, files %t; want %q", tt.words, found, files, tt.want)
		}
	}
	for _, words := range []string{"check -config ", "check -config=", "journal backup ", "dkim new -out ", "status -admin "} {
		if found, files := completions(t, strings.Split(words, " ")...); len(found) > 0 || !files {
			t.Errorf("%q: %q, files %t", words, found, files)
		}
	}
}

// Bash completes commands, flags and names by the script, with the words as bash-completion cuts them.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	folder := t.TempDir()
	code, script, stderr := straks(t, "", "completion", "bash")
	if code != exitDone {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(filepath.Join(folder, "script"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	// The program that the script asks is this one.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(folder, "straks")); err != nil {
		t.Fatal(err)
	}
	path := writeConfig(t, "")
	for line, want := range map[string]string{
		"straks jour":            "journal ",
		"straks journal sta":     "stats ",
		"straks check -config-o": "-config-only ",
		"straks debug words -config " + path + " -smsc te": "telco ",
	} {
		const complete = `source "$1"; read -ra COMP_WORDS <<<"$2"; COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9 COMP_CWORD=$((${#COMP_WORDS[@]}-1))
			compopt() { :; }
			_init_completion() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}; }
			__start_straks straks; printf '%s\n' "${COMPREPLY[@]}"`
		cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", complete, "bash", filepath.Join(folder, "script"), line)
		cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), asProgram+"=1")
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != strings.TrimSpace(want) {
			t.Errorf("%s: %v, %q, want %q", line, err, out, want)
		}
	}
	for _, shell := range []string{"zsh", "fish"} {
		if code, script, _ := straks(t, "", "completion", shell); code != exitDone || !strings.Contains(script, "__complete") {
			t.Errorf("%s: exit %d, %.100q", shell, code, script)
		}
	}
}

// There is a manual page for each command, with its flags; two runs write the same.
func TestManual(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	first, second := t.TempDir(), t.TempDir()
	for _, folder := range []string{first, second} {
		if code, _, stderr := straks(t, "", "man", folder); code != exitDone {
			t.Fatal(stderr)
		}
	}
	pages := 1
	everyCommand(func(c command, words []string) {
		pages++
		name := "straks-" + strings.Join(words, "-") + ".1"
		page, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Error(err)
			return
		}
		if again, _ := os.ReadFile(filepath.Join(second, name)); string(again) != string(page) {
			t.Errorf("%s differs between two runs", name)
		}
		u := c.usage()
		u.flags.VisitAll(func(f *flag.Flag) {
			if !strings.Contains(string(page), `\fB-`+f.Name+`\fP`) {
				t.Errorf("%s lacks -%s", name, f.Name)
			}
		})
	})
	if written, _ := filepath.Glob(filepath.Join(first, "*.1")); len(written) != pages {
		t.Errorf("%d pages, want %d", len(written), pages)
	}
}
