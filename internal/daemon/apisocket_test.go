package daemon_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestAPIOnASocket: a proxy on this machine reaches the API on a unix socket without TLS. All of its connections come from no
// address, so that bounds of one address do not hold.
func TestAPIOnASocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "straks-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "api.sock")
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[api]\nlisten = \"127.0.0.1:0\"", fmt.Sprintf("[api]\nlisten = %q", path))
	w.Configure("[api]", "read_header_timeout = \"1m\"\nmode = \"0600\"\nmax_connections_per_address = 1\nmax_connections_per_authorized_address = 1\nauth_failure_burst = 1\nauth_failure_rate = 0.1")
	w.EditConfig("[journal]\n", fmt.Sprintf("[audit]\ndir = %q\n[journal]\n", w.Dir+"/audit"))
	w.Start()
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 || w.Daemon.APIAddr() != path {
		t.Errorf("%v, %v, at %s", info, err, w.Daemon.APIAddr())
	}
	var conns []net.Conn
	for range 5 { // idle ones, beyond the bound of an address
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	token := w.Token
	w.Token = "guess"
	guesser := w.ClientAt(path)
	w.Token = token
	for _, status := range []int{401, 429} {
		if _, err := guesser.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); !isStatus(err, status) {
			t.Errorf("%v, want %d", err, status)
		}
	}
	if _, err := w.Client.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Error(err)
	}
	for i, c := range conns {
		fmt.Fprintf(c, "GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if start := make([]byte, 12); true {
			if _, err := c.Read(start); err != nil || string(start) != "HTTP/1.1 200" {
				t.Errorf("connection %d: %q, %v", i, start, err)
			}
		}
	}
	w.Stop()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is left over")
	}
	files, _ := filepath.Glob(w.Dir + "/audit/*")
	var record []byte
	for _, name := range files {
		text, _ := os.ReadFile(name)
		record = append(record, text...)
	}
	if !bytes.Contains(record, []byte(`"token":"`)) || !strings.Contains(string(record), `"peer":"unix"`) {
		t.Errorf("the audit has %s", record)
	}
}
