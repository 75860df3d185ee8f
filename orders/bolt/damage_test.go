package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
)

// wantSentence fails unless err names the file and says what to do.
func wantSentence(t *testing.T, err error, path string) {
	t.Helper()
	for _, part := range []string{path, "a page can't be read", `"straks journal check"`, "restore a backup"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %q", err, part)
		}
	}
}

// TestBadPageEndsTheJournal: whichever call meets a page that can't be read, the process is told to
// end, once, and in plain words. No call waits for ever, and Close ends.
func TestBadPageEndsTheJournal(t *testing.T) {
	const n = 200
	half := strconv.Itoa(n / 2)
	shipment := func(ids []orders.Shipment) [][]byte { return [][]byte{ids[n/2].ID[:], []byte("+4799999999")} }
	for name, c := range map[string]struct {
		page func(made []orders.Shipment) [][]byte // what is on it
		call func(ctx context.Context, j *Journal, made []orders.Shipment) error
	}{
		"look-up": {shipment, func(ctx context.Context, j *Journal, made []orders.Shipment) error {
			_, err := j.Shipment(ctx, "ttd", made[n/2].ID)
			return err
		}},
		"feed": {shipment, func(ctx context.Context, j *Journal, _ []orders.Shipment) error {
			_, err := j.Feed(ctx, orders.FeedQuery{Organisation: "ttd", Limit: n})
			return err
		}},
		"deadlines": {shipment, func(ctx context.Context, j *Journal, _ []orders.Shipment) error {
			_, _, err := j.Due(ctx, time.Now().Add(time.Hour), n)
			return err
		}},
		"order": {func([]orders.Shipment) [][]byte { return [][]byte{hash("ttd", half)} },
			func(ctx context.Context, j *Journal, _ []orders.Shipment) error {
				_, _, err := j.Accept(ctx, acceptRequest(half))
				return err
			}},
		"receipt": {shipment, func(ctx context.Context, j *Journal, _ []orders.Shipment) error {
			_, err := j.Apply(ctx, []orders.Event{delivered(half)})
			return err
		}},
		"retention": {shipment, func(ctx context.Context, j *Journal, _ []orders.Shipment) error {
			_, err := j.Sweep(ctx, time.Now().Add(200*24*time.Hour), orders.Retention{All: 90 * 24 * time.Hour}, 1<<20)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, path := newJournal(t, Options{})
			var made []orders.Shipment
			for _, id := range sent(t, j, n) {
				made = append(made, orders.Shipment{ID: id})
			}
			j.Close()
			spoilPage(t, path, c.page(made)...)
			j = mustOpen(t, path, Options{Log: quiet})
			order(t, j, "before")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			if err := c.call(ctx, j, made); !errors.Is(err, ErrDamaged) {
				t.Errorf("the call: %v", err)
			}
			select {
			case err := <-j.Damaged():
				wantSentence(t, err, path)
			default:
				t.Fatal("nothing ends the process")
			}
			wantSentence(t, j.Ready(), path)
			if _, _, err := j.Accept(ctx, acceptRequest("after")); !errors.Is(err, orders.ErrUnavailable) || !errors.Is(err, orders.ErrNotStored) {
				t.Errorf("an order after that: %v", err)
			}
			_ = c.call(ctx, j, made)
			select {
			case err := <-j.Damaged():
				t.Errorf("told again: %v", err)
			default:
			}
			wantSentence(t, j.Close(), path)
		})
	}
}

// TestBadPageInACommit: bbolt merges what a call leaves nearly empty with its neighbour when it
// commits. A page that can't be read there ends the journal too, with all calls of the batch.
func TestBadPageInACommit(t *testing.T) {
	j, path := newJournal(t, Options{Log: quiet, commit: func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta).Get([]byte("spoilt")) != nil {
			panic("page 7 already freed")
		}
		return tx.Commit()
	}})
	order(t, j, "before")
	r := newRequest(t.Context())
	r.run = func(w *writeTx) error { return w.meta().Put([]byte("spoilt"), []byte{1}) }
	if err := j.do(j.facts, r); !errors.Is(err, orders.ErrUnavailable) {
		t.Error(err)
	}
	wantSentence(t, <-j.Damaged(), path)
	wantSentence(t, j.Close(), path)
	check(t, mustOpen(t, path, Options{}))
}

// freeMany leaves more free pages in the journal than a busy one lists.
func freeMany(t testing.TB, j *Journal) {
	t.Helper()
	ballast := []byte("ballast")
	inTx(t, j, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(ballast)
		for i := 0; err == nil && i < 2*maxListed; i++ {
			err = b.Put(fmt.Append(nil, i), make([]byte, 3000))
		}
		return err
	})
	inTx(t, j, func(tx *bbolt.Tx) error { return tx.DeleteBucket(ballast) })
	order(t, j, "after") // with which they are free
}

