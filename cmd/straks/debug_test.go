package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/creack/pty"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
)

// "straks debug words" shows a receipt on a terminal, and does the terminal no harm.
func TestDebugWords(t *testing.T) {
	p := smsctest.Profile{}
	p.Receipt.EchoText = true
	w := daemontest.New(t, p, "")
	screen, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer screen.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		defer tty.Close()
		ended <- run(ctx, []string{"debug", "words", "-smsc", "telco", "-admin", w.Daemon.AdminAddr()}, nil, tty, &stderr)
	}()
	lines := bufio.NewScanner(screen)
	if !lines.Scan() || !strings.Contains(lines.Text(), "what telco says, for 5m0s") {
		t.Fatalf("first line %q, %s", lines.Text(), stderr.String())
	}
	go func() { // until one is met by the listener
		for i := 0; ctx.Err() == nil; i++ {
			order := daemontest.SMS(fmt.Sprint(i), "+4799999999")
			order.Recipient.Settings.Body = "\x1b[2J Koden er 123456"
			w.Client.SendSMS(ctx, order)
		}
	}()
	for lines.Scan() && !strings.Contains(lines.Text(), "stat:DELIVRD") {
	}
	if line := lines.Text(); !strings.Contains(line, "receipt") || strings.Contains(line, "\x1b") {
		t.Errorf("shows %q", line)
	}
	cancel()
	go func() {
		for lines.Scan() { // or the program can't write
		}
	}()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}

func TestDebugWordsRefuses(t *testing.T) {
	_, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer tty.Close()
	for args, want := range map[string]string{
		"words -smsc telco":           "shown on a terminal",
		"words":                       "give -smsc or -relay",
		"words -smsc telco -relay mx": "give -smsc or -relay",
		"words -smsc telco -for x":    "invalid value",
		"":                            "debug what",
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"debug"}, strings.Fields(args)...), nil, &stdout, &stderr)
		if code == exitDone || !strings.Contains(stderr.String(), want) {
			t.Errorf("%q: %d, %s", args, code, stderr.String())
		}
	}
}

// What the daemon sends is not trusted to be harmless, nor to be of a daemon.
func TestWordPrinter(t *testing.T) {
	for in, want := range map[string]string{
		`{"at":"2026-11-29T12:00:00Z","kind":"reply","text":"550 a\u001b[2J\r\nb"}` + "\n": "12:00:00.000  reply  \"550 a\\x1b[2J\"\n12:00:00.000  reply  b\n",
		`{"at":"2026-11-29T12:00:00Z","kind":"re\u202eply","text":"x","lost":3}` + "\n":    "(3 lost: they came faster than they could be shown)\n12:00:00.000  \"re\\u202eply\"  x\n",
		`{}` + "\n":                        "",
		"<html>\n":                         "error: the answer is not of a straks",
		strings.Repeat("x", maxWordLine+1): "error: the answer is not of a straks: a line without end",
	} {
		var out strings.Builder
		p := &wordPrinter{to: &out}
		var err error
		for i := 0; i < len(in) && err == nil; i += 7 {
			_, err = p.Write([]byte(in[i:min(i+7, len(in))]))
		}
		if err != nil {
			out.WriteString("error: " + err.Error())
		}
		if got := out.String(); got != want && !(err != nil && strings.HasPrefix(got, want)) {
			t.Errorf("%.60q: %q", in, got)
		}
	}
}
