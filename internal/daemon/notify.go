package daemon

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier reports the daemon's state to systemd (sd_notify(3)). Without systemd
// its methods do nothing.
type notifier struct{ log *slog.Logger }

func (n notifier) ready()    { n.notify(systemd.SdNotifyReady) }
func (n notifier) stopping() { n.notify(systemd.SdNotifyStopping + "\nSTATUS=draining") }

func (n notifier) notify(state string) {
	addr := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	if addr.Name == "" {
		return
	}
	if err := send(addr, state); err != nil {
		n.log.Warn("systemd not notified", "err", err)
	}
}

// notifyTimeout bounds a notification: a systemd that does not read its socket, on
// a disk that hangs for example, must not delay the daemon or its end.
const notifyTimeout = 100 * time.Millisecond

func send(to *net.UnixAddr, state string) error {
	conn, err := net.DialUnix(to.Net, nil, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}

// pollStatus is how often the status is polled for a change.
const pollStatus = time.Second

// run sends the status line and the watchdog's keepalive until ctx ends. If status
// blocks, the keepalive stops, and systemd restarts the daemon.
func (n notifier) run(ctx context.Context, status func() string) error {
	every := 5 * time.Second
	watchdog, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("systemd's watchdog settings not understood", "err", err)
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
