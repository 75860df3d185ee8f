package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const service = `[Unit]
Description=the test of the package
After=basic.target
[Service]
Type=oneshot
ExecStart=/ci/inside.sh
StandardOutput=append:/ci/log
StandardError=inherit
ExecStopPost=systemctl poweroff --no-block
`

// TestPackageInMachine installs, upgrades, rolls back and purges the package in a machine that systemd has
// booted: systemd-nspawn over this machine's files, whose changes are in memory and end with it.
func TestPackageInMachine(t *testing.T) {
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("needs systemd-nspawn (Debian: systemd-container)")
	}
	shared, root := t.TempDir(), t.TempDir()
	if out, err := exec.Command("mount", "--bind", "/", root).CombinedOutput(); err != nil {
		t.Skipf("no right to mount: %s", out)
	}
	defer func() {
		if out, err := exec.Command("umount", root).CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	}()
	inside, err := os.ReadFile("testdata/inside.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"inside.sh": string(inside), "ci.service": service} {
		if err := os.WriteFile(filepath.Join(shared, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("needs rpm")
	}
	for name, version := range map[string]string{"old": "1.0.0", "new": "2.0.0"} {
		for _, format := range []string{"deb", "rpm"} {
			if err := os.Link(built(t, version, format), filepath.Join(shared, name+"."+format)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-nspawn", "--directory="+root, "--volatile=overlay", "--boot", "--register=no", "--keep-unit",
		"--private-network", fmt.Sprintf("--machine=straks-%d", os.Getpid()), "--bind="+shared+":/ci",
		"--bind-ro="+filepath.Join(shared, "ci.service")+":/etc/systemd/system/straks-test.service", "--", "--unit=straks-test.service")
	console, err := cmd.CombinedOutput()
	log, logErr := os.ReadFile(filepath.Join(shared, "log"))
	if logErr != nil && !strings.Contains(string(console), "Welcome to") {
		t.Skipf("no right to mount, or to boot: %v: %s", err, console)
	}
	if !strings.Contains(string(log), "== PASSED") {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Logf("\n%s", log)
}
