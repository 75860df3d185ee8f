package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

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
	var sb struct{ BaseURL, Token, Org, Admin, SMSC, Relay string }
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
	cancel()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d", got)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left over: %v", left)
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
	for _, want := range []string{"201 Created", "200 OK", "SMS_Delivered", "Email_Succeeded"} {
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
