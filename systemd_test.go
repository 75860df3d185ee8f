package straks_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"straks/internal/config"
)

// exposure is the highest level that systemd-analyze may report: 0 is sealed, 10 is open.
const exposure = 2.0

func systemdAnalyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed (Debian: systemd)")
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	return string(out), err
}

func units(t *testing.T) []string { return unitsOf(t, "systemd/*.service") }

func unitsOf(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no units: %v", err)
	}
	return paths
}

func TestUnitsAreSealed(t *testing.T) {
	for _, unit := range units(t) {
		out, err := systemdAnalyze(t, "security", "--offline=true", "--no-pager", unit)
		if err != nil {
			t.Fatalf("%s: %v\n%s", unit, err, out)
		}
		m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("%s: no level in\n%s", unit, out)
		}
		if level, err := strconv.ParseFloat(m[1], 64); err != nil || level >= exposure {
			t.Errorf("%s: exposure %s, want under %v\n%s", unit, m[1], exposure, out)
		}
	}
}

// TestUnitsAreRight: systemd finds no fault, except that the binary is not installed.
func TestUnitsAreRight(t *testing.T) {
	for _, unit := range unitsOf(t, "systemd/straks*.*") {
		out, _ := systemdAnalyze(t, "verify", "--no-pager", unit) // fails since the binary is missing
		for line := range strings.Lines(out) {
			if (strings.Contains(line, ".service:") || strings.Contains(line, ".socket:")) && strings.Contains(line, "straks") && !strings.Contains(line, "/usr/local/bin/straks is not executable") {
				t.Error(strings.TrimSpace(line))
			}
		}
	}
}

// TestUnitRestarts: systemd starts the daemon again after every end that nobody asked for.
// Some signals and exit codes look like a wanted end to systemd (systemd.service(5)), and
// Go's runtime exits with 2, as a wrong command line does.
func TestUnitRestarts(t *testing.T) {
	unit, err := os.ReadFile("systemd/straks.service")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Restart=always$`).Match(unit) || !regexp.MustCompile(`(?m)^StartLimitIntervalSec=0$`).Match(unit) {
		t.Error("systemd stops restarting it")
	}
	if m := regexp.MustCompile(`(?m)^(RestartPreventExitStatus|SuccessExitStatus)=.*$`).Find(unit); m != nil {
		t.Errorf("after some ends it is not restarted: %s", m)
	}
}

// TestUnitHasDescriptors: the program knows how many file descriptors the unit grants.
func TestUnitHasDescriptors(t *testing.T) {
	unit, err := os.ReadFile("systemd/straks.service")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("\nLimitNOFILE=%d\n", config.UnitDescriptors); !strings.Contains(string(unit), want) {
		t.Errorf("the unit lacks %q", want)
	}
}

// TestUnitFitsTheDefaults: systemd waits for as long as draining may take by the
// configuration's defaults, and makes the folder of the admin socket.
func TestUnitFitsTheDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "straks.toml")
	text := `
api.listen = "127.0.0.1:8080"
metrics.listen = "127.0.0.1:9090"
journal.path = "/var/lib/straks/journal.db"
organisation = [{name = "ttd"}]
relay = [{name = "mx", addr = "10.0.0.6:25"}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile("systemd/straks.service")
	if err != nil {
		t.Fatal(err)
	}
	if folder := filepath.Dir(cfg.Admin.Listen); folder != "/run/straks" || !regexp.MustCompile(`(?m)^RuntimeDirectory=straks$`).Match(unit) {
		t.Errorf("the unit does not make the folder of the admin socket, %s", folder)
	}
	var seconds int
	m := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)s$`).FindSubmatch(unit)
	if m == nil {
		t.Fatal("no TimeoutStopSec in seconds")
	}
	fmt.Sscan(string(m[1]), &seconds)
	least := cfg.API.DrainTimeout + cfg.SMS.DrainTime + 10*time.Second // relays and journal
	if got := time.Duration(seconds) * time.Second; got < least {
		t.Errorf("TimeoutStopSec is %v, draining may take %v", got, least)
	}
}
