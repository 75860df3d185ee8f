package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aLog has lines of straks, of systemd's journal, and others.
const aLog = `{"time":"2026-11-01T12:00:00.5Z","level":"INFO","msg":"order","organisation":"ttd","shipment":"aaaa","trace":"1111","ms":12.5,"parts":[1,2]}
<4>{"time":"2026-11-01T12:00:01Z","level":"WARN","msg":"can't bind","smsc":"telco","reason":"\u001b[2J \\x1b[31m"}
{"__REALTIME_TIMESTAMP":"1793534402000000","PRIORITY":"6","MESSAGE":"{\"time\":\"2026-11-01T12:00:02Z\",\"level\":\"ERROR\",\"msg\":\"order\",\"organisation\":\"skd\",\"shipment\":\"bbbb\",\"err\":\"no\"}"}
{"__REALTIME_TIMESTAMP":"1793534403000000","PRIORITY":"3","MESSAGE":"straks.service: Main process exited"}
{"__REALTIME_TIMESTAMP":"1793534404000000","PRIORITY":"6","MESSAGE":[27,91,50,74,255]}
{"__REALTIME_TIMESTAMP":"1793534405000000","PRIORITY":"6","MESSAGE":null}

panic: runtime error
{"time":"2026-11-01T12:00:06Z","level":"DEBUG","msg":"ended","part":"smpp"`

func TestLogs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte(aLog), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flags string
		lines int
		want  string // of the first line
	}{
		{"", 8, `INF order organisation=ttd shipment=aaaa trace=1111 ms=12.5 parts="[1 2]"`},
		{"-level warn", 3, `WRN can't bind smsc=telco reason="\\x1B[2J \\x1B[31m"`},
		{"-level error", 2, `ERR order organisation=skd shipment=bbbb err=no`},
		{"-shipment AAAA", 1, "INF order organisation=ttd"},
		{"-trace 1111", 1, "INF order organisation=ttd"},
		{"-organisation skd -level info", 1, "ERR order organisation=skd"},
		{"-organisation skd -level error -shipment aaaa", 0, ""},
		{"-json -shipment bbbb", 1, `{"time":"2026-11-01T12:00:02Z","level":"ERROR","msg":"order"`},
		{"-json -level warn", 3, `"reason":"\u001b[2J`},
	} {
		for _, from := range []string{file, "-"} {
			code, stdout, stderr := straks(t, aLog, strings.Fields("logs "+tt.flags+" "+from)...)
			if code != exitDone || stderr != "" || strings.Count(stdout, "\n") != tt.lines || !strings.Contains(stdout, tt.want) {
				t.Errorf("logs %s: exit %d, %s\n%swant %d lines, %s", tt.flags, code, stderr, stdout, tt.lines, tt.want)
			}
			checkHarmless(t, stdout)
		}
	}
}

func TestLogsRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"logs -level loud -": "neither debug, info, warn nor error",
		"logs -f -":          "for systemd's journal",
		"logs -since 1h -":   "for systemd's journal",
	} {
		if code, _, stderr := straks(t, "", strings.Fields(line)...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", line, code, stderr)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if code, _, stderr := straks(t, "", "logs"); code != exitFailed || !strings.Contains(stderr, "straks logs FILE") {
		t.Errorf("without journalctl: exit %d, %s", code, stderr)
	}
}

// Systemd's journal is read by journalctl, with the unit and the time that were asked for.
func TestLogsOfJournal(t *testing.T) {
	folder := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >>" + folder + "/asked\ncat <<'END'\n" + aLog + "\nEND\n[ \"$4\" != --fail ] || exit 1\n"
	if err := os.WriteFile(filepath.Join(folder, "journalctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	for line, want := range map[string]string{
		"logs":                                "--unit=straks.service --output=json --all --no-pager --quiet --since=@",
		"logs -since yesterday -unit a":       "--unit=a --output=json --all --no-pager --quiet --since=yesterday",
		"logs -f -shipment bbbb":              "--quiet --follow",
		"logs -f -since 2h -organisation skd": "--quiet --follow --since=@",
	} {
		os.Remove(filepath.Join(folder, "asked"))
		code, stdout, stderr := straks(t, "", strings.Fields(line)...)
		asked, _ := os.ReadFile(filepath.Join(folder, "asked"))
		if code != exitDone || !strings.Contains(stdout, "shipment=bbbb") || !strings.Contains(string(asked), want) {
			t.Errorf("%s: exit %d, %s%s; asked %s", line, code, stdout, stderr, asked)
		}
	}
}

// A line that is too long is cut, and the next is whole.
func TestLogsBoundsLines(t *testing.T) {
	long := strings.Repeat("x", 3*maxLogLine) + "\n" + `{"level":"INFO","msg":"next"}` + "\n"
	code, stdout, _ := straks(t, long, "logs", "-")
	if lines := strings.Split(stdout, "\n"); code != exitDone || len(lines) != 3 || len(lines[0]) > maxLogLine+100 || !strings.Contains(lines[1], "INF next") {
		t.Errorf("exit %d, %d lines", code, len(lines))
	}
}

// FuzzLogs: no line breaks the printer or reaches a terminal as it is.
func FuzzLogs(f *testing.F) {
	for _, line := range append(strings.Split(aLog, "\n"), hostileWords...) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var out bytes.Buffer
		p := &logPrinter{people: readable(&out, slog.LevelDebug, true, "15:04")}
		if err := p.printAll(bytes.NewReader(line)); err != nil {
			t.Fatal(err)
		}
		checkHarmless(t, colour.ReplaceAllString(out.String(), ""))
	})
}
