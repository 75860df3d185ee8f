package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
)

// disk lets a test put something else under the journal's descriptor: the
// kernel itself then fails the writes, and the map still shows the file.
type disk struct {
	fd    *os.File
	saved int
}

func (d *disk) open(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag, mode)
	d.fd = f
	return f, err
}

func (d *disk) fail(t *testing.T, path string, flag int) {
	t.Helper()
	bad, err := syscall.Open(path, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d.saved, err = syscall.Dup(int(d.fd.Fd())); err != nil { // keeps the lock, too
		t.Fatal(err)
	}
	if err := syscall.Dup3(bad, int(d.fd.Fd()), 0); err != nil {
		t.Fatal(err)
	}
	syscall.Close(bad)
}

func (d *disk) heal(t *testing.T) {
	t.Helper()
	if err := syscall.Dup3(d.saved, int(d.fd.Fd()), 0); err != nil {
		t.Fatal(err)
	}
	syscall.Close(d.saved)
}

// place repeats Accept until the journal takes it, as the service does.
func place(t *testing.T, j *Journal, in orders.AcceptRequest) orders.Shipment {
	t.Helper()
	var s orders.Shipment
	eventually.True(t, "accepted", func() bool {
		got, claimed, err := j.Accept(context.Background(), in)
		if err != nil && !errors.Is(err, orders.ErrUnavailable) {
			t.Fatal(err)
		}
		if err == nil && !claimed {
			t.Fatal("a repeated call lost its claim")
		}
		s = got
		return err == nil
	})
	return s
}

// freePages leaves free pages in the file, so that it need not grow: the
// writes themselves are to fail.
func freePages(t *testing.T, j *Journal) {
	t.Helper()
	for range 100 {
		order(t, j, uuid.NewString())
	}
	if _, err := j.Sweep(context.Background(), time.Now().Add(365*24*time.Hour), orders.Retention{All: 0}, 1<<20); err != nil {
		t.Fatal(err)
	}
	order(t, j, uuid.NewString())
}

func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		under string // what is written to instead
		flag  int
		want  string
	}{
		"full":          {"/dev/full", os.O_RDWR, "no space left"},
		"sync fails":    {"/dev/null", os.O_RDWR, "invalid argument"},
		"read-only":     {"", os.O_RDONLY, "bad file descriptor"},
		"not even open": {"/dev/null", os.O_RDONLY, "bad file descriptor"},
	} {
		t.Run(name, func(t *testing.T) {
			var d disk
			j, path := newJournal(t, Options{openFile: d.open, probe: time.Millisecond, Log: quiet})
			freePages(t, j)
			before := order(t, j, "before")
			if c.under == "" {
				c.under = path
			}
			d.fail(t, c.under, c.flag)

			var wg sync.WaitGroup
			intakes := make([]orders.AcceptRequest, 20)
			for i := range intakes {
				intakes[i] = acceptRequest(fmt.Sprint(i))
				wg.Go(func() {
					if _, _, err := j.Accept(context.Background(), intakes[i]); !errors.Is(err, orders.ErrUnavailable) {
						t.Errorf("accept: %v", err)
					}
				})
			}
			wg.Wait()
			if _, err := j.Apply(context.Background(), []orders.Event{delivered("x")}); !errors.Is(err, orders.ErrUnavailable) || !errors.Is(err, orders.ErrNotStored) {
				t.Errorf("apply: %v", err)
			}
			if err := j.Ready(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ready: %v, want %q", err, c.want)
			}
			if _, err := j.Shipment(context.Background(), "ttd", before.ID); err != nil {
				t.Errorf("reads stopped: %v", err)
			}

			d.heal(t)
			eventually.True(t, "ready", func() bool { return j.Ready() == nil })
			for _, in := range intakes {
				place(t, j, in)
			}
			order(t, j, "after")
			check(t, j)
			j.Close()
			check(t, mustOpen(t, path, Options{}))
		})
	}
}

