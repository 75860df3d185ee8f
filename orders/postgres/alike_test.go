package postgres

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// settings are those of a node that must be the same on all. They can change while it runs.
type settings struct {
	mu    sync.Mutex
	parts map[string]string
	log   bytes.Buffer
}

func newSettings(dialect string) *settings {
	return &settings{parts: map[string]string{"organisation": "1", DialectOf("telco"): dialect}}
}

// set changes a part.
func (s *settings) set(part, hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = map[string]string{"organisation": s.parts["organisation"], DialectOf("telco"): s.parts[DialectOf("telco")], part: hash}
}

func (s *settings) alike() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts
}

func (s *settings) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// logged counts the lines of the log that have all words.
func (s *settings) logged(words ...string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.log.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// openWith opens the journal as a node with settings.
func openWith(t *testing.T, opt Options, id int, s *settings) (*Journal, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	opt.Node, opt.Alike, opt.Log, opt.Registerer = id, s.alike, slog.New(slog.NewTextHandler(s, nil)), reg
	return open(t, opt), reg
}

// differs returns the parts that a node knows to differ.
func differs(j *Journal) (parts []string) {
	for _, d := range j.Differences() {
		parts = append(parts, d.Part)
	}
	return parts
}

// TestAlike: a part that two nodes have otherwise is known to both, told once, and is a metric, until it is the same again.
// A part that only one of them has is none of the other's, and no difference stops a bind but that of its dialect.
func TestAlike(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	first, second := newSettings("x"), newSettings("x")
	second.set("organisation", "2")
	second.set("smsc.other.binds", "1")
	a, reg := openWith(t, opt, 1, first)
	defer a.Close()
	if got := differs(a); len(got) > 0 {
		t.Fatalf("a node alone differs in %v", got)
	}
	b, _ := openWith(t, opt, 2, second)
	defer b.Close()
	if got := differs(b); !slices.Equal(got, []string{"organisation"}) {
		t.Fatalf("the node that comes second knows %v", got)
	}
	eventually(t, "the first node does not know", func() bool { return slices.Equal(differs(a), []string{"organisation"}) })
	if d := a.Differences()[0]; !slices.Equal(d.Nodes, []int{2}) || d.Unbound {
		t.Errorf("%+v", d)
	}
	const metric = "# HELP straks_node_config_differs 1 while another live node has another value of this part of the configuration, which must be the same on all.\n" +
		"# TYPE straks_node_config_differs gauge\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(metric+
		"straks_node_config_differs{part=\"organisation\"} 1\nstraks_node_config_differs{part=\"smsc.telco.dialect\"} 0\n"), "straks_node_config_differs"); err != nil {
		t.Error(err)
	}
	slot, err := b.AcquireSlot(t.Context(), "telco", 0)
	if err != nil {
		t.Fatal(err)
	}
	slot.Release()
	second.set("organisation", "1")
	eventually(t, "the same again, and not known", func() bool { return len(differs(a)) == 0 && first.logged("same on all nodes again") == 1 })
	if n := first.logged("level=WARN", "part=organisation", "otherwise_on_nodes=[2]"); n != 1 {
		t.Errorf("told %d times:\n%s", n, first.log.String())
	}
}

// TestDialects: of two nodes with two dialects of an SMSC, the one that has run longer has all binds, whatever its number. The
// other one takes them when that has ended, and gives them back when its own dialect changes.
func TestDialects(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	older, younger := newSettings("x"), newSettings("y")
	a, _ := openWith(t, opt, 2, older)
	var ofA []Slot
	for n := range 2 {
		slot, err := a.AcquireSlot(t.Context(), "telco", n)
		if err != nil {
			t.Fatal(err)
		}
		ofA = append(ofA, slot)
	}
	b, _ := openWith(t, opt, 1, younger)
	defer b.Close()
	if d := b.Differences(); len(d) != 1 || !d[0].Unbound {
		t.Fatalf("%+v", d)
	}
	eventually(t, "the older node does not know", func() bool { return len(a.Differences()) == 1 })
	if a.Differences()[0].Unbound {
		t.Error("the older node does not bind either")
	}
	ofB := make(chan Slot)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for n := range 2 {
			if slot, err := b.AcquireSlot(ctx, "telco", n); err == nil {
				ofB <- slot
			}
		}
	}()
	other, err := b.AcquireSlot(t.Context(), "other", 0) // an SMSC that does not differ
	if err != nil {
		t.Fatal(err)
	}
	other.Release()
	b.slots.round()
	a.slots.round()
	if why := b.WhoHas("telco", 0); !strings.Contains(why, "node 2 keeps the SMSC") || !strings.Contains(why, DialectOf("telco")) {
		t.Errorf("the younger node says %q", why)
	}
	for _, slot := range ofA {
		select {
		case <-slot.Ended:
			t.Fatal("the older node must give a bind back")
		case <-ofB:
			t.Fatal("the younger node has a bind")
		default:
		}
	}
	for _, slot := range ofA {
		slot.Release()
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	slots := []Slot{<-ofB, <-ofB}

	c, _ := openWith(t, opt, 3, newSettings("y")) // as b has it
	defer c.Close()
	younger.set(DialectOf("telco"), "z") // b has run longer, and c is the one that has to leave it
	eventually(t, "the third node does not know", func() bool { d := c.Differences(); return len(d) == 1 && d[0].Unbound })
	for _, slot := range slots {
		slot.Release()
	}
}

// TestDialectChanges: a node whose dialect changes while it runs gives its binds back to one that has run longer.
func TestDialectChanges(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	older, younger := newSettings("x"), newSettings("x")
	a, _ := openWith(t, opt, 1, older)
	defer a.Close()
	b, _ := openWith(t, opt, 2, younger)
	defer b.Close()
	slot, err := b.AcquireSlot(t.Context(), "telco", 0)
	if err != nil {
		t.Fatal(err)
	}
	younger.set(DialectOf("telco"), "y")
	<-slot.Ended
	slot.Release()
	taken, err := a.AcquireSlot(t.Context(), "telco", 0)
	if err != nil {
		t.Fatal(err)
	}
	taken.Release()
	younger.set(DialectOf("telco"), "x")
	if slot, err = b.AcquireSlot(t.Context(), "telco", 0); err != nil {
		t.Fatal(err)
	}
	slot.Release()
}
