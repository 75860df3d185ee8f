package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const halfAnAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\n{"

// silentDaemon returns the address of a server that reads one request, writes part of
// an answer and then nothing.
func silentDaemon(t *testing.T, says string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, says)
		}
		io.Copy(io.Discard, c) // until the client gives up
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
	})
	return ln.Addr().String()
}

// TestFetchOfSilence: a copy that does not arrive, or stops arriving, is given up.
func TestFetchOfSilence(t *testing.T) {
	for _, says := range []string{"", halfAnAnswer} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c, err := adminAt(silentDaemon(t, says))
		if err != nil {
			t.Fatal(err)
		}
		err = c.getLong(ctx, "/journal/backup", "application/octet-stream", io.Discard, 1<<20, 50*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "nothing arrived for 50ms") {
			t.Errorf("after %q: %v", says, err)
		}
	}
}

// TestFetchAsksTheDaemonOnly: neither the target of a redirect nor the environment's proxy.
func TestFetchAsksTheDaemonOnly(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	names := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer names.Close()
	c, err := adminAt(names.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.getJSON(t.Context(), "/status", 1<<20, new(any)); err == nil || asked {
		t.Errorf("%v; another was asked: %v", err, asked)
	}
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy is asked for the way")
	}
}

// slow is a writer that takes its time for each write.
type slow time.Duration

func (s slow) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(s))
	return len(b), nil
}

// TestIdleWriter: a steady answer may take any time, and so may the reader of the copy.
func TestIdleWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired atomic.Bool
		p := idleWriter{slow(time.Minute), time.AfterFunc(time.Second, func() { fired.Store(true) }), time.Second}
		for range 5 {
			time.Sleep(999 * time.Millisecond)
			p.Write([]byte("x"))
		}
		if synctest.Wait(); fired.Load() {
			t.Error("given up while it came")
		}
		time.Sleep(time.Second)
		if synctest.Wait(); !fired.Load() {
			t.Error("still waited for")
		}
	})
}

// statusPage serves /status to requests that have the wanted Authorization, and returns its
// host:port.
func statusPage(t *testing.T, authorization string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != authorization {
			http.Error(w, "another token", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"version":"v1"}`)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// configWithAdmin writes a configuration with the given lines in [admin].
func configWithAdmin(t *testing.T, lines string) string {
	t.Helper()
	path := writeConfig(t, "")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "[admin]\nlisten = \"127.0.0.1:0\"\n", "[metrics]\nlisten = \"127.0.0.1:0\"\n[admin]\n"+lines+"\n", 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Commands find the listener and its token in the configuration; the token of a file goes to
// that listener only.
func TestAdminToken(t *testing.T) {
	const token = "0123456789abcdefghijklmnop"
	file := filepath.Join(t.TempDir(), "admin.token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := configWithAdmin(t, "listen = \""+statusPage(t, "Bearer "+token)+"\"\ntoken_file = \""+file+"\"")
	if out := succeed(t, "status", "-config", path); !strings.Contains(out, "straks v1") {
		t.Errorf("with the token of the file: %s", out)
	}
	open := statusPage(t, "")
	succeed(t, "status", "-config", path, "-admin", open)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := straks(t, "", "status", "-config", path); code != exitFailed || !strings.Contains(stderr, "admin.token_file can't be read") {
		t.Errorf("no file: exit %d, %s", code, stderr)
	}
	t.Setenv(adminToken, token)
	succeed(t, "status", "-config", path)
	succeed(t, "status", "-admin", statusPage(t, "Bearer "+token))
	t.Setenv(adminToken, "another")
	if code, _, stderr := straks(t, "", "status", "-config", path); code != exitFailed || !strings.Contains(stderr, "401") || !strings.Contains(stderr, adminToken) {
		t.Errorf("a wrong token: exit %d, %s", code, stderr)
	}
}

// A socket that can't be used is told from one that is not there.
func TestAdminSocketFaults(t *testing.T) {
	dir, err := os.MkdirTemp("", "straks-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "admin.sock")
	path := configWithAdmin(t, "listen = \""+socket+"\"")
	told := func(want string, args ...string) {
		t.Helper()
		if code, _, stderr := straks(t, "", append([]string{"status"}, args...)...); code == exitDone || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d, %s; want %q", args, code, stderr, want)
		}
	}
	told("there is no socket "+socket, "-config", path)
	told("there is no socket "+socket, "-admin", socket)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	told("nothing listens on "+socket, "-config", path)
	told("not known. Give -admin, or -config", "-config", filepath.Join(dir, "none.toml"))
	for _, bad := range []string{"://x", "ftp://127.0.0.1", "http://", "http://user:pw@127.0.0.1", "a b:1"} {
		told("-admin is", "-admin", bad)
	}
}

// A user who may not use the socket is told which group may.
func TestAdminSocketDenied(t *testing.T) {
	dir, err := os.MkdirTemp("", "straks-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "admin.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(socket, 0); err != nil {
		t.Fatal(err)
	}
	denied := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with its user
		if err := syscall.Setfsuid(65534); err != nil {
			denied <- err
			return
		}
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		denied <- err
	}()
	c, err := adminAt(socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.explain(<-denied); err == nil || !strings.Contains(err.Error(), "admin.group") || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("told %v", err)
	}
}