// TestFailureAfterTheMetaPage: the commit is on disk, but its sync is said to
// have failed. Nobody may be told that it was not stored.
func TestFailureAfterTheMetaPage(t *testing.T) {
	var broken atomic.Int32
	j, _ := newJournal(t, Options{Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		if broken.Add(-1) >= 0 {
			return errors.Join(tx.Commit(), syscall.EIO)
		}
		return tx.Commit()
	}})
	order(t, j, "before")
	broken.Store(3) // the first attempts to recover fail, too
	in := acceptRequest("k")
	if _, _, err := j.Accept(context.Background(), in); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatalf("accept: %v", err)
	}
	if s := place(t, j, in); s.ID != in.Shipment {
		t.Fatal("another shipment")
	}
	check(t, j)
	order(t, j, "after")
	check(t, j)
}

// TestEffectsOfAFailedCommit: what a commit that failed has changed is told once it is known to be stored, before a repeat
// of the call is answered; or that it is not.
func TestEffectsOfAFailedCommit(t *testing.T) {
	for _, stored := range []bool{true, false} {
		var broken atomic.Int32
		j, _ := newJournal(t, Options{Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
			if broken.Add(-1) < 0 {
				return tx.Commit()
			}
			if stored {
				return errors.Join(tx.Commit(), syscall.EIO)
			}
			return syscall.EIO
		}})
		s, _, err := j.Accept(context.Background(), acceptRequest("k"))
		if err != nil {
			t.Fatal(err)
		}
		answer := []orders.Event{accepted(s, "m")}
		broken.Store(3) // the first attempts to recover fail, too
		_, err = j.Apply(context.Background(), answer)
		var undecided *orders.UndecidedError
		if !errors.As(err, &undecided) || !errors.Is(err, orders.ErrUnavailable) {
			t.Fatal(err)
		}
		var again []orders.Effect
		eventually.True(t, "the repeat", func() bool {
			again, err = j.Apply(context.Background(), answer)
			return err == nil
		})
		var later []orders.Effect
		select {
		case later = <-undecided.Effects:
		default:
			t.Fatal("undecided after a repeat")
		}
		if got := len(later) == 1 && len(later[0].Changes) == 1; got != stored || (len(again[0].Changes) == 1) == stored {
			t.Errorf("stored: %v: then %+v, and to a repeat %+v", stored, later, again)
		}
		check(t, j)
		j.Close()
	}
}

// TestReopeningStalls: reopening the file waits for the readers. Calls that are not written by then
// fail as they do when a write stalls, and the journal is not ready.
func TestReopeningStalls(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	j, _ := newJournal(t, Options{Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		if broken.Swap(false) {
			return errors.Join(tx.Commit(), syscall.EIO)
		}
		return tx.Commit()
	}})
	order(t, j, "before")
	reader, err := j.snapshots.acquire()
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	if _, _, err := j.Accept(t.Context(), acceptRequest("k")); !errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("accept: %v", err)
	}
	eventually.True(t, "the file to be closed", j.snapshots.withdrawn)
	eventually.True(t, "the file to be reopened", func() bool { return j.health.began.Load() != nil })
	j.health.begin(time.Now().Add(-2 * time.Hour))
	if err := j.Ready(); !errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := j.Accept(ctx, acceptRequest("newcomer")); !errors.Is(err, orders.ErrNotStored) {
		t.Errorf("a newcomer: %v", err)
	}
	j.snapshots.release(reader)
	place(t, j, acceptRequest("after"))
	eventually.True(t, "ready", func() bool { return j.Ready() == nil })
}

func TestStalledDisk(t *testing.T) {
	t.Parallel()
	g := newGate()
	j, _ := newJournal(t, Options{Queue: 4, commit: g.commit})
	before := order(t, j, "before")
	g.shut.Store(true)

	var wg sync.WaitGroup
	wg.Go(func() { j.Accept(context.Background(), acceptRequest("first")) })
	<-g.came
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error, 50)
	for i := range cap(results) {
		wg.Go(func() {
			_, _, err := j.Accept(ctx, acceptRequest(fmt.Sprint(i)))
			results <- err
		})
	}
	for range cap(results) - 4 { // all but those in the queue are told at once
		if err := <-results; !errors.Is(err, orders.ErrBusy) {
			t.Fatalf("beyond the queue: %v", err)
		}
	}
	if _, err := j.Feed(context.Background(), orders.FeedQuery{Organisation: "ttd", Limit: 10}); err != nil {
		t.Fatalf("reads stopped: %v", err)
	}
	if _, err := j.Shipment(context.Background(), "ttd", before.ID); err != nil {
		t.Fatalf("reads stopped: %v", err)
	}
	cancel()
	for range 4 {
		if err := <-results; !errors.Is(err, orders.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Fatalf("a caller that went away: %v", err)
		}
	}
	g.open()
	wg.Wait()
	eventually.True(t, "the queue is empty", func() bool { return len(j.accepts) == 0 })
	order(t, j, "after")
	if _, claimed, err := j.Accept(context.Background(), acceptRequest("0")); err != nil || !claimed {
		t.Fatalf("what nobody waited for was stored: %v, %v", claimed, err)
	}
	check(t, j)
}