// inTx runs a transaction of its own among the journal's.
func inTx(t testing.TB, j *Journal, run func(*bbolt.Tx) error) {
	t.Helper()
	r := newRequest(context.Background())
	r.run = func(w *writeTx) error { return run(w.tx) }
	if err := j.do(j.facts, r); err != nil {
		t.Fatal(err)
	}
}

// A file whose process was killed is opened without reading all of it, unless the free pages were
// many and the journal was busy.
func TestFreePagesAreListedUnlessMany(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	for i := range 50 {
		order(t, j, fmt.Sprint(i))
		if !listedAt(path) {
			t.Fatalf("after %d orders the file would have to be walked", i+1)
		}
	}
	freeMany(t, j)
	order(t, j, "last")
	if listedAt(path) {
		t.Error("a commit of a busy journal stored a long list")
	}
	eventually.True(t, "an idle one stores it", func() bool { return listedAt(path) })
	order(t, j, "again")
	if listedAt(path) {
		t.Error("a commit of a busy journal stored a long list")
	}
	eventually.True(t, "an idle one stores it", func() bool { return listedAt(path) })
	j.Close()
	if db := rawDB(t, path); db.Stats().FreePageN < 2*maxListed {
		t.Errorf("%d free pages", db.Stats().FreePageN)
	} else {
		db.Close()
	}
}

// TestListed: the newer meta page counts, wherever it lies.
func TestListed(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 12, 1 << 14, 1 << 16} {
		path := t.TempDir() + "/journal.db"
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: size})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			db.NoFreelistSync = i%2 == 1
			if err := db.Update(func(tx *bbolt.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if listedAt(path) == db.NoFreelistSync {
				t.Errorf("pages of %d octets, commit %d: listed %v", size, i, !db.NoFreelistSync)
			}
		}
		db.Close()
	}
}

// unlisted makes a journal of n orders as a kill leaves it, whose free pages are not listed.
func unlisted(t *testing.T, n int) (path string, made []orders.Shipment) {
	t.Helper()
	j, path := newJournal(t, Options{})
	for _, id := range sent(t, j, n) {
		made = append(made, orders.Shipment{ID: id})
	}
	j.Close()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err == nil {
		err = errors.Join(db.Update(func(tx *bbolt.Tx) error { return nil }), db.Close())
	}
	if err != nil || listedAt(path) {
		t.Fatalf("the free pages are listed, %v", err)
	}
	return path, made
}

// openEnv names the journal that the child of TestBadPageAndNoList opens.
const openEnv = "STRAKS_TEST_OPEN_JOURNAL"

// TestBadPageAndNoList: bbolt reads all pages where it has to find the free ones. A page that can't
// be read ends the process there, and the log has said why. Those who only look can still open the
// journal, and find out.
func TestBadPageAndNoList(t *testing.T) {
	if path := os.Getenv(openEnv); path != "" {
		_, err := Open(path, Options{})
		fmt.Println(err)
		os.Exit(1)
	}
	const n = 200
	path, made := unlisted(t, n)
	spoilPage(t, path, made[n/2].ID[:], []byte("+4799999999"))
	child := exec.Command(os.Args[0], "-test.run=^TestBadPageAndNoList$")
	child.Env = append(os.Environ(), openEnv+"="+path)
	out, err := child.CombinedOutput()
	if err == nil {
		t.Error("the process went on")
	}
	wantSentence(t, errors.New(string(bytes.ReplaceAll(out, []byte(`\"`), []byte(`"`)))), path)

	if err := Migrate(t.Context(), path, Options{Log: quiet}); err != nil {
		t.Errorf("migrate, though there is nothing to do: %v", err)
	}
	wantReported(t, path)
}

// wantReported has those who only look read a journal with a page that can't be read.
func wantReported(t *testing.T, path string) {
	t.Helper()
	r, err := OpenReadOnly(path, Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "a page can't be read") {
		t.Errorf("check: %v", err)
	}
	if _, err := r.Stats(t.Context()); err == nil || !strings.Contains(err.Error(), "a page can't be read") {
		t.Errorf("stats: %v", err)
	}
	var copied bytes.Buffer
	if err := r.Backup(t.Context(), &copied); err != nil || copied.Len() == 0 {
		t.Errorf("backup of %d octets, %v", copied.Len(), err)
	}
}

// TestBadPageOfParkedReports: the journal does not open, and says why. Those who only look report it.
func TestBadPageOfParkedReports(t *testing.T) {
	j, path := newJournal(t, Options{})
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
	for range 2 {
		_, err := Open(path, Options{Log: quiet})
		wantSentence(t, err, path)
	}
	wantReported(t, path)
}
