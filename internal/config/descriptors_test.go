package config

import (
	"strings"
	"testing"
)

// Every connection that the daemon may open counts, those of carriers twice.
func TestDescriptors(t *testing.T) {
	cfg, _, found, err := parse(`
api = {listen = "127.0.0.1:8080", max_connections = 1000}
admin.listen = "127.0.0.1:9090"
journal.path = "/var/lib/straks/journal.db"
organisation = [{name = "ttd"}]
smsc = [{name = "a", addr = "10.0.0.5:2775", system_id = "straks"}, {name = "b", addr = "10.0.0.6:2775", system_id = "straks", binds = 10}]
relay = [{name = "mx", addr = "10.0.0.6:25"}, {name = "mx2", addr = "10.0.0.7:25", max_conns = 100}]
`, now, false)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	const want = 1000 + ownDescriptors + 2*(1+10+8+100)
	if n := cfg.Descriptors(); n != want {
		t.Errorf("%d, want %d", n, want)
	}
	if w := cfg.DescriptorWarnings(want, "the limit"); len(w) > 0 {
		t.Errorf("enough, and yet: %v", w)
	}
	w := cfg.DescriptorWarnings(want-1, "the limit of this process")
	if len(w) != 1 || w[0].Key != "api.max_connections" || !strings.Contains(w[0].Message, "the limit of this process is 1493") {
		t.Errorf("%v", w)
	}
}
