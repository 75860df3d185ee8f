package daemon

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"straks/internal/config"
)

// socketIn returns the configuration of a socket in a new folder, with a short path.
func socketIn(t *testing.T) config.Admin {
	t.Helper()
	dir, err := os.MkdirTemp("", "straks-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return config.Admin{Listen: filepath.Join(dir, "admin.sock"), Mode: 0o660}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// Whatever the umask is, the socket has the permissions of the configuration, and before
// that those of the owner only.
func TestSocketPermissions(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o777} {
		a := socketIn(t)
		old := syscall.Umask(umask)
		l, err := listenSocket("admin.listen", adminSocket(a))
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		if m := mode(t, a.Listen); m != fs.ModeSocket|0o660 {
			t.Errorf("umask %o: the socket has %v", umask, m)
		}
		if l.Addr().String() != a.Listen {
			t.Errorf("its address is %s", l.Addr())
		}
		conn, err := net.Dial("unix", a.Listen)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		l.Close()
		if left, _ := os.ReadDir(filepath.Dir(a.Listen)); len(left) != 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

// At no time can anybody connect whom the configuration does not admit: the permissions of
// the file that bind(2) creates are the owner's alone, though the umask denies nothing.
func TestSocketIsNeverOpen(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	a := socketIn(t)
	a.Mode = 0o600
	var seen atomic.Int64
	done, watching := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		close(watching)
		for {
			for _, path := range []string{a.Listen, a.Listen + ".new"} {
				if info, err := os.Lstat(path); err == nil {
					seen.Add(1)
					if info.Mode().Perm()&0o077 != 0 {
						t.Errorf("%s has %v", path, info.Mode())
						return
					}
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	<-watching
	for range 200 {
		before := seen.Load()
		l, err := listenSocket("admin.listen", adminSocket(a))
		if err != nil {
			t.Fatal(err)
		}
		for seen.Load() == before && !t.Failed() {
			runtime.Gosched()
		}
		l.Close()
	}
	close(done)
	wg.Wait()
}

// A socket that a killed process has left is replaced, one on which a process listens is
// not, and nothing else is.
func TestSocketInTheWay(t *testing.T) {
	a := socketIn(t)
	first, err := listenSocket("admin.listen", adminSocket(a))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenSocket("admin.listen", adminSocket(a)); err == nil || !strings.Contains(err.Error(), "admin.listen: another process listens on "+a.Listen) {
		t.Errorf("over a live one: %v", err)
	}
	first.(*socketListener).UnixListener.Close() // as kill -9 does: the file stays
	if mode(t, a.Listen).Type() != fs.ModeSocket {
		t.Fatal("there is no stale socket")
	}
	if err := os.WriteFile(a.Listen+".new", nil, 0o600); err != nil { // killed while it started
		t.Fatal(err)
	}
	second, err := listenSocket("admin.listen", adminSocket(a))
	if err != nil {
		t.Fatalf("over a stale one: %v", err)
	}
	first.Close() // of the first daemon, whose file this is no more
	if conn, err := net.Dial("unix", a.Listen); err != nil {
		t.Errorf("the second one's file was removed: %v", err)
	} else {
		conn.Close()
	}
	second.Close()

	if err := os.WriteFile(a.Listen, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenSocket("admin.listen", adminSocket(a)); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("over a file: %v", err)
	}
	if text, _ := os.ReadFile(a.Listen); string(text) != "kept" {
		t.Errorf("the file has %q", text)
	}
}

// Of several daemons that start at once over a stale socket, one gets it.
func TestSocketOfSeveral(t *testing.T) {
	a := socketIn(t)
	stale, err := listenSocket("admin.listen", adminSocket(a))
	if err != nil {
		t.Fatal(err)
	}
	stale.(*socketListener).UnixListener.Close()
	var wg sync.WaitGroup
	listeners := make(chan net.Listener, 8)
	for range cap(listeners) {
		wg.Go(func() {
			if l, err := listenSocket("admin.listen", adminSocket(a)); err == nil {
				listeners <- l
			}
		})
	}
	wg.Wait()
	if len(listeners) != 1 {
		t.Errorf("%d listen on one path", len(listeners))
	}
	for range len(listeners) {
		(<-listeners).Close()
	}
}

func TestSocketFaults(t *testing.T) {
	a := socketIn(t)
	for name, tt := range map[string]struct {
		change func(*config.Admin)
		want   string
	}{
		"no folder":    {func(a *config.Admin) { a.Listen = filepath.Join(filepath.Dir(a.Listen), "none", "s") }, "admin.listen: there is no folder "},
		"no group":     {func(a *config.Admin) { a.Group = "nosuchgroup" }, "admin.group: "},
		"a long path":  {func(a *config.Admin) { a.Listen += strings.Repeat("x", 200) }, "admin.listen: "},
		"not a folder": {func(a *config.Admin) { a.Listen = "/dev/null/s" }, "admin.listen: "},
	} {
		broken := a
		tt.change(&broken)
		if l, err := listenSocket("admin.listen", adminSocket(broken)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(a.Listen)); len(left) != 0 {
			t.Errorf("%s: left over: %v", name, left)
		}
	}
	a.Group = "0"
	l, err := listenSocket("admin.listen", adminSocket(a))
	if err != nil {
		if !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
		return
	}
	l.Close()
}
