package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// TestServeRefuses: a daemon that cannot start says why, and releases everything.
func TestServeRefuses(t *testing.T) {
	path := writeConfig(t, "")
	serve := []string{"serve", "-config", path}
	told := func(want string) {
		t.Helper()
		if code, _, stderr := straks(t, "", serve...); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, want %q in %s", code, want, stderr)
		}
	}
	told("straks init") // there is no journal

	succeed(t, "init", "-config", path)
	if code, _, stderr := straks(t, "", "init", "-config", path); code != exitFailed || !strings.Contains(stderr, "there is a file already") {
		t.Errorf("init over a journal: exit %d, %s", code, stderr)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	admin := "[admin]\nlisten = \"127.0.0.1:0\""
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), admin, "[admin]\nlisten = \""+taken.Addr().String()+"\"", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	told("admin.listen: ")

	journal := filepath.Join(filepath.Dir(path), "journal.db")
	if s := stats(t, journal); s.Shipments != 0 { // and it is not locked
		t.Errorf("the journal has %+v", s)
	}
}

// The heap may grow by 32 MiB between two collections, except where that is more than five times or less than
// half of what is alive.
func TestGCPercent(t *testing.T) {
	for alive, want := range map[uint64]int{0: 400, 1 << 20: 400, 8 << 20: 400, 16 << 20: 200, 32 << 20: 100, 64 << 20: 50, 1 << 40: 50} {
		if got := gcPercentFor(alive); got != want {
			t.Errorf("with %d octets alive: %d %%, want %d", alive, got, want)
		}
	}
}

// TestTune: the environment wins over the daemon's settings of the Go runtime. They are those of a whole process.
func TestTune(t *testing.T) {
	for name, env := range map[string][]string{"the daemon's": {"GOGC=", "GOMEMLIMIT=", "GOMAXPROCS="}, "the environment's": {"GOGC=77", "GOMEMLIMIT=77GiB", "GOMAXPROCS=1"}} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestTuneChild$")
			cmd.Env = append(append(os.Environ(), tuneEnv+"=1"), env...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

const tuneEnv = "STRAKS_TUNE"

// TestTuneChild is not a test but the child of TestTune.
func TestTuneChild(t *testing.T) {
	if os.Getenv(tuneEnv) == "" {
		t.Skip("the child of TestTune")
	}
	tune()
	percent, limit, procs := debug.SetGCPercent(100), debug.SetMemoryLimit(-1), runtime.GOMAXPROCS(0)
	right := percent >= leastGCPercent && percent <= gcPercent && limit == memoryLimit && procs >= 2 // a collection may have come
	if os.Getenv("GOGC") != "" {
		right = percent == 77 && limit == 77<<30 && procs == 1
	}
	if !right {
		t.Errorf("GC percent %d, memory limit %d, GOMAXPROCS %d", percent, limit, procs)
	}
}
