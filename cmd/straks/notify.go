package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells systemd how the daemon is (sd_notify(3)). Without systemd every
// method does nothing.
type notifier struct{ log *slog.Logger }

func (n notifier) ready()    { n.tell(systemd.SdNotifyReady) }
func (n notifier) stopping() { n.tell(systemd.SdNotifyStopping + "\nSTATUS=draining") }

func (n notifier) tell(state string) {
	addr := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	if addr.Name == "" {
		return
	}
	if err := send(addr, state); err != nil {
		n.log.Warn("systemd not notified", "err", err)
	}
}

// tellWithin bounds how long a systemd that does not read (on a disk that hangs,
// say) holds up the daemon, which might want to stop.
const tellWithin = 100 * time.Millisecond

func send(to *net.UnixAddr, state string) error {
	conn, err := net.DialUnix(to.Net, nil, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(tellWithin)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}

// lookEvery is how often the status is looked at. What has changed is told then.
const lookEvery = time.Second

// run keeps the status line true and feeds the watchdog, as long as alive
// returns: a daemon in which it hangs is one to be restarted.
func (n notifier) run(ctx context.Context, alive func() (status string)) error {
	every := 5 * time.Second
	watchdog, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("systemd's watchdog settings not understood", "err", err)
	}
	if watchdog > 0 {
		every = min(every, watchdog/3)
	}
	tick := time.NewTicker(min(every/2, lookEvery))
	defer tick.Stop()
	var told string
	var at time.Time
	for {
		if status := alive(); status != told || time.Since(at) >= every {
			told, at = status, time.Now()
			state := "STATUS=" + status
			if watchdog > 0 {
				state += "\n" + systemd.SdNotifyWatchdog
			}
			n.tell(state)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
