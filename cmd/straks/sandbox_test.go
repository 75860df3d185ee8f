package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
)

func TestSandboxSaysWhereItIs(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sandbox", "-listen", "127.0.0.1:0"}, strings.NewReader(""), in, os.Stderr)
		in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var sb struct{ BaseURL, Token, Org, Inbox, Admin, SMSC, Relay string }
	if err := json.Unmarshal([]byte(line), &sb); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if sb.Org != "ttd" || sb.SMSC == "" || sb.Relay == "" || !strings.HasSuffix(sb.BaseURL, "/notifications/api/v1") {
		t.Errorf("%s", line)
	}
	for _, path := range []string{"/readyz", "/healthz"} { // at once: the line is printed when the daemon is ready
		resp, err := http.Get(sb.Admin + path)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v, %v", path, resp, err)
		}
		resp.Body.Close()
	}
	if resp, err := http.Get(sb.Inbox + "/messages.json"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the inbox: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	c, err := client.New(sb.BaseURL, sb.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]string{"+4799999901": "SMS_Failed_Undelivered", "+4799999902": "SMS_Failed_Expired",
		"+4799999903": "SMS_Failed_Rejected", "+4799999904": "SMS_Failed_InvalidRecipient", "+4799999905": "SMS_Failed_BarredReceiver",
		"+4799999907": "SMS_Accepted", "+4799999908": "SMS_Delivered", "+4799999909": "SMS_Delivered", "+4799999999": "SMS_Delivered"} {
		p, err := c.SendSMS(ctx, daemontest.SMS(number, number))
		if err != nil {
			t.Fatalf("%s: %v", number, err)
		}
		eventually.True(t, want+" of "+number, func() bool {
			s, err := c.Shipment(ctx, p.ShipmentID)
			return err == nil && s.Recipients[0].Status == want
		})
	}
	ids := map[string]string{}
	for to := range sandboxMails {
		p, err := c.SendEmail(ctx, daemontest.Mail(to, to+"@example.org"))
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		ids[to] = p.ShipmentID
	}
	for to, want := range sandboxMails {
		eventually.True(t, want+" of "+to, func() bool {
			s, err := c.Shipment(ctx, ids[to])
			return err == nil && s.Recipients[0].Status == want
		})
	}
	if p, err := c.SendEmail(ctx, daemontest.Mail("again", "nosuch@example.org")); err != nil {
		t.Error(err)
	} else if s, err := c.Shipment(ctx, p.ShipmentID); err != nil || s.Recipients[0].Status != "Email_Failed_SuppressedRecipient" {
		t.Errorf("%+v, %v", s, err)
	}
	cancel()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d", got)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// sandboxMails are the last statuses of mails in the sandbox.
var sandboxMails = map[string]string{
	"anybody": "Email_Delivered", "delivered": "Email_Delivered", "autoreply": "Email_Delivered", "complaint": "Email_Delivered",
	"nosuch": "Email_Failed_RecipientNotIdentified", "full": "Email_Failed_Bounced", "spam": "Email_Failed_FilteredSpam",
	"quarantined": "Email_Failed_Quarantined", "later": "Email_Failed_TransientError", "returned": "Email_Failed_RecipientNotIdentified",
	"expanded": "Email_Succeeded", "silent": "Email_Succeeded", "lost": "Email_Delivered",
	"refused": "Email_Failed_RecipientNotIdentified", "badsyntax": "Email_Failed_InvalidFormat", "filtered": "Email_Failed_FilteredSpam",
}

// TestSandboxOnTerminal: a person gets lines to copy, and the numbers that fail; the token is the given one.
func TestSandboxOnTerminal(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("STRAKS_TOKEN", "given")
	screen, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer screen.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sandbox", "-listen", "localhost:0"}, strings.NewReader(""), tty, os.Stderr)
		tty.Close()
	}()
	var text strings.Builder
	lines := bufio.NewScanner(screen)
	for lines.Scan() && !strings.Contains(lines.Text(), limitedSuffix) {
		text.WriteString(strings.TrimRight(lines.Text(), "\r") + "\n")
	}
	go func() {
		for lines.Scan() { // or the program can't write
		}
	}()
	shown := text.String()
	var base string
	for line := range strings.Lines(shown) {
		if _, url, ok := strings.Cut(strings.TrimSpace(line), "export STRAKS_URL="); ok {
			base = url
		}
	}
	for _, want := range []string{"  export STRAKS_TOKEN=given\n", "Inbox   http://localhost:", "/docs", "…9901  undeliverable"} {
		if !strings.Contains(shown, want) {
			t.Errorf("it lacks %q:\n%s", want, shown)
		}
	}
	// The copied lines work, and the token with the suffix gets 429.
	c, err := client.New(base, "given", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SendSMS(ctx, daemontest.SMS("k", "+4799999999")); err != nil {
		t.Error(err)
	}
	limited, err := client.New(base, "given"+limitedSuffix, nil)
	if err != nil {
		t.Fatal(err)
	}
	var refused *client.Problem
	for i := 0; err == nil; i++ { // one each 5 s is let through
		_, err = limited.SendSMS(ctx, daemontest.SMS(fmt.Sprint(i), "+4799999999"))
	}
	if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests || refused.RetryAfter == 0 {
		t.Errorf("orders at once: %v", err)
	}
	cancel()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d", got)
	}
}

