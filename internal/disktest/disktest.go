//go:build linux

// Package disktest gives a test a file system of its own, which it can fill or freeze.
package disktest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// BlockDevice makes an ext4 file system of size octets in the file image, and returns the
// function that mounts it.
func BlockDevice(t *testing.T, image string, size int64) (mount func(dir string) error) {
	t.Helper()
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	return func(dir string) error {
		if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
}

// Mount has mount put a file system at dir until the test ends. The test is skipped where
// the process may not mount.
func Mount(t *testing.T, dir string, mount func(dir string) error) {
	t.Helper()
	if err := mount(dir); err != nil {
		t.Skipf("no right to mount a file system for the journal: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
