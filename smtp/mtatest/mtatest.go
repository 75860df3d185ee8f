package mtatest

import (
	"cmp"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"straks/internal/eventually"
)

// Folder is where .ci/mail-deps unpacks servers. $STRAKS_MTAS names another one.
const Folder = "/opt/straks-mtas"

// Config is what a server is to do.
type Config struct {
	BounceDomain string // of return paths
	Reports      string // host:port of our listener
	Socket       string // of ours, for LMTP, in place of Reports; for Postfix only
	World        string // host:port of the server for all other mails
	// Lifetime is after how long a mail that can't be delivered for now is given up. Some servers count in whole
	// minutes or tries, and take longer.
	Lifetime time.Duration
}

// Server is a kind of mail server.
type Server struct {
	Name string
	// Start runs one until the test's end, and returns its address.
	Start func(*testing.T, Config) string
}

// Servers are all kinds.
func Servers() []Server {
	return []Server{{"postfix", Postfix}, {"exim", Exim}, {"opensmtpd", OpenSMTPD}, {"sendmail", Sendmail}}
}

// find returns the path of a program of a server, or skips the test.
func find(t *testing.T, path string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mail servers start as root only")
	}
	path = filepath.Join(cmp.Or(os.Getenv("STRAKS_MTAS"), Folder), path)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not there (.ci/mail-deps unpacks it)", path)
	}
	return path
}

// folder makes the folder of a server, which its own users can enter: t.TempDir is closed to them.
func folder(t *testing.T, subs ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mta")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range append([]string{""}, subs...) {
		path := filepath.Join(dir, sub)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// own gives a path to a user, or skips the test.
func own(t *testing.T, path, name string) {
	t.Helper()
	owner, err := user.Lookup(name)
	if err != nil {
		t.Skipf("%v (.ci/mail-deps makes the user)", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a server in the foreground until the test's end, and waits until it listens. logs are shown when the test fails.
func run(t *testing.T, cmd *exec.Cmd, addr string, logs ...string) {
	t.Helper()
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Skipf("%s does not start here: %v", cmd.Path, err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		for _, path := range append(logs, output.Name()) {
			if text, err := os.ReadFile(path); t.Failed() && err == nil {
				t.Logf("%s:\n%s", path, text)
			}
		}
	})
	eventually.True(t, cmd.Path, func() bool { return listens(addr) })
}

func listens(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