func TestSandboxRefuses(t *testing.T) {
	for args, want := range map[string]string{"-token a\x01b": "letters, digits", "-token=a,b": "letters, digits", "surplus": "surplus"} {
		var log bytes.Buffer
		if code := run(t.Context(), append([]string{"sandbox", "-listen", "127.0.0.1:0"}, strings.Fields(args)...), nil, io.Discard, &log); code != exitUsage || !strings.Contains(log.String(), want) {
			t.Errorf("%s: exit code %d, %s", args, code, log.String())
		}
	}
}

// TestSandboxOfAContainer: on every interface, other containers reach the inbox by the name of its service; the admin
// listener stays on loopback.
func TestSandboxOfAContainer(t *testing.T) {
	sb := runSandbox(t, "-listen", "0.0.0.0:0", "-token", "t")
	if !strings.HasPrefix(sb.BaseURL, "http://localhost:") || !strings.HasPrefix(sb.Admin, "http://127.0.0.1:") || sb.Token != "t" {
		t.Errorf("%+v", sb)
	}
	for host, want := range map[string]int{"sandbox:8081": 200, "localhost:8081": 200, "evil.example": 421} {
		req, err := http.NewRequest("GET", sb.Inbox+"/messages.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

// TestSandboxHelpShowsNoToken: that of the environment may be another straks'.
func TestSandboxHelpShowsNoToken(t *testing.T) {
	t.Setenv("STRAKS_TOKEN", "hemmelig")
	var out bytes.Buffer
	if run(t.Context(), []string{"sandbox", "-h"}, nil, &out, &out); strings.Contains(out.String(), "hemmelig") || !strings.Contains(out.String(), "-token") {
		t.Error(out.String())
	}
}

func TestNextPort(t *testing.T) {
	for addr, want := range map[string]string{"127.0.0.1:8080": "127.0.0.1:8082", "0.0.0.0:9080": "0.0.0.0:9082", "[::1]:80": "[::1]:82", "127.0.0.1:0": "127.0.0.1:0", ":8080": ":8082"} {
		if got := nextPort(addr, 2); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// TestSandboxWithoutItsPort: the port may be another daemon's.
func TestSandboxWithoutItsPort(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for listen, want := range map[string]string{taken.Addr().String(): "address already in use", "nowhere": "not host:port"} {
		var out, log bytes.Buffer
		if code := run(t.Context(), []string{"sandbox", "-listen", listen}, nil, &out, &log); code != exitFailed {
			t.Errorf("%s: exit code %d", listen, code)
		}
		if want == "address already in use" && !strings.Contains(log.String(), "straks sandbox -listen") {
			t.Errorf("it does not say what to do: %s", log.String())
		}
		if !strings.Contains(log.String(), "api.listen") || !strings.Contains(log.String(), want) || out.Len() > 0 {
			t.Errorf("%s: %s%s", listen, log.String(), out.String())
		}
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestDemo(t *testing.T) {
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"demo"}, nil, &out, &log); code != exitDone {
		t.Fatalf("exit code %d: %s", code, log.String())
	}
	for _, want := range []string{"201 Created", "200 OK", "SMS_Delivered", "Email_Succeeded", "Email_Delivered"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out.String())
		}
	}
	for _, secret := range []string{"482913", "4799999999", "kari@"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q:\n%s", secret, log.String())
		}
	}
}
