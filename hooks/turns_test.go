package hooks

import (
	"context"
	"slices"
	"sync"
	"testing"
)

// TestTurns: two processes send one after the other, and the first again. Each goes on where the other has ended.
func TestTurns(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.start(r.hook("crm"))
	first := w.d
	w.deliver(2)
	w.await("the first's", func() bool { return len(r.got()) == 4 })
	w.start(r.hook("crm"))
	w.deliver(2)
	w.await("the second's", func() bool { return len(r.got()) == 8 })
	w.end()
	first.Again()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = first.Run(ctx) })
	w.deliver(1)
	w.await("the first's again", func() bool { return len(r.got()) == 10 })
	cancel()
	running.Wait()
	if got := r.seqs(); !slices.Equal(got, span(1, 10)) {
		t.Errorf("sent %v", got)
	}
}
