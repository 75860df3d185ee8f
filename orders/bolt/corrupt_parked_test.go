package bolt

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// parkOnBadPage parks 200 reports, of which some are on a page that can't be read then, and closes the journal.
func parkOnBadPage(t *testing.T, j *Journal, path string) {
	t.Helper()
	var early []orders.Event
	for i := range 200 {
		early = append(early, delivered("early-"+strconv.Itoa(i)))
	}
	if _, err := j.Apply(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	j.Close()
	var waits encoder
	waits.string("telco")
	waits.strings([]string{"early-150"})
	spoilPage(t, path, waits.b)
}

// TestBadPageOfParkedReports: the journal opens with it, Check tells it, and orders and
// receipts that do not need it go on.
func TestBadPageOfParkedReports(t *testing.T) {
	j, path := newJournal(t, Options{})
	ids := sent(t, j, 2)
	parkOnBadPage(t, j, path)

	r, err := OpenReadOnly(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Check(t.Context())
	r.Close()
	if err == nil || !strings.Contains(err.Error(), "check of parked") {
		t.Errorf("check: %v", err)
	}

	j = mustOpen(t, path, Options{Log: quiet})
	if n := j.waiting.Load(); n < 100 || n >= 200 { // all but those on the page
		t.Errorf("%d wait", n)
	}
	order(t, j, "k")
	effects, err := j.Apply(t.Context(), []orders.Event{delivered("0")})
	if err != nil || effects[0].Shipment.ID != ids[0] || effects[0].Shipment.Status != orders.SMSDelivered {
		t.Errorf("%+v, %v", effects, err)
	}
}

// TestBadPageBesideASweep: what a sweep leaves nearly empty bbolt merges with its neighbour when it
// commits. Where that can't be read the sweep fails, and nobody who is in one transaction with it;
// also where the file could not be opened anew, since no list tells its free pages.
func TestBadPageBesideASweep(t *testing.T) {
	t.Run("listed", func(t *testing.T) { badPageBesideASweep(t, func(*testing.T, *Journal) {}) })
	t.Run("no list", func(t *testing.T) { badPageBesideASweep(t, freeMany) })
}

func badPageBesideASweep(t *testing.T, before func(*testing.T, *Journal)) {
	j, path := newJournal(t, Options{})
	parkOnBadPage(t, j, path)

	g := newGate()
	broke := 0
	j = mustOpen(t, path, Options{Log: quiet, commit: func(tx *bbolt.Tx) error {
		broke++
		err := g.commit(tx)
		broke--
		return err
	}})
	before(t, j)
	then := time.Now().Add(2 * parkedRetention)
	for i := range 200 {
		g.shut.Store(true)
		var wg sync.WaitGroup
		key := strconv.Itoa(i)
		var taken [2]orders.Shipment // what is reported of them comes when the sweep has ended
		accept := func(n int, key string) {
			var err error
			if taken[n], _, err = j.Accept(t.Context(), intake(key)); err != nil {
				t.Error(err)
			}
		}
		wg.Go(func() { accept(0, "under way "+key) })
		<-g.came
		var swept error
		wg.Go(func() { _, swept = j.Sweep(t.Context(), then, 100*parkedRetention, 1) })
		wg.Go(func() { accept(1, "beside "+key) })
		eventually(t, "both are queued", func() bool { return len(j.accepts) == 1 && len(j.facts) == 1 })
		g.shut.Store(false)
		g.token <- struct{}{}
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
		for _, s := range taken {
			if _, err := j.Apply(t.Context(), []orders.Event{accepted(s, s.ID.String()), delivered(s.ID.String())}); err != nil {
				t.Fatal(err)
			}
		}
		if broke > 0 {
			if !errors.Is(swept, errPage) {
				t.Error(swept)
			}
			break
		}
	}
	if broke != 3 { // with the order, alone, and its table by itself
		t.Errorf("%d commits broke off", broke)
	}
	if err := j.Ready(); err != nil {
		t.Error(err)
	}
	order(t, j, "k")
}

// TestBadPageStopsNoOtherRetention: what is old leaves but for the table that has the page, whichever is swept
// before or after it.
func TestBadPageStopsNoOtherRetention(t *testing.T) {
	j, path := newJournal(t, Options{})
	const old = 30
	for i := range old {
		order(t, j, strconv.Itoa(i))
	}
	parkOnBadPage(t, j, path)

	j = mustOpen(t, path, Options{Log: quiet})
	failed, removed := 0, 0
	for more := true; more; {
		swept, err := j.Sweep(t.Context(), time.Now().Add(1000*time.Hour), 500*time.Hour, 40)
		if err != nil && !errors.Is(err, errPage) {
			t.Fatal(err)
		}
		if err != nil {
			failed++
		}
		removed, more = removed+swept.Shipments, swept.More
	}
	if failed == 0 || removed != old {
		t.Errorf("%d sweeps failed; %d shipments of %d removed", failed, removed, old)
	}
	if n := j.waiting.Load(); n == 0 || n >= 200 {
		t.Errorf("%d reports wait", n)
	}
	if err := j.Ready(); err != nil {
		t.Error(err)
	}
	order(t, j, "k")
}
