package main

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"straks/smpp/smsctest"
)

// Whatever an SMSC or a relay writes costs itself, not the daemon.
func TestGarbageFromCarriers(t *testing.T) {
	w := newWorld(t, smsctest.Profile{}, "")
	garbage := make([]byte, 64<<10)
	rand.Read(garbage)
	for _, octets := range [][]byte{garbage, {0, 0, 0, 16}, {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5}, []byte("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 100))} {
		binds := w.smsc.Stats().Binds
		w.smsc.Write(octets)
		w.smsc.Drop() // the four octets alone are only the beginning of something
		eventually(t, "a new bind", func() bool { return w.smsc.Stats().Binds > binds && w.daemon.Ready() == nil })
	}
	p := w.send("k", "+4799999999")
	w.await(p.ShipmentID, "SMS_Delivered")
}

func TestGarbageFromClients(t *testing.T) {
	w := newWorld(t, smsctest.Profile{}, "")
	garbage := make([]byte, 256<<10)
	rand.Read(garbage)
	before := runtime.NumGoroutine()
	for range 50 {
		conn, err := net.Dial("tcp", w.daemon.APIAddr())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(garbage) // the answer, or a reset, may come before the end
		conn.Close()
	}
	eventually(t, "goroutines to go", func() bool { return runtime.NumGoroutine() <= before+4 })
	p := w.send("k", "+4799999999")
	w.await(p.ShipmentID, "SMS_Delivered")
}

// A code and a number are nowhere but in the request and on the wire; the
// number is in the journal too, since the feed tells it.
func TestTextIsNowhere(t *testing.T) {
	w := newWorld(t, smsctest.Profile{}, "")
	p := w.send("k", "+4791827364") // whose digits no sum of seconds happens to have
	w.await(p.ShipmentID, "SMS_Delivered")
	if _, err := w.client.SendEmail(t.Context(), mailTo("m", "kari@example.org")); err != nil {
		t.Fatal(err)
	}
	_, metrics := w.admin("/metrics")
	_, status := w.admin("/status")
	w.stop()
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
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
		for _, secret := range []string{"Your code", "91827364", "kari", w.token} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in the %s", secret, what)
			}
		}
	}
}

func TestAdmin(t *testing.T) {
	w := newWorld(t, smsctest.Profile{}, "")
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "straks_build_info{",
		"/status": `"state": "bound"`, "/debug/pprof/": "goroutine"} {
		code, text := w.admin(path)
		if code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d, no %q in %.200s", path, code, want, text)
		}
	}
}
