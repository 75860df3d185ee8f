package bolt

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/eventually"
	"straks/orders"
)

// TestAnswersHaveTheirTurnBeforeReports queues a report before its answer while
// a commit is under way: they meet in the next transaction, and nothing is parked.
func TestAnswersHaveTheirTurnBeforeReports(t *testing.T) {
	g := newGate()
	j, _ := newJournal(t, Options{commit: g.commit})
	s, _, err := j.Accept(context.Background(), acceptRequest("k"))
	if err != nil {
		t.Fatal(err)
	}
	g.shut.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { j.Accept(context.Background(), acceptRequest("under way")) })
	<-g.came
	var effects []orders.Effect
	wg.Go(func() { effects, err = j.Apply(context.Background(), []orders.Event{delivered("m")}) })
	eventually.True(t, "the report is queued", func() bool { return len(j.facts) == 1 })
	wg.Go(func() { j.Apply(context.Background(), []orders.Event{accepted(s, "m")}) })
	eventually.True(t, "the answer is queued", func() bool { return len(j.facts) == 2 })
	g.open()
	wg.Wait()
	if err != nil || !effects[0].Found || effects[0].Parked {
		t.Fatalf("the report: %+v, %v", effects, err)
	}
	check(t, j)
}

// TestMaxSize: a full journal refuses orders and says so, and takes facts about those that
// it has; until retention has made room.
func TestMaxSize(t *testing.T) {
	t.Parallel()
	j, _ := newJournal(t, Options{MaxSize: 1 << 18})
	var last orders.Shipment
	for i := 0; j.Ready() == nil; i++ {
		if s, _, err := j.Accept(context.Background(), acceptRequest(uuid.NewString())); err == nil {
			last = s // at the border commits free some pages, and use them
		}
		if i > 10_000 {
			t.Fatal("no limit")
		}
	}
	if err := j.Ready(); !strings.Contains(err.Error(), "max_size") {
		t.Fatal(err)
	}
	_, _, err := j.Accept(context.Background(), acceptRequest(uuid.NewString()))
	if err == nil || !strings.Contains(err.Error(), "largest size") || !errors.Is(err, orders.ErrNotStored) || !errors.Is(err, orders.ErrUnavailable) {
		t.Fatal(err)
	}
	if _, err := j.Apply(context.Background(), []orders.Event{accepted(last, "m")}); err != nil {
		t.Fatalf("a fact about a stored order: %v", err)
	}
	then := time.Now().Add(365 * 24 * time.Hour)
	settleAll(t, j, then)
	sweepAll(t, j, then)
	if err := j.Ready(); err != nil {
		t.Errorf("when retention has made room: %v", err)
	}
	order(t, j, "k")
}

// settleAll expires whatever is due then.
func settleAll(t *testing.T, j *Journal, then time.Time) {
	t.Helper()
	for {
		due, _, err := j.Due(t.Context(), then, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(due) == 0 {
			return
		}
		var events []orders.Event
		for _, id := range due {
			events = append(events, orders.Expiry{Shipment: id, At: then})
		}
		if _, err := j.Apply(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullSpoilsNobody has orders that a full journal refuses in one transaction with
// facts: they stay in one.
func TestFullSpoilsNobody(t *testing.T) {
	g := newGate()
	j, _ := newJournal(t, Options{commit: g.commit})
	s := order(t, j, "k")
	j.opt.MaxSize = 1 // which it has reached
	g.shut.Store(true)
	var wg sync.WaitGroup
	fact := func() { j.Apply(context.Background(), []orders.Event{accepted(s, "m")}) }
	wg.Go(fact)
	<-g.came
	for range 5 {
		wg.Go(fact)
		wg.Go(func() {
			if _, _, err := j.Accept(context.Background(), acceptRequest(uuid.NewString())); !errors.Is(err, orders.ErrNotStored) {
				t.Errorf("an order: %v", err)
			}
		})
	}
	eventually.True(t, "all are queued", func() bool { return len(j.facts) == 5 && len(j.accepts) == 5 })
	close(g.token)
	wg.Wait()
	if n := len(g.came); n != 1 {
		t.Errorf("%d transactions", n)
	}
}

// TestRefusedThenStored: an order that is refused in a transaction which comes to nothing,
// and stored when it is run again, is told as what it is. Nobody would send it else.
func TestRefusedThenStored(t *testing.T) {
	g := newGate()
	j, _ := newJournal(t, Options{MaxSize: 1, commit: g.commit}) // which it has reached
	g.shut.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { j.Apply(context.Background(), []orders.Event{delivered("under way")}) })
	<-g.came
	in := acceptRequest("k")
	wg.Go(func() {
		if s, claimed, err := j.Accept(context.Background(), in); err != nil || !claimed || s.ID != in.Shipment {
			t.Errorf("%v, claimed %v, %v", s.ID, claimed, err)
		}
	})
	wg.Go(func() {
		r := newRequest(context.Background())
		r.turn = reporting // after the order
		r.run = func(*writeTx) error {
			j.opt.MaxSize = 0
			return corrupt("record")
		}
		if err := j.do(j.facts, r); !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	})
	eventually.True(t, "both are queued", func() bool { return len(j.accepts) == 1 && len(j.facts) == 1 })
	g.open()
	wg.Wait()
	if _, err := j.Shipment(context.Background(), "ttd", in.Shipment); err != nil {
		t.Error(err)
	}
}
