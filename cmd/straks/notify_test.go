package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// manager is systemd's end of sd_notify(3).
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// newManager makes this process one that systemd watches over.
func newManager(t *testing.T) *manager {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "60000")
	return &manager{t, conn}
}

// await reads until a message has all the given parts.
func (m *manager) await(parts ...string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 4096)
	for read := []string(nil); ; {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("waited in vain for %q, read %q: %v", parts, read, err)
		}
		message := string(buf[:n])
		read = append(read, message)
		for line := range strings.Lines(message) {
			if name, _, _ := strings.Cut(line, "="); !slices.Contains([]string{"READY", "STATUS", "WATCHDOG", "STOPPING"}, name) {
				m.t.Errorf("systemd was told %q", line)
			}
		}
		found := 0
		for _, part := range parts {
			if strings.Contains(message, part) {
				found++
			}
		}
		if found == len(parts) {
			return
		}
	}
}

// What systemd is told in the daemon's life: that it is ready, how it is, that
// it is alive for as long as it drains, and that it stops.
func TestSystemdIsTold(t *testing.T) {
	m := newManager(t)
	w := newStoppedWorld(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.start()
	m.await("READY=1")
	m.await("STATUS=0 orders in flight; ready", "WATCHDOG=1")
	m.await("WATCHDOG=1")

	w.smsc.Down()
	m.await("STATUS=0 orders in flight; not ready: ", "WATCHDOG=1") // a carrier's outage is no reason to be restarted
	if err := w.smsc.Up(); err != nil {
		t.Fatal(err)
	}
	m.await("STATUS=0 orders in flight; ready")

	w.smsc.Freeze(time.Hour)
	gone := make(chan error, 1)
	go func() {
		_, err := w.client.SendSMS(context.Background(), smsTo("k", "+4799999999"))
		gone <- err
	}()
	m.await("STATUS=1 orders in flight; ")
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.stop() }()
	m.await("STOPPING=1")
	m.await("; not ready: draining", "WATCHDOG=1")
	w.smsc.Thaw()
	if err := <-gone; err != nil {
		t.Error(err)
	}
	<-stopped
}

// A status has one line, however many reasons there are: to systemd, the second
// line would be no part of it.
func TestSystemdIsToldEveryReason(t *testing.T) {
	m := newManager(t)
	w := newWorld(t, smsctest.Profile{}, "")
	w.smsc.Down()
	w.relay.Close()
	m.await("STATUS=0 orders in flight; not ready: ", "telco/1 is ", "; ", "relay mx: ")
}

// What a peer had a say in tells systemd nothing but how the daemon is.
func TestStatusTellsNothingElse(t *testing.T) {
	m := newManager(t)
	n := notifier{slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reason := "certificate is valid for x\nWATCHDOG=trigger\nMAINPID=1, not smsc.example.org"
	go n.run(ctx, func() string { return oneLine(reason) })
	m.await("STATUS=certificate is valid for x; WATCHDOG=trigger; MAINPID=1")
}

// A systemd that does not read what it is told does not keep the daemon from
// working, nor from stopping.
func TestNobodyListens(t *testing.T) {
	newManager(t)
	w := newStoppedWorld(t, smsctest.Profile{}, relaytest.Profile{}, "")
	for range 1000 { // more than the kernel keeps
		if send(&net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}, "STATUS=") != nil {
			break
		}
	}
	w.start()
	w.send("k", "+4799999999")
	w.stop()
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
