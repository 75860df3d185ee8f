package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"log/slog"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/orders"
	"straks/smtp/inbound"
	"straks/smtp/returnpath"
)

// reportSocket runs a server for reports behind a socket. Its mails go to take.
func reportSocket(t *testing.T, take func(inbound.Mail) error) (socket string, keys *returnpath.Keys) {
	t.Helper()
	keys, err := returnpath.NewKeys(returnpath.NewKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := inbound.New(inbound.Config{Hostname: "mx.retur.example", Domain: "retur.example", Keys: keys}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(t.TempDir(), "lmtp")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		s.Run(ctx, nil, ln, inbound.Handler{Report: func(_ context.Context, m inbound.Mail) error { return take(m) }})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return socket, keys
}

// TestReport: the exit codes tell a mail server what to do with the mail.
func TestReport(t *testing.T) {
	for _, name := range []string{"ORIGINAL_RECIPIENT", "RECIPIENT", "SENDER"} {
		t.Setenv(name, "")
	}
	var mu sync.Mutex
	var got []inbound.Mail
	var fail error
	socket, keys := reportSocket(t, func(m inbound.Mail) error {
		mu.Lock()
		defer mu.Unlock()
		m.Data = []byte(string(m.Data))
		got = append(got, m)
		return fail
	})
	id := uuid.New()
	address := keys.Address(id, "retur.example")
	const rest = "Subject: report\n\n.\nx\n"
	for _, test := range []struct {
		name, mail string
		env        map[string]string
		args       []string
		fail       error
		code       int
	}{
		{"flag", rest, nil, []string{"-to", address, "-from", "<>"}, nil, exitDone},
		{"Delivered-To", "From mailer-daemon Sun Nov 29\nTo: undisclosed\nDelivered-To: " + address + "\n" + rest, nil, nil, nil, exitDone},
		{"To", "Return-Path: <>\nTo: Kari <kari@example.org>, <" + address + ">\n" + rest, nil, nil, nil, exitDone},
		{"environment", rest, map[string]string{"ORIGINAL_RECIPIENT": address}, nil, nil, exitDone},
		{"stranger", "To: kari@example.org\n" + rest, nil, nil, nil, exitNoMailbox},
		{"none", "\n", nil, nil, nil, exitNoMailbox},
		{"away", rest, nil, []string{"-to", address}, orders.ErrUnavailable, exitLater},
		{"refused", rest, nil, []string{"-to", address}, inbound.ErrRefused, exitBadMail},
		{"too large", rest + strings.Repeat("0123456789\n", 100_000), nil, []string{"-to", address}, nil, exitBadMail},
		{"no socket", rest, nil, []string{"-to", address, "-lmtp", filepath.Join(t.TempDir(), "none")}, nil, exitLater},
		{"no configuration", rest, nil, []string{"-to", address, "-lmtp", "", "-config", filepath.Join(t.TempDir(), "none")}, nil, exitLater},
	} {
		t.Run(test.name, func(t *testing.T) {
			mu.Lock()
			got, fail = nil, test.fail
			mu.Unlock()
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			code, stdout, stderr := straks(t, test.mail, append([]string{"report", "-lmtp", socket}, test.args...)...)
			if code != test.code || stdout != "" || (stderr == "") != (code == exitDone) || strings.Contains(stderr, "kari") {
				t.Fatalf("%d %q %q", code, stdout, stderr)
			}
			if code == exitDone && (len(got) != 1 || got[0].Shipment != id || got[0].From != "" || !strings.HasSuffix(string(got[0].Data), "Subject: report\r\n\r\n.\r\nx\r\n")) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
