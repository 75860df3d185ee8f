package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"straks/internal/faults"
)

const aMetrics = "[metrics]\nlisten = \"127.0.0.1:9090\"\n"

// TestPrivateListeners: which combinations of the two are right, and which are warned of.
func TestPrivateListeners(t *testing.T) {
	dir := credentials(t, map[string]string{"telco.password": "hemlig", "admin.token": "0123456789abcdefghijkl\n",
		"short": "0123456789abcdefghijk", "spaced": "0123456789 0123456789 0123456789"})
	if err := os.Chmod(filepath.Join(dir, "admin.token"), 0o400); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text               string
		fault, fits        string // of the fault
		warnings           string // keys
		socket, hasMetrics bool
	}{
		{aMetrics, "", "", "", true, true},
		{aMetrics + "[admin]\nlisten = \"/tmp/s\"\nmode = \"0600\"\ngroup = \"adm\"", "", "", "", true, true},
		{aMetrics + "[admin]\nmode = \"0666\"", "", "", "admin.mode", true, true},
		{"", "", "", "metrics.listen", true, false},
		{"[admin]\nlisten = \"127.0.0.1:9090\"", "", "", "admin.token_file metrics.listen", false, false},
		{"[admin]\nlisten = \"127.0.0.1:9090\"\ntoken_file = \"admin.token\"", "", "", "metrics.listen", false, false},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9091\"\ntoken_file = \"admin.token\"\nhosts = [\"a.example.org\"]", "", "", "", false, true},
		{aMetrics + "[admin]\nlisten = \":9091\"\ntoken_file = \"admin.token\"", "", "", "admin.listen", false, true},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9091\"\ntoken_file = \"admin.token\"\nmode = \"0600\"\ngroup = \"adm\"", "", "", "admin.group admin.mode", false, true},
		{aMetrics + "[admin]\nhosts = [\"a\"]\ntoken_file = \"admin.token\"", "", "", "admin.hosts admin.token_file", true, true},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9091\"", "admin.token_file", "give a token", "", false, true},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9091\"\ntoken_file = \"short\"", "admin.token_file", "21 characters", "", false, true},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9091\"\ntoken_file = \"spaced\"", "admin.token_file", "without spaces", "", false, true},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9091\"\ntoken_file = \"absent\"", "admin.token_file", "can't be read", "", false, true},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9091\"\ntoken_file = \"admin.token\"\nhosts = [\"a:1\"]", "admin.hosts[0]", "without a port", "", false, true},
		{aMetrics + "[admin]\nlisten = \"127.0.0.1:9090\"\ntoken_file = \"admin.token\"", "admin.listen", "is that of metrics", "", false, true},
		{aMetrics + "[admin]\nlisten = \"\"", "admin.listen", "is missing", "", false, true},
		{aMetrics + "[admin]\nlisten = \"admin.sock\"", "admin.listen", "absolute path", "", false, true},
		{aMetrics + "[admin]\nlisten = \"run/admin.sock\"", "admin.listen", "must be absolute", "", true, true},
		{aMetrics + "[admin]\nlisten = \"/run/straks/\"", "admin.listen", "a folder", "", true, true},
		{aMetrics + "[admin]\nlisten = \"/" + strings.Repeat("x", 103) + "\"", "admin.listen", "103 at most", "", true, true},
		{aMetrics + "[admin]\nmode = \"0460\"", "admin.mode", "owner", "", true, true},
		{aMetrics + "[admin]\nmode = \"rw\"", "admin.mode", "octal", "", true, true},
		{aMetrics + "[admin]\nmode = \"4660\"", "admin.mode", "is \"4660\"", "", true, true},
		{aMetrics + "[admin]\nmode = 0o600", "", "", "", true, true},
		{aMetrics + "[admin]\nmode = 660", "admin.mode", "is \"1224\"", "", true, true},
		{"[metrics]\nlisten = \"/run/x\"", "metrics.listen", "not host:port", "", true, true},
	} {
		cfg, warnings, found, err := parse(strings.Replace(smallest, aMetrics, tt.text+"\n", 1), now, false)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if tt.fault == "" && len(found) > 0 || tt.fault != "" && !slices.ContainsFunc(found, func(f faults.Fault) bool { return f.Key == tt.fault && strings.Contains(f.Message, tt.fits) }) {
			t.Errorf("%s: faults %v; want %s … %s", tt.text, found, tt.fault, tt.fits)
		}
		var keys []string
		for _, w := range warnings {
			if strings.HasPrefix(w.Key, "metrics.") || strings.HasPrefix(w.Key, "admin.") {
				keys = append(keys, w.Key)
			}
		}
		if tt.fault == "" && strings.Join(keys, " ") != tt.warnings {
			t.Errorf("%s: warnings %v; want %s", tt.text, warnings, tt.warnings)
		}
		if cfg.Admin.Socket() != tt.socket || (cfg.Metrics.Listen != "") != tt.hasMetrics {
			t.Errorf("%s: %+v, %+v", tt.text, cfg.Metrics, cfg.Admin)
		}
	}
}
