package daemon_test

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
)

// Garbage from an SMSC costs its own bind, not the daemon.
func TestGarbageFromCarriers(t *testing.T) {
	t.Parallel()
	w := daemontest.New(t, smsctest.Profile{}, "")
	garbage := make([]byte, 64<<10)
	rand.Read(garbage)
	for _, octets := range [][]byte{garbage, {0, 0, 0, 16}, {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5}, []byte("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 100))} {
		binds := w.SMSC.Stats().Binds
		w.SMSC.Write(octets)
		w.SMSC.Drop() // four octets alone are an incomplete header
		eventually.True(t, "a new bind", func() bool { return w.SMSC.Stats().Binds > binds && w.Daemon.Ready() == nil })
	}
	p := w.Send("k", "+4799999999")
	w.Await(p.ShipmentID, "SMS_Delivered")
}

func TestGarbageFromClients(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	garbage := make([]byte, 256<<10)
	rand.Read(garbage)
	before := runtime.NumGoroutine()
	for range 50 {
		conn, err := net.Dial("tcp", w.Daemon.APIAddr())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(garbage) // fails where the answer, or a reset, comes first
		conn.Close()
	}
	eventually.True(t, "goroutines to go", func() bool { return runtime.NumGoroutine() <= before+4 })
	p := w.Send("k", "+4799999999")
	w.Await(p.ShipmentID, "SMS_Delivered")
}

// The text is only in the request and on the wire, the number only there and in the
// journal, which the feed reads.
func TestTextIsNowhere(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	p := w.Send("k", "+4791827364") // a metric in seconds is unlikely to have these digits
	w.Await(p.ShipmentID, "SMS_Delivered")
	if _, err := w.Client.SendEmail(t.Context(), daemontest.Mail("m", "kari@example.org")); err != nil {
		t.Fatal(err)
	}
	_, metrics := w.Admin("/metrics")
	_, status := w.Admin("/status")
	w.Stop()
	files, err := filepath.Glob(filepath.Join(w.Dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		octets, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(octets), "123456") {
			t.Errorf("the code is in %s", file)
		}
	}
	for what, text := range map[string]string{"metrics": metrics, "status": status} {
		for _, secret := range []string{"Your code", "91827364", "kari", w.Token} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in the %s", secret, what)
			}
		}
	}
}

func TestAdmin(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "straks_build_info{",
		"/status": `"state": "bound"`, "/debug/pprof/": "goroutine"} {
		code, text := w.Admin(path)
		if code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d, no %q in %.200s", path, code, want, text)
		}
	}
}
