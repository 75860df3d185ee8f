package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"straks/cmd/straks/bench"
)

// The overload is one, a disk that hangs among it: orders are turned away, each as it should be, and all
// goes on afterwards.
func TestBenchOverload(t *testing.T) {
	disk := t.TempDir()
	mountAt(t, disk, blockDevice(t, filepath.Join(t.TempDir(), "image"), 256<<20))
	t.Setenv(asProgram, "1")
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"bench", "-overload", "-for", "300ms", "-freezable", disk, "-json"}, nil, &out, &log); code != 0 {
		t.Fatalf("exit %d: %s", code, log.String())
	}
	var phases []bench.Phase
	if err := json.Unmarshal(out.Bytes(), &phases); err != nil || len(phases) != 9 {
		t.Fatalf("%v in %s", err, out.String())
	}
	for _, p := range phases {
		hangs := strings.Contains(p.Name, "hangs")
		if (p.Rate == 0) != hangs || hangs && p.Refused == 0 {
			t.Errorf("%s: %.0f orders/s, %d refused", p.Name, p.Rate, p.Refused)
		}
	}
}

// Nothing is frozen that others may need.
func TestBenchFreezesNoFileSystemOfOthers(t *testing.T) {
	t.Setenv(asProgram, "1")
	var out, log bytes.Buffer
	args := []string{"bench", "-overload", "-for", "10ms", "-freezable", t.TempDir(), "-json"}
	if code := run(t.Context(), args, nil, &out, &log); code != 1 || !strings.Contains(log.String(), "mount one of its own") {
		t.Errorf("exit %d: %s", code, log.String())
	}
}
