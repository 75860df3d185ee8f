package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestDescriptors: the start warns by the limit of the process, and "check" by that of the
// unit, whatever the limit of the shell.
func TestDescriptors(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.Configure("[api]", "max_connections = 4000")
	limited := func(args ...string) *exec.Cmd {
		cmd := exec.Command("sh", append([]string{"-c", "ulimit -n 3000 && exec \"$0\" \"$@\"", os.Args[0]}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return cmd
	}
	check := func() string {
		out, err := limited("check", "-config", w.ConfigFile()).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := check(); strings.Contains(out, "file descriptors") {
		t.Errorf("check: %s", out)
	}

	p := launchCommand(w, limited("serve", "-config", w.ConfigFile()))
	select {
	case <-p.serving:
	case <-p.ended:
		t.Fatal(p.log.String())
	}
	p.stop(t)
	if log := p.log.String(); !strings.Contains(log, `"key":"api.max_connections","warning":"is 4000: `) || !strings.Contains(log, "the limit of this process (RLIMIT_NOFILE) is 3000;") {
		t.Errorf("serve:\n%s", log)
	}

	w.EditConfig("max_connections = 4000", "max_connections = 66000")
	if out := check(); !strings.Contains(out, "warning: api.max_connections is 66000: ") || !strings.Contains(out, "LimitNOFILE of the unit as it comes with straks is 65536;") {
		t.Errorf("check: %s", out)
	}
}
