package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// activated returns "straks serve" with a listener as systemd hands it over (sd_listen_fds(3)).
func activated(w *daemontest.World, l net.Listener, name string) *exec.Cmd {
	w.T.Helper()
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { file.Close() })
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" serve -config "$1"`, os.Args[0], w.ConfigFile())
	cmd.Env = append(os.Environ(), asProgram+"=1", "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
	cmd.ExtraFiles = []*os.File{file}
	return cmd
}

func listenOn(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// While the daemon restarts, systemd keeps its socket: orders wait, none is refused and each leaves once.
func TestRestartRefusesNothing(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	l := listenOn(t, "tcp", "127.0.0.1:0")
	w.EditConfig("[api]\nlisten = \"127.0.0.1:0\"", fmt.Sprintf("[api]\nlisten = %q", l.Addr()))
	first := launchCommand(w, activated(w, l, "straks.socket"))
	<-first.serving

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var placed atomic.Int64
	failed := make(chan error, 1000)
	transport := &http.Transport{DisableKeepAlives: true} // each order is a connection of its own
	defer transport.CloseIdleConnections()
	for sender := range 8 {
		c, err := client.New("http://"+l.Addr().String()+"/notifications/api/v1", w.Token, &http.Client{Transport: transport, Timeout: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := 0; ctx.Err() == nil && len(failed) == 0; i++ {
				if _, err := c.SendSMS(t.Context(), daemontest.SMS(fmt.Sprintf("%d-%d", sender, i), "+4799999999")); err != nil {
					failed <- err
					return
				}
				placed.Add(1)
			}
		})
	}
	await := func(more int64) {
		for want := placed.Load() + more; placed.Load() < want && len(failed) == 0; {
			time.Sleep(time.Millisecond)
		}
	}
	await(50)
	first.stop(t)
	second := launchCommand(w, activated(w, l, "api"))
	await(50)
	stop()
	wg.Wait()
	second.stop(t)
	select {
	case err := <-failed:
		t.Errorf("after %d orders: %v", placed.Load(), err)
	default:
	}
	if sent := len(w.SMSC.Submits()); int64(sent) != placed.Load() {
		t.Errorf("%d orders, %d messages", placed.Load(), sent)
	}
}

// A socket that the configuration does not have is an error that names both addresses, not a listener on which
// nobody answers.
func TestSocketsOfSystemdMustFit(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[api]\nlisten = \"127.0.0.1:0\"", "[api]\nlisten = \"127.0.0.2:0\"")
	w.EditConfig("[metrics]\nlisten = \"127.0.0.1:0\"", "[metrics]\nlisten = \"127.0.0.3:0\"")
	l := listenOn(t, "tcp", "127.0.0.1:0")
	for name, want := range map[string]string{
		"api":           "api.listen: is 127.0.0.2:0, but the socket that systemd opened for it listens on " + l.Addr().String(),
		"metrics":       "metrics.listen: is 127.0.0.3:0",
		"straks.socket": "the address of no listener in the configuration",
	} {
		out, err := activated(w, l, name).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

// The admin socket may be systemd's too. Its file stays when the daemon ends.
func TestAdminSocketOfSystemd(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	folder, err := os.MkdirTemp("", "straks-") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	path := filepath.Join(folder, "admin.sock")
	w.EditConfig("[admin]\nlisten = \""+w.Config().Admin.Listen+"\"", fmt.Sprintf("[admin]\nlisten = %q", path))
	p := launchCommand(w, activated(w, listenOn(t, "unix", path), "admin"))
	<-p.serving
	if code, out, stderr := straks(t, "", "status", "-config", w.ConfigFile()); code != exitDone || !strings.Contains(out, "straks") {
		t.Errorf("status: exit %d, %s%s", code, out, stderr)
	}
	p.stop(t)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file of the socket: %v", err)
	}
}
