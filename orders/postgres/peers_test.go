package postgres

import (
	"slices"
	"sync/atomic"
	"testing"
)

// TestNodesKnow: each node knows the live ones, and what they can send over; not those that have ended.
func TestNodesKnow(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	opt.URL, opt.Version = "https://10.0.0.1:8443", "v1"
	var up atomic.Pointer[[]string]
	up.Store(&[]string{"telco"})
	opt.Up = func() []string { return *up.Load() }
	a := open(t, opt)
	defer a.Close()
	b := open(t, node(opt, 2))
	sees := func(what string, want ...int) {
		t.Helper()
		eventually(t, what, func() bool {
			var ids []int
			for _, n := range a.Nodes() {
				ids = append(ids, n.ID)
			}
			return slices.Equal(ids, want)
		})
	}
	sees("the other node is not seen", 1, 2)
	eventually(t, "what the other can send over is not seen", func() bool { n := a.Nodes(); return len(n) == 2 && slices.Equal(n[1].Up, []string{"telco"}) })
	if n := a.Nodes()[1]; n.URL != opt.URL || n.Version != "v1" {
		t.Errorf("%+v", n)
	}
	up.Store(new([]string))
	eventually(t, "that it can send over nothing is not seen", func() bool { n := a.Nodes(); return len(n) == 2 && len(n[1].Up) == 0 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	sees("a node that has ended is seen", 1)
}
