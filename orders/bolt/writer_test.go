package bolt

import (
	"context"
	"sync"
	"testing"

	"straks/orders"
)

// TestAnswersHaveTheirTurnBeforeReports queues a report before its answer while
// a commit is under way: they meet in the next transaction, and nothing is parked.
func TestAnswersHaveTheirTurnBeforeReports(t *testing.T) {
	g := newGate()
	j, _ := newJournal(t, Options{commit: g.commit})
	s, _, err := j.Accept(context.Background(), intake("k"))
	if err != nil {
		t.Fatal(err)
	}
	g.shut.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { j.Accept(context.Background(), intake("under way")) })
	<-g.came
	var effects []orders.Effect
	wg.Go(func() { effects, err = j.Apply(context.Background(), []orders.Event{delivered("m")}) })
	eventually(t, "the report is queued", func() bool { return len(j.facts) == 1 })
	wg.Go(func() { j.Apply(context.Background(), []orders.Event{accepted(s, "m")}) })
	eventually(t, "the answer is queued", func() bool { return len(j.facts) == 2 })
	g.open()
	wg.Wait()
	if err != nil || !effects[0].Found || effects[0].Parked {
		t.Fatalf("the report: %+v, %v", effects, err)
	}
	check(t, j)
}
