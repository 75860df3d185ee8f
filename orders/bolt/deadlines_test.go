package bolt

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
)

// TestSweepSparesNewDeadlines: the clock was ahead and goes back, so that new deadlines lie
// before those that are over, just as retention clears these away.
func TestSweepSparesNewDeadlines(t *testing.T) {
	g := newGate()
	j, _ := newJournal(t, Options{commit: g.commit})
	order(t, j, "of a clock that is ahead")
	if due, _, err := j.Due(t.Context(), time.Now().Add(time.Hour), 1); len(due) != 0 || err != nil {
		t.Fatal(due, err)
	}
	place := func(key string) {
		in := acceptRequest(key)
		in.At = in.At.Add(-time.Hour)
		if _, _, err := j.Accept(t.Context(), in); err != nil {
			t.Error(err)
		}
	}
	g.shut.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { place("under way") })
	<-g.came
	wg.Go(func() {
		if _, err := j.Sweep(t.Context(), time.Now(), orders.Retention{All: 24 * time.Hour}, 100); err != nil {
			t.Error(err)
		}
	})
	eventually.True(t, "retention to wait its turn", func() bool { return len(j.facts) == 1 })
	wg.Go(func() { place("with it") })
	eventually.True(t, "an order to wait its turn", func() bool { return len(j.accepts) == 1 })
	g.open()
	wg.Wait()
	check(t, j)
	if due, _, err := j.Due(t.Context(), time.Now(), 10); len(due) != 2 || err != nil {
		t.Errorf("due %v, %v; want both orders", due, err)
	}
}

// TestDeadlineOfAFailedCommit: an order that a commit has stored although it failed has
// its deadline kept, where it lies before what Due had stepped over: the clock was ahead.
func TestDeadlineOfAFailedCommit(t *testing.T) {
	var fails atomic.Bool
	j, _ := newJournal(t, Options{Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		err := tx.Commit()
		if fails.Swap(false) {
			err = errors.New("the disk has said no, too late")
		}
		return err
	}})
	order(t, j, "before")
	if due, _, err := j.Due(t.Context(), time.Now().Add(time.Hour), 10); len(due) != 0 || err != nil {
		t.Fatalf("due %v, %v", due, err)
	}
	fails.Store(true)
	in := acceptRequest("k")
	in.TTL = time.Minute
	if _, _, err := j.Accept(t.Context(), in); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatal(err)
	}
	eventually.True(t, "the journal writes again", func() bool { return j.Ready() == nil })
	if _, err := j.Sweep(t.Context(), time.Now(), orders.Retention{All: 24 * time.Hour}, 100); err != nil {
		t.Fatal(err)
	}
	check(t, j)
	if due, _, err := j.Due(t.Context(), time.Now().Add(2*time.Minute), 10); len(due) != 1 || err != nil {
		t.Errorf("due %v, %v", due, err)
	}
}

// TestDeadlineOfAnOrderUnderWay: an order whose deadline has passed when it is stored, while
// Due looks at what there was before, is due the next time: its commit took longer
// than its TTL, or the clock was put back.
func TestDeadlineOfAnOrderUnderWay(t *testing.T) {
	j, _ := newJournal(t, Options{})
	place := func(key string, ago time.Duration) orders.Shipment {
		in := acceptRequest(key)
		in.At = in.At.Add(-ago)
		s, _, err := j.Accept(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	settled := place("settled", time.Hour)
	if _, err := j.Apply(t.Context(), []orders.Event{accepted(settled, "m"), delivered("m")}); err != nil {
		t.Fatal(err)
	}
	mark := j.due.begin()
	var seen scan
	err := j.snapshots.view(func(t tables) (err error) {
		seen, err = t.due(mark, time.Now(), 10)
		return err
	})
	late := place("late", 2*time.Hour)
	j.due.advance(seen.mark)
	if err != nil || len(seen.due) != 0 {
		t.Fatal(seen, err)
	}
	if due, _, err := j.Due(t.Context(), time.Now(), 10); err != nil || len(due) != 1 || due[0] != late.ID {
		t.Errorf("due %v, %v, want %v", due, err, late.ID)
	}
}

// TestUnsettledForEver: a shipment whose deadline was never kept holds up retention of
// those behind it no longer than for a day.
func TestUnsettledForEver(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	if _, _, err := j.Accept(t.Context(), acceptRequest("forgotten")); err != nil {
		t.Fatal(err)
	}
	spoil(t, j, func(w *writeTx) error {
		_, err := drop(w.deadlines(), 1, nil)
		return err
	})
	order(t, j, "behind it")
	const retention = 90 * 24 * time.Hour
	for i, want := range []int{0, 2} {
		after := time.Hour + time.Duration(i)*overdue
		swept, err := j.Sweep(t.Context(), time.Now().Add(retention+after), orders.Retention{All: retention}, 100)
		if err != nil || swept.Shipments != want {
			t.Errorf("%v after its retention: %+v, %v, want %d", after, swept, err, want)
		}
	}
	check(t, j)
}
