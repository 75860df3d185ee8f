package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
)

// asProgram is the variable that makes this test binary run as straks, so that a test
// can kill it.
const asProgram = "STRAKS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// process is a daemon in its own process.
type process struct {
	cmd     *exec.Cmd
	began   time.Time
	serving chan struct{} // closed when api, metrics and admin are set
	ended   chan struct{} // closed when its log has ended
	api     string        // host:port
	metrics string
	admin   string  // path of the socket
	log     logTail // complete when ended
}

// launch runs "straks serve" with variables added to its environment, and does not
// wait for it to serve.
func launch(w *daemontest.World, env ...string) *process {
	w.T.Helper()
	cmd := exec.Command(os.Args[0], "serve", "-config", w.ConfigFile())
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	return launchCommand(w, cmd)
}

// launchCommand is launch for a command that becomes "straks serve".
func launchCommand(w *daemontest.World, cmd *exec.Cmd) *process {
	w.T.Helper()
	p := &process{cmd: cmd, began: time.Now(), serving: make(chan struct{}), ended: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		w.T.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.T.Fatal(err)
	}
	go p.read(stderr)
	return p
}

// startProcess runs "straks serve" and waits until it serves.
func startProcess(w *daemontest.World, env ...string) *process {
	w.T.Helper()
	p := launch(w, env...)
	select {
	case <-p.serving:
	case <-p.ended:
		p.cmd.Wait()
		w.T.Fatalf("the daemon does not serve:\n%s", p.log.String())
	}
	return p
}

// read follows the log, which has the addresses.
func (p *process) read(stderr io.Reader) {
	defer close(p.ended)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		line := lines.Text()
		p.log.add(line)
		if p.api == "" && strings.Contains(line, `"msg":"serving"`) {
			p.api, p.metrics, p.admin = quoted(line, `"api":"`), quoted(line, `"metrics":"`), quoted(line, `"admin":"`)
			close(p.serving)
		}
	}
}

func quoted(line, after string) string {
	_, rest, _ := strings.Cut(line, after)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// ready returns the reasons of /readyz, empty where the daemon is ready.
func (p *process) ready() string {
	resp, err := http.Get("http://" + p.metrics + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	why, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	return string(why)
}

// stop ends the process with SIGTERM.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stopping: %v:\n%s", err, p.log.String())
	}
}

// kill ends the process with SIGKILL, and returns an error where it had ended by itself,
// by a panic for example.
func (p *process) kill() error {
	p.cmd.Process.Kill()
	<-p.ended
	p.cmd.Wait()
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && !status.Signaled() && status.ExitStatus() != 0 {
		return fmt.Errorf("the daemon ended by itself, %v:\n%s", p.cmd.ProcessState, p.log.String())
	}
	return nil
}

// logTail is the end of a log.
type logTail struct {
	mu    sync.Mutex
	lines []string
}

func (l *logTail) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, line); len(l.lines) > 4000 {
		l.lines = append(l.lines[:0], l.lines[2000:]...)
	}
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
