package doctor

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"straks/internal/doctor/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func resolver(t *testing.T, s *dnstest.Server) *Resolver {
	t.Helper()
	r, err := NewResolver(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// within bounds a test.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// wants compares findings with what each must have: its level, and words of what it says or of its lines.
func wants(t *testing.T, got []Finding, want ...[]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d findings, want %d: %+v", len(got), len(want), got)
	}
	for i, words := range want {
		f := got[i]
		if string(f.Level) != words[0] {
			t.Errorf("finding %d is %q, want %q: %s", i, f.Level, words[0], f.Says)
		}
		text := f.Says
		for kind, lines := range map[string][]string{"remove: ": f.Remove, "publish: ": f.Publish, "configure: ": f.Configure, "run: ": f.Run} {
			for _, line := range lines {
				text += "\n" + kind + line
			}
		}
		for _, word := range words[1:] {
			if !strings.Contains(text, word) {
				t.Errorf("finding %d lacks %q:\n%s", i, word, text)
			}
		}
	}
}

// publishes fails where the lines are no records that a server can load.
func publishes(t *testing.T, findings []Finding) {
	t.Helper()
	for _, f := range findings {
		for _, line := range append(f.Publish, f.Remove...) {
			if _, err := dns.NewRR(line); err != nil {
				t.Errorf("%q is no line of a zone file: %v", line, err)
			}
		}
	}
}
