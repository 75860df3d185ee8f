package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"straks/internal/disktest"
)

// Every kind of overload refuses orders properly, and the daemon is back to normal
// afterwards. One kind freezes the disk.
func TestOverload(t *testing.T) {
	disk := t.TempDir()
	disktest.Mount(t, disk, disktest.BlockDevice(t, filepath.Join(t.TempDir(), "image"), 256<<20))
	results := bench(t, "-straks", built(t), "-overload", "-for", "300ms", "-freezable", disk)
	if len(results) != 9 {
		t.Fatalf("%d phases: %+v", len(results), results)
	}
	for _, r := range results {
		frozen := strings.Contains(r.Name, "frozen")
		if (r.Rate == 0) != frozen || frozen && r.Refused == 0 {
			t.Errorf("%s: %.0f orders/s, %d refused", r.Name, r.Rate, r.Refused)
		}
	}
}

// No file system is frozen that others may need.
func TestOverloadRefusesSharedFileSystem(t *testing.T) {
	var out, log bytes.Buffer
	args := []string{"-straks", built(t), "-overload", "-for", "10ms", "-freezable", t.TempDir(), "-json"}
	if code := run(t.Context(), args, nil, &out, &log); code != 1 || !strings.Contains(log.String(), "mount one of its own") {
		t.Errorf("exit %d: %s", code, log.String())
	}
}
