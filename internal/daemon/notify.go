package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"straks/internal/ratelog"
)

// notifier reports the daemon's state to systemd (sd_notify(3)). Without systemd
// its methods do nothing.
//
// It keeps one socket: a daemon that has no descriptor left still tells that it lives, and
// is not restarted for it.
type notifier struct {
	log *ratelog.Log

	mu   sync.Mutex
	addr string        // of systemd's socket; empty: there is no systemd
	conn *net.UnixConn // nil: systemd's socket was not there so far
}

func newNotifier(log *slog.Logger) *notifier {
	return &notifier{log: ratelog.New(log, 3), addr: os.Getenv("NOTIFY_SOCKET")}
}

func (n *notifier) ready() { n.notify(systemd.SdNotifyReady) }

// reloading says that the configuration is read again, until ready says that this has ended (sd_notify(3),
// Type=notify-reload).
func (n *notifier) reloading() {
	n.notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
}

func (n *notifier) stopping() { n.notify(systemd.SdNotifyStopping + "\nSTATUS=draining") }

func (n *notifier) notify(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addr == "" {
		return
	}
	if err := n.send(state); err != nil {
		n.log.Write("notify", slog.LevelWarn, "systemd not notified", slog.Any("err", err))
	}
}

// notifyTimeout bounds a notification: a systemd that does not read its socket, on
// a disk that hangs for example, must not delay the daemon or its end.
const notifyTimeout = 100 * time.Millisecond

// send sends one datagram. Under mu.
func (n *notifier) send(state string) (err error) {
	if n.conn == nil {
		if n.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.addr, Net: "unixgram"}); err != nil {
			n.conn = nil
			return err
		}
	}
	if err := n.write(state); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if err := n.reconnect(); err != nil { // systemd has made its socket again
		return err
	}
	return n.write(state)
}

func (n *notifier) write(state string) error {
	if err := n.conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err := n.conn.Write([]byte(state))
	return err
}

// reconnect connects the same descriptor again, which connect(2) allows for datagrams.
func (n *notifier) reconnect() error {
	raw, err := n.conn.SyscallConn()
	if err != nil {
		return err
	}
	control := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("connect", syscall.Connect(int(fd), &syscall.SockaddrUnix{Name: n.addr}))
	})
	return errors.Join(control, err)
}

// close gives the socket back. Nothing is sent after it.
func (n *notifier) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil {
		n.conn.Close()
	}
	n.conn, n.addr = nil, ""
}

// pollStatus is how often the status is polled for a change.
const pollStatus = time.Second

// run sends the status line and the watchdog's keepalive until ctx ends. If status
// blocks, the keepalive stops, and systemd restarts the daemon.
func (n *notifier) run(ctx context.Context, status func() string) error {
	every := 5 * time.Second
	watchdog, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Write("watchdog", slog.LevelWarn, "systemd's watchdog settings not understood", slog.Any("err", err))
	}
	if watchdog > 0 {
		every = min(every, watchdog/3)
	}
	tick := time.NewTicker(min(every/2, pollStatus))
	defer tick.Stop()
	var sent string
	var at time.Time
	for {
		if line := status(); line != sent || time.Since(at) >= every {
			sent, at = line, time.Now()
			state := "STATUS=" + line
			if watchdog > 0 {
				state += "\n" + systemd.SdNotifyWatchdog
			}
			n.notify(state)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
