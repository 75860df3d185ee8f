package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"straks/internal/pgcluster"
)

// clusterDemo is "straks demo -cluster" in a process group of its own, as in a terminal.
type clusterDemo struct {
	cmd  *exec.Cmd
	tmp  string // its temporary folder
	said output
}

// output is what a process has written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func startClusterDemo(t *testing.T) *clusterDemo {
	t.Helper()
	tmp, err := os.MkdirTemp("", "demo-") // short, and open to the servers' user
	must(t, err)
	must(t, os.Chmod(tmp, 0o711))
	t.Cleanup(func() { os.RemoveAll(tmp) })
	d := &clusterDemo{cmd: asNode("demo", "-cluster"), tmp: tmp}
	d.cmd.Env = append(d.cmd.Env, "TMPDIR="+tmp)
	d.cmd.Stdout, d.cmd.Stderr = &d.said, &d.said
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	must(t, d.cmd.Start())
	return d
}

// left returns the files and processes that are left of the demo.
func (d *clusterDemo) left() (all []string) {
	all, _ = filepath.Glob(filepath.Join(d.tmp, "*")) // the pattern is right
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		cwd, _ := os.Readlink(filepath.Join(dir, "cwd")) // a process that has ended has none
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.HasPrefix(cwd, d.tmp) || bytes.Contains(line, []byte(d.tmp)) {
			all = append(all, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return all
}

// TestClusterDemo runs the demo of several nodes twice at once. One of them is ended by Ctrl-C, and leaves nothing; the
// other one ends well.
func TestClusterDemo(t *testing.T) {
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	whole, cut := startClusterDemo(t), startClusterDemo(t)
	for !strings.Contains(cut.said.String(), "clients send") {
		if strings.Contains(cut.said.String(), "straks: ") {
			t.Fatalf("the demo does not begin:\n%s", cut.said.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(cut.left()) == 0 {
		t.Error("a demo that runs has neither files nor processes")
	}
	must(t, syscall.Kill(-cut.cmd.Process.Pid, syscall.SIGINT))
	if err := cut.cmd.Wait(); err == nil {
		t.Error("a demo that was interrupted has no error")
	}
	if left := cut.left(); len(left) > 0 || strings.Count(cut.said.String(), "straks: ") != 1 {
		t.Errorf("left of the demo that was interrupted: %q\n%s", left, cut.said.String())
	}
	if err := whole.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, whole.said.String())
	}
	for _, want := range []string{"was promoted", "orders are taken again", "node b has both binds", "node a is back", "none was sent twice"} {
		if !strings.Contains(whole.said.String(), want) {
			t.Errorf("the demo does not show %q:\n%s", want, whole.said.String())
		}
	}
	if left := whole.left(); len(left) > 0 {
		t.Errorf("left of the demo: %q", left)
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("interrupted:\n%s\nwhole:\n%s", cut.said.String(), whole.said.String())
	}
}
