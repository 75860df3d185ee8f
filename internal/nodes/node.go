package nodes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"straks/api/client"
)

const (
	readyTime = time.Minute
	pollEvery = 20 * time.Millisecond
	maxLines  = 4000 // of a log
)

// Node is one straks, which runs from Start to Kill or Stop.
type Node struct {
	ID     int
	Name   string // "a", "b"
	Config string // its file
	Admin  string // the socket of its admin listener

	world *World
	mu    sync.Mutex
	cmd   *exec.Cmd // nil: it does not run
	api   string    // host:port, empty until it serves
	http  string    // of /readyz and metrics, likewise
	lines []string  // of its log
	ended chan struct{}
	back  func() // ends the outage of a node that was frozen or has ended
}

// Start starts the node, and returns when it serves. It may not be ready yet.
func (n *Node) Start(ctx context.Context) error {
	cmd := n.world.program("serve", "-config", n.Config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	serving, ended := make(chan struct{}), make(chan struct{})
	n.mu.Lock()
	n.cmd, n.ended, n.api, n.http = cmd, ended, "", ""
	n.mu.Unlock()
	n.returns()
	go func() {
		defer close(ended)
		n.read(stderr, serving)
		_ = cmd.Wait() // its log says why it ended
	}()
	select {
	case <-serving:
		return nil
	case <-ended:
		n.gone()
		return fmt.Errorf("node %s does not serve:\n%s", n.Name, n.Log())
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), n.Kill())
	}
}

// read follows the log, which has the addresses.
func (n *Node) read(stderr io.Reader, serving chan struct{}) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var said struct{ Msg, API, Metrics string }
		_ = json.Unmarshal(lines.Bytes(), &said) // a line of the Go runtime is none
		n.mu.Lock()
		if n.lines = append(n.lines, lines.Text()); len(n.lines) > maxLines {
			n.lines = append(n.lines[:0], n.lines[maxLines/2:]...)
		}
		if said.Msg == "serving" && n.api == "" {
			n.api, n.http = said.API, said.Metrics
			close(serving)
		}
		n.mu.Unlock()
	}
}

// Log returns the end of the node's log, of all its runs.
func (n *Node) Log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

func (n *Node) gone() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.api, n.http = nil, "", ""
}

// Addresses returns the host:port of the node's API, and of its metrics; empty while it does not run.
func (n *Node) Addresses() (api, metrics string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.api, n.http
}

// PID returns the id of the node's process, 0 while it does not run.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

// Client returns a client of the node; nil while it does not run.
func (n *Node) Client() *client.Client {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.api == "" {
		return nil
	}
	return n.world.client(n.api)
}

// client returns a client of the API at an address.
func (w *World) client(addr string) *client.Client {
	c, err := client.New("http://"+addr+"/notifications/api/v1", w.Token, w.http)
	if err != nil {
		panic(err) // the address is from a listener
	}
	return c
}

// Get asks the listener of metrics.
func (n *Node) Get(ctx context.Context, path string) (code int, text string, err error) {
	n.mu.Lock()
	addr := n.http
	n.mu.Unlock()
	if addr == "" {
		return 0, "", fmt.Errorf("node %s does not run", n.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := n.world.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// AwaitReady waits until the node is ready.
func (n *Node) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for {
		code, why, err := n.Get(ctx, "/readyz")
		if err == nil && code == http.StatusOK {
			return nil
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return fmt.Errorf("node %s does not get ready: %s %v\n%s", n.Name, strings.TrimSpace(why), err, n.Log())
		}
	}
}

// Binds returns how many binds the node has up.
func (n *Node) Binds(ctx context.Context) int {
	_, metrics, _ := n.Get(ctx, "/metrics") // one that does not answer shows none
	return len(bindUp.FindAllString(metrics, -1))
}

var bindUp = regexp.MustCompile(`(?m)^straks_smpp_bind_up\{.*\} 1$`)

// Kill ends the node by SIGKILL.
func (n *Node) Kill() error { return n.end(syscall.SIGKILL) }

// Stop ends the node by SIGTERM, and waits until it has drained.
func (n *Node) Stop() error { return n.end(syscall.SIGTERM) }

func (n *Node) end(s syscall.Signal) error {
	n.mu.Lock()
	cmd, ended := n.cmd, n.ended
	n.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if s == syscall.SIGKILL {
		n.out(Killed)
	}
	err := cmd.Process.Signal(s)
	if s == syscall.SIGKILL {
		<-ended
	} else {
		select {
		case <-ended:
		case <-time.After(readyTime):
			err = errors.Join(fmt.Errorf("node %s does not stop", n.Name), cmd.Process.Kill())
			<-ended
		}
	}
	n.gone()
	if errors.Is(err, syscall.ESRCH) || err != nil && strings.Contains(err.Error(), "already finished") {
		return fmt.Errorf("node %s had ended by itself:\n%s", n.Name, n.Log())
	}
	return err
}

// Signal sends a signal to the node, such as SIGSTOP.
func (n *Node) Signal(s syscall.Signal) error {
	n.mu.Lock()
	cmd := n.cmd
	n.mu.Unlock()
	if cmd == nil {
		return fmt.Errorf("node %s does not run", n.Name)
	}
	switch s {
	case syscall.SIGSTOP:
		n.out(Frozen)
	case syscall.SIGCONT:
		defer n.returns()
	}
	return cmd.Process.Signal(s)
}

// out notes that the node stops to work.
func (n *Node) out(what string) {
	n.returns()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.back = n.world.Outage(n.Name, what)
}

// returns notes that it works again.
func (n *Node) returns() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.back != nil {
		n.back()
		n.back = nil
	}
}
