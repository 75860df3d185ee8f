package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/printable"
)

// What a peer had a say in tells systemd nothing but how the daemon is.
func TestStatusTellsNothingElse(t *testing.T) {
	m := daemontest.NewManager(t)
	n := notifier{slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reason := "certificate is valid for x\nWATCHDOG=trigger\nMAINPID=1, not smsc.example.org"
	go n.run(ctx, func() string { return printable.Line(reason) })
	m.Await("STATUS=certificate is valid for x; WATCHDOG=trigger; MAINPID=1")
}

// Without systemd, or with a socket that has gone, the daemon works as ever.
func TestNobodyToTell(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	n := notifier{slog.New(slog.DiscardHandler)}
	n.ready()
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	if err := n.run(ctx, func() string { asked++; cancel(); return "well" }); err != nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}
