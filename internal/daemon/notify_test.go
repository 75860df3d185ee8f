package daemon_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/printable"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// Systemd learns that the daemon is ready, its status, that it is alive while it
// drains, and that it stops.
func TestSystemdIsTold(t *testing.T) {
	m := daemontest.Manage(t)
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.Start()
	m.Await("READY=1")
	m.Await("STATUS=0 orders under way; ready", "WATCHDOG=1")
	m.Await("WATCHDOG=1")

	w.SMSC.Down()
	m.Await("STATUS=0 orders under way; not ready: ", "WATCHDOG=1") // a carrier's outage is no reason for a restart
	if err := w.SMSC.Up(); err != nil {
		t.Fatal(err)
	}
	m.Await("STATUS=0 orders under way; ready")

	w.SMSC.Freeze(time.Hour)
	gone := make(chan error, 1)
	go func() {
		_, err := w.Client.SendSMS(context.Background(), daemontest.SMS("k", "+4799999999"))
		gone <- err
	}()
	m.Await("STATUS=1 order under way; ")
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.Stop() }()
	m.Await("STOPPING=1")
	m.Await("; not ready: draining", "WATCHDOG=1")
	w.SMSC.Thaw()
	if err := <-gone; err != nil {
		t.Error(err)
	}
	<-stopped
}

// A status has one line, however many reasons there are: systemd would not read a
// second line as part of it.
func TestSystemdIsToldEveryReason(t *testing.T) {
	m := daemontest.Manage(t)
	w := daemontest.New(t, smsctest.Profile{}, "")
	w.SMSC.Down()
	w.Relay.Close()
	m.Await("STATUS=0 orders under way; not ready: ", "telco/1 is ", "; ", "relay mx: ")
}

// A carrier that is connected and does not answer is named.
func TestSystemdIsToldOfSilence(t *testing.T) {
	m := daemontest.Manage(t)
	var mute smsctest.Profile
	mute.Lose = 1
	w := daemontest.NewStopped(t, mute, relaytest.Profile{}, `response_timeout = "1m"`)
	w.ShortenDeadline()
	w.Start()
	w.Send("k", "+4799999999")
	m.Await("not ready: telco does not answer (", " s overdue)")
}

// A systemd that does not read its socket delays neither the daemon's work nor its end.
func TestNobodyListens(t *testing.T) {
	m := daemontest.Manage(t)
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	for range 1000 { // more than the kernel keeps
		if !m.Send("STATUS=") {
			break
		}
	}
	w.Start()
	w.Send("k", "+4799999999")
	w.Stop()
}

// A text that a peer has written cannot send systemd anything but a status.
func TestStatusTellsNothingElse(t *testing.T) {
	m := daemontest.Manage(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reason := "certificate is valid for x\nWATCHDOG=trigger\nMAINPID=1, not smsc.example.org"
	go daemon.Notify(ctx, slog.New(slog.DiscardHandler), func() string { return printable.Line(reason) })
	m.Await("STATUS=certificate is valid for x; WATCHDOG=trigger; MAINPID=1")
}

// Without systemd, or with a socket that has gone, the daemon works as ever.
func TestNobodyToTell(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	err := daemon.Notify(ctx, slog.New(slog.DiscardHandler), func() string { asked++; cancel(); return "well" })
	if err != nil || asked == 0 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}
