package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
)

// growthOrders is how many orders TestFileStopsGrowing makes: 4,500, or what
// STRAKS_GROWTH_ORDERS says, for a run with millions.
func growthOrders(t *testing.T) int {
	text := os.Getenv("STRAKS_GROWTH_ORDERS")
	if text == "" {
		return 4500
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 900 {
		t.Fatalf("STRAKS_GROWTH_ORDERS=%s: want a number from 900 on", text)
	}
	return n
}

// TestFileStopsGrowing lives through several retentions, with time moved by
// hand: once the oldest leave, nothing grows any more.
func TestFileStopsGrowing(t *testing.T) {
	t.Parallel()
	const (
		retention = 20 * 24 * time.Hour
		days      = 90
	)
	perDay := growthOrders(t) / days
	j, _ := newJournal(t, Options{})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var settled Stats
	for day := range days {
		began := time.Now()
		const writers = 512 // at most: as many orders then share a commit
		var wg sync.WaitGroup
		for w := range min(writers, perDay) {
			wg.Go(func() {
				for i := w; i < perDay; i += writers {
					orderAt(t, j, now.Add(time.Duration(i)*(24*time.Hour/time.Duration(perDay))), fmt.Sprintf("%d-%d", day, i), i%10 != 0)
				}
			})
		}
		wg.Wait()
		made := time.Since(began)
		now = now.Add(24 * time.Hour)
		keep(t, j, now, retention, max(100, perDay/100))
		if st, err := j.Stats(context.Background()); err == nil && day%10 == 9 {
			t.Logf("day %d: %d shipments, file of %d MiB, %d free, %.0f orders/s, then %v for deadlines and retention",
				day+1, st.Shipments, st.FileSize>>20, st.FreeSize>>20, float64(perDay)/made.Seconds(), time.Since(began)-made)
		}
		if day == days/2 {
			settled, _ = j.Stats(context.Background())
		}
	}
	check(t, j)
	st, err := j.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if used, was := st.FileSize-st.FreeSize, settled.FileSize-settled.FreeSize; used > was*5/4 {
		t.Errorf("%d octets in use, %d half-way", used, was)
	}
	if st.FileSize > settled.FileSize*5/4 {
		t.Errorf("file of %d octets, %d half-way", st.FileSize, settled.FileSize)
	}
	if want := perDay * 20; st.Shipments < want || st.Shipments > want*11/10 {
		t.Errorf("%d shipments, want about %d", st.Shipments, want)
	}
	if st.Parked > 2*perDay/10 || st.FeedEntries > uint64(2*perDay*22) {
		t.Errorf("%d parked, %d in the feed", st.Parked, st.FeedEntries)
	}
	j.snapshots.view(func(tb tables) error {
		if n := tb.deadlines().Stats().KeyN; n > 2*perDay {
			t.Errorf("%d deadlines", n)
		}
		if n := tb.refs().b.Stats().KeyN; n > 10*perDay*2 {
			t.Errorf("%d references", n)
		}
		return nil
	})
}

// orderAt is an order of the past with its facts. If it is never answered, its
// receipt stays parked.
func orderAt(t *testing.T, j *Journal, at time.Time, key string, answered bool) {
	in := acceptRequest(key)
	in.At, in.Shipment = at, idAt(at)
	var s orders.Shipment
	persist(t, func() (err error) { s, _, err = j.Accept(context.Background(), in); return err })
	a, r := accepted(s, key), delivered(key)
	a.At, r.At = at, at
	events := []orders.Event{a, r}
	if !answered {
		events = events[1:]
	}
	persist(t, func() error { _, err := j.Apply(context.Background(), events); return err })
}

// persist calls again, as the service does, while the journal says that nothing is
// known: on a busy machine a transaction of half a thousand calls may pass for a stalled disk.
func persist(t *testing.T, call func() error) {
	err := call()
	for range 1000 {
		if !errors.Is(err, orders.ErrUnavailable) {
			break
		}
		time.Sleep(20 * time.Millisecond)
		err = call()
	}
	if err != nil {
		t.Error(err)
	}
}

// keep does what the service does all the time, in steps of so many records:
// deadlines and retention.
func keep(t *testing.T, j *Journal, now time.Time, retention time.Duration, step int) {
	t.Helper()
	for {
		due, next, err := j.Due(context.Background(), now, step)
		if err != nil {
			t.Fatal(err)
		}
		if len(due) == 0 && (next.IsZero() || next.After(now)) { // else it has stepped over settled ones
			break
		}
		var expired []orders.Event
		for _, id := range due {
			expired = append(expired, orders.Expiry{Shipment: id, At: now})
		}
		persist(t, func() error { _, err := j.Apply(context.Background(), expired); return err })
		if t.Failed() {
			return
		}
	}
	for {
		var swept orders.Swept
		persist(t, func() (err error) {
			swept, err = j.Sweep(context.Background(), now, orders.Retention{All: retention}, step)
			return err
		})
		if !swept.More {
			return
		}
	}
}

func TestReadyTellsOfAStall(t *testing.T) {
	var commits []func() // of the writer
	j, _ := newJournal(t, Options{StallAfter: 30 * time.Minute, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		if len(commits) > 0 {
			commits[0]()
			commits = commits[1:]
		}
		return tx.Commit()
	}})
	says := func(what string) {
		if err := j.Ready(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("ready: %v; want %q", err, what)
		}
	}
	if err := j.Ready(); err != nil {
		t.Fatal(err)
	}
	commits = []func(){func() {
		j.health.begin(time.Now().Add(-time.Hour))
		says("slow disk: writing for 1h0m")
		if _, _, err := j.Accept(context.Background(), acceptRequest("newcomer")); !errors.Is(err, orders.ErrUnavailable) || !errors.Is(err, orders.ErrNotStored) {
			t.Errorf("a newcomer: %v", err)
		}
	}, func() { says("slow disk: the last write took 1h0m") }} // the writer's attempt
	if _, _, err := j.Accept(context.Background(), acceptRequest("k")); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "ready, though nobody writes", func() bool { return j.Ready() == nil })
	order(t, j, "newcomer")
	j.Close()
	if j.Ready() == nil {
		t.Fatal("ready after Close")
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	j, _ := newJournal(t, Options{Registerer: reg})
	order(t, j, "k")
	if _, err := j.Apply(context.Background(), []orders.Event{delivered("nobody's")}); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		m := f.GetMetric()[0]
		values[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	for name, want := range map[string]float64{
		"straks_journal_parked_reports": 1,
		"straks_journal_feed_entries":   2,
		"straks_journal_unavailable":    0,
		"straks_journal_queue_length":   0,
		"straks_journal_refused_total":  0,
		"straks_journal_commit_seconds": 3,
		"straks_journal_batch_size":     3,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if values["straks_journal_file_bytes"] <= values["straks_journal_free_bytes"] {
		t.Errorf("sizes %v", values)
	}
}