// TestCorruptRecordSpoilsNobodyElse has a batch in which one call meets a
// record that can't be read.
func TestCorruptRecordSpoilsNobodyElse(t *testing.T) {
	g := newGate()
	j, path := newJournal(t, Options{})
	bad := order(t, j, "bad")
	j.Close()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketShipments).Put(bad.ID[:], []byte{1, 2, 3}) })
	db.Close()
	j = mustOpen(t, path, Options{commit: g.commit})
	g.shut.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { j.Accept(context.Background(), acceptRequest("first")) })
	<-g.came
	for i := range 10 {
		wg.Go(func() {
			if _, _, err := j.Accept(context.Background(), acceptRequest(fmt.Sprint(i))); err != nil {
				t.Errorf("accept: %v", err)
			}
		})
	}
	wg.Go(func() {
		if _, err := j.Apply(context.Background(), []orders.Event{delivered("new"), accepted(bad, "bad")}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("apply: %v", err)
		}
	})
	eventually.True(t, "all are queued", func() bool { return len(j.accepts)+len(j.facts) == 11 })
	g.open()
	wg.Wait()
	if err := j.Ready(); err != nil {
		t.Fatal(err)
	}
	if st, _ := j.Stats(context.Background()); st.Parked != 0 {
		t.Fatal("half of a call was stored")
	}
	if _, err := j.Shipment(context.Background(), "ttd", bad.ID); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("look-up: %v", err)
	}
	if err := j.Check(context.Background()); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("check: %v", err)
	}
}

func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	var wg sync.WaitGroup
	var stored sync.Map
	for range 16 {
		wg.Go(func() {
			for {
				in := acceptRequest(uuid.NewString())
				if _, _, err := j.Accept(context.Background(), in); err != nil {
					if !errors.Is(err, orders.ErrUnavailable) {
						t.Errorf("%v", err)
					}
					return
				}
				stored.Store(in.Shipment, true)
			}
		})
	}
	eventually.True(t, "some are stored", func() bool {
		n := 0
		stored.Range(func(any, any) bool { n++; return n < 50 })
		return n >= 50
	})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	j = mustOpen(t, path, Options{})
	stored.Range(func(id, _ any) bool {
		if _, err := j.Shipment(context.Background(), "ttd", id.(uuid.UUID)); err != nil {
			t.Errorf("%v: %v", id, err)
		}
		return true
	})
	check(t, j)
}

// TestFactsGetThroughACrowd has more orders at the door than a batch takes: a
// fact still is in the next one.
func TestFactsGetThroughACrowd(t *testing.T) {
	g := newGate()
	j, _ := newJournal(t, Options{MaxBatch: 8, commit: g.commit})
	s, _, err := j.Accept(context.Background(), acceptRequest("k"))
	if err != nil {
		t.Fatal(err)
	}
	g.shut.Store(true)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, _, err := j.Accept(context.Background(), acceptRequest(uuid.NewString())); err != nil {
				t.Error(err)
			}
		})
	}
	<-g.came
	eventually.True(t, "orders are queued", func() bool { return len(j.accepts) >= 40 })
	told := make(chan error, 1)
	wg.Go(func() {
		_, err := j.Apply(context.Background(), []orders.Event{accepted(s, "m")})
		told <- err
	})
	eventually.True(t, "the fact is queued", func() bool { return len(j.facts) == 1 })
	g.token <- struct{}{} // the batch under way
	g.token <- struct{}{} // the next one
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	if len(j.accepts) == 0 {
		t.Fatal("all orders went first")
	}
	g.open()
	wg.Wait()
}
