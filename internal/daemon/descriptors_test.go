package daemon_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
)

// withoutDescriptors is the variable that makes a test run in a process of its own, whose
// limit it may reach.
const withoutDescriptors = "STRAKS_TEST_WITHOUT_DESCRIPTORS"

// A daemon that has reached its limit of descriptors still sends the watchdog's keepalive, also
// when systemd has made its socket again: systemd must not kill it for that.
func TestBeatWithoutDescriptors(t *testing.T) {
	if os.Getenv(withoutDescriptors) != "" {
		exhaust(t)
		return
	}
	m := daemontest.NewManager(t)
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(append(os.Environ(), m.Env()...), withoutDescriptors+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); !strings.HasPrefix(line, "none left") {
		rest, _ := io.ReadAll(out)
		t.Fatalf("%v: %s%s", err, line, rest)
	}
	m.Skip()
	for range 5 {
		m.Await("; ready", "WATCHDOG=1")
	}
	m.Renew()
	for range 5 {
		m.Await("; ready", "WATCHDOG=1")
	}
	stdin.Close()
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, rest)
	}
}

// exhaust runs a daemon in a process without a descriptor left, until stdin ends.
func exhaust(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	before := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 256, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		held = append(held, f)
	}
	fmt.Println("none left")
	io.Copy(io.Discard, os.Stdin)
	if f, err := os.Open(os.DevNull); err == nil { // a part of the daemon has ended
		f.Close()
		t.Error("there was a descriptor left")
	}
	for _, f := range held {
		f.Close()
	}
	w.Stop()
}
