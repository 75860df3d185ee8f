package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// patience bounds every wait; each takes far less.
const patience = 5 * time.Minute

// peer is a running program of folder node.
type peer struct {
	stdin  io.Writer
	events chan event
}

// event is one line of the peer; its program says which fields each event has.
type event struct {
	Event string

	Port              int
	Command           string
	SystemID          string `json:"system_id"`
	Password          string
	Version           byte
	Status            uint32
	Message           string
	ID                string
	Source            string
	SourceTON         byte `json:"source_ton"`
	SourceNPI         byte `json:"source_npi"`
	Destination       string
	DestTON           byte   `json:"dest_ton"`
	DestNPI           byte   `json:"dest_npi"`
	ESMClass          byte   `json:"esm_class"`
	DataCoding        byte   `json:"data_coding"`
	RegisteredReceipt byte   `json:"registered_delivery"`
	HasValidity       bool   `json:"has_validity"`
	HasReference      bool   `json:"has_reference"`
	MessageID         string `json:"message_id"`
	State             byte
	UDH               string
	SAR               string
	Text              string
}

// startSMSC starts the SMSC of smsc.js and returns its address.
func startSMSC(t *testing.T) (p *peer, addr string) {
	t.Helper()
	p = startPeer(t, "smsc.js")
	return p, "127.0.0.1:" + strconv.Itoa(p.await(t, "listening").Port)
}

// startPeer starts a program, or skips the test if it is not installed.
func startPeer(t *testing.T, args ...string) *peer {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: run .ci/interop-deps")
	}
	if _, err := os.Stat("node/node_modules/smpp"); errors.Is(err, os.ErrNotExist) {
		t.Skip("the npm package smpp is not installed: run .ci/interop-deps")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, node, args...)
	cmd.Dir = "node"
	cmd.Stderr = os.Stderr
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p := &peer{stdin: stdin, events: make(chan event, 1000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.events)
		p.read(stdout)
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // killed: the error says just that
	})
	return p
}

// read passes on the peer's events.
func (p *peer) read(stdout io.Reader) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = event{Event: "fault", Message: lines.Text()}
		}
		p.events <- e
	}
}

// next returns the next event, which must not be a fault.
func (p *peer) next(t *testing.T) event {
	t.Helper()
	select {
	case e, ok := <-p.events:
		if !ok {
			t.Fatal("the peer has ended")
		}
		if e.Event == "fault" {
			t.Fatalf("fault of the peer: %s", e.Message)
		}
		return e
	case <-time.After(patience):
		t.Fatalf("no event for %v", patience)
	}
	return event{}
}

// await returns the next event of that name. It skips others, except faults.
func (p *peer) await(t *testing.T, name string) event {
	t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		if e := p.next(t); e.Event == name {
			return e
		}
	}
	t.Fatalf("no %s within %v", name, patience)
	return event{}
}

// do sends the peer a command.
func (p *peer) do(t *testing.T, command string) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, command+"\n"); err != nil {
		t.Fatal(err)
	}
}
