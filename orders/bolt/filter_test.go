package bolt

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// ended is after how long each slot of keys has ended.
const ended = 11 * 24 * time.Hour

// anyKey is the record of a key whose shipment is gone.
func anyKey(key []byte) []byte { return encodeKey(nil, key, uuid.UUID{}) }

// ranges returns how many ranges the filters of keys have.
func ranges(t *testing.T, j *Journal) (n int) {
	t.Helper()
	j.snapshots.view(func(tb tables) error {
		filters := tb.keys().filters
		return filters.ForEachBucket(func(name []byte) error {
			n += filters.Bucket(name).Stats().KeyN
			return nil
		})
	})
	return n
}

// TestFilterHidesNothing: over a slot with several ranges, every key is found, one
// that comes late too, and hardly any other is looked up.
func TestFilterHidesNothing(t *testing.T) {
	t.Parallel()
	const n = 3*filterKeys + 100
	j, _ := newJournal(t, Options{})
	old := time.Now().Add(-ended)
	spoil(t, j, func(w *writeTx) error {
		for i := range n {
			if err := w.keys().put(old.UnixMicro(), hash(strconv.Itoa(i)), anyKey(hash(strconv.Itoa(i)))); err != nil {
				return err
			}
		}
		return nil
	})
	step := func() {
		t.Helper()
		if _, err := j.Sweep(t.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 1); err != nil {
			t.Fatal(err)
		}
	}
	foreign, passed := 0, 0
	find := func() {
		t.Helper()
		passed = 0
		j.snapshots.view(func(tb tables) error {
			keys := tb.keys()
			for i := range n + foreign {
				if v, err := keys.get(hash(strconv.Itoa(i))); v == nil || err != nil {
					t.Fatalf("key %d is not found, with %d ranges", i, ranges(t, j))
				}
				if k := hash("foreign", strconv.Itoa(i)); keys.all()[0].filter.maybe(k, filterSum(k)) {
					passed++
				}
			}
			return nil
		})
	}
	for built := 1; built <= 5; built++ { // a budget of 1 buys one range
		step()
		if got := ranges(t, j); got != min(built, 4) {
			t.Fatalf("%d ranges after %d steps", got, built)
		}
		find()
	}
	if passed > n/500 {
		t.Errorf("%d of %d foreign keys pass", passed, n)
	}
	foreign = 50
	spoil(t, j, func(w *writeTx) error {
		for i := range foreign {
			if err := w.keys().put(old.UnixMicro(), hash(strconv.Itoa(n+i)), anyKey(hash(strconv.Itoa(n+i)))); err != nil {
				return err
			}
		}
		return nil
	})
	find()
	check(t, j)
}

// TestFilterLeavesWithItsSlot, in steps of the budget, and Check finds one that did
// not, or that hides a key.
func TestFilterLeavesWithItsSlot(t *testing.T) {
	j, _ := newJournal(t, Options{})
	s := order(t, j, "k")
	sweepAll(t, j, time.Now().Add(ended))
	if ranges(t, j) != 1 {
		t.Fatal("no filter was built")
	}
	check(t, j)
	wantFault := func(spoiled func(w *writeTx) error, want string) {
		t.Helper()
		spoil(t, j, spoiled)
		if err := j.Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("check says %v, want %q", err, want)
		}
	}
	name := func(w *writeTx) []byte { return []byte(w.keys().all()[0].name) }
	wantFault(func(w *writeTx) error {
		return w.keys().filters.Bucket(name(w)).Put(lastKey(), w.keys().openFilter(name(w)).newRange(nil, lastKey(), nil))
	}, "hides a key")
	spoil(t, j, func(w *writeTx) error {
		return w.keys().all()[0].put(hash("ttd", "k"), encodeKey(nil, hash("ttd", "k"), s.ID))
	})
	check(t, j)
	sweepAll(t, j, time.Now().Add(125*24*time.Hour))
	if n := ranges(t, j); n != 0 {
		t.Errorf("%d ranges are left", n)
	}
	check(t, j)
	wantFault(func(w *writeTx) error { _, err := w.keys().filters.CreateBucket([]byte("none")); return err }, "filter of no slot")
}

// TestSlotsOfOtherLengths: a key that is used again, since its shipment was free for too
// long or is gone, is known from then on, though a longer slot of before has it and is
// asked first.
func TestSlotsOfOtherLengths(t *testing.T) {
	j, _ := newJournal(t, Options{})
	gone := uuid.Must(uuid.NewV7())
	spoil(t, j, func(w *writeTx) error {
		later := time.Now().Add(100 * 24 * time.Hour).UnixMicro()
		return w.keys().put(later, hash("ttd", "k"), encodeKey(nil, hash("ttd", "k"), gone))
	})
	first, claimed, err := j.Accept(t.Context(), acceptRequest("k"))
	if err != nil || !claimed {
		t.Fatalf("claimed %v, %v", claimed, err)
	}
	again, claimed, err := j.Accept(t.Context(), acceptRequest("k"))
	if err != nil || claimed || again.ID != first.ID {
		t.Errorf("claimed again %v: %v, first %v, %v", claimed, again.ID, first.ID, err)
	}
}
