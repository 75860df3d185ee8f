package pemfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Without paths there is nothing to trust or to show; a file that is not PEM is an error
// that names it. The name of one that is not there may be no name, but a secret.
func TestPoolAndPair(t *testing.T) {
	if pool, err := Pool(""); pool != nil || err != nil {
		t.Errorf("no path: %v, %v", pool, err)
	}
	if pairs, err := Pair("", ""); pairs != nil || err != nil {
		t.Errorf("no paths: %v, %v", pairs, err)
	}
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{junk, junk + ".absent"} {
		if _, err := Pool(path); err == nil || strings.Contains(err.Error(), path) != (path == junk) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := Pair(path, path); err == nil || strings.Contains(err.Error(), path) {
			t.Errorf("%s as a pair: %v", path, err)
		}
	}
}

func TestMinVersion(t *testing.T) {
	for s, want := range map[string]bool{"1.2": true, "1.3": true, "1.1": false, "": false} {
		if _, ok := MinVersion(s); ok != want {
			t.Errorf("%q: %v", s, ok)
		}
	}
}
