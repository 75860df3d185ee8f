package bolt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
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
	"straks/orders/orderstest"
)

var quiet = slog.New(slog.DiscardHandler)

func newJournal(t testing.TB, opt Options) (*Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := Create(path, Options{MapSize: opt.MapSize, FeedStart: opt.FeedStart}); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, path, opt), path
}

// mustOpen opens a journal for which no disk is too slow, unless StallAfter says otherwise.
func mustOpen(t testing.TB, path string, opt Options) *Journal {
	t.Helper()
	opt.StallAfter = cmp.Or(opt.StallAfter, time.Hour)
	j, err := Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

var acceptRequest, accepted, delivered = orderstest.AcceptRequest, orderstest.Accepted, orderstest.Delivered

// order runs an order through all of its facts.
func order(t testing.TB, j *Journal, key string) orders.Shipment {
	t.Helper()
	s, _, err := j.Accept(context.Background(), acceptRequest(key))
	if err != nil {
		t.Fatal(err)
	}
	effects, err := j.Apply(context.Background(), []orders.Event{accepted(s, key), delivered(key)})
	if err != nil {
		t.Fatal(err)
	}
	return effects[1].Shipment
}

func check(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	j, path := newJournal(t, Options{})
	refused := func(path, want string) {
		t.Helper()
		began := time.Now()
		j, err := Open(path, Options{})
		if err == nil {
			j.Close()
			t.Fatalf("opened, want %q", want)
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, want)
		}
		if d := time.Since(began); d > time.Minute { // and not for as long as the file is locked
			t.Errorf("told after %v", d)
		}
	}
	refused(path, "locked by another process")
	j.Close()

	missing := path + ".missing"
	refused(missing, "does not exist")
	if _, err := os.Stat(missing); err == nil {
		t.Error("Open made a file")
	}
	for want, content := range map[string][]byte{"only 0 octets": nil, "only 5000 octets": make([]byte, 5000), "not a journal": bytes.Repeat([]byte("no"), 8192)} {
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, content, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(other, want)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	refused(other, "database of something else")

	db, err = bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Update(func(tx *bbolt.Tx) error {
		return tables{tx: tx}.putSchema(schemaVersion + 1)
	})
	db.Close()
	refused(path, fmt.Sprintf("schema version %d", schemaVersion+1))
}

// A journal that somebody moves away, or puts another one in the place of, takes
// nothing more: it would be gone with the next start. Back in its place it goes on.
func TestJournalThatIsMovedAway(t *testing.T) {
	j, path := newJournal(t, Options{probe: time.Millisecond})
	order(t, j, "before")
	accept := func(key string) error {
		_, _, err := j.Accept(t.Context(), acceptRequest(key))
		return err
	}
	refused := func(how string) {
		t.Helper()
		if err := accept(how); !errors.Is(err, orders.ErrUnavailable) {
			t.Errorf("%s: %v", how, err)
		}
		if err := j.Ready(); err == nil || !strings.Contains(err.Error(), "moved away or replaced") {
			t.Errorf("%s: ready says %v", how, err)
		}
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	refused("moved away")
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("replaced")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the journal to recover", func() bool { return accept("after") == nil })
}

// A journal that is replaced by a backup just when it is reopened after a failure is not
// taken for itself: the keys since the backup would be as new, and be sent again.
func TestJournalThatIsReplacedWhileUnsure(t *testing.T) {
	var replace func() error // set for the commit that is to fail
	j, path := newJournal(t, Options{Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		err := tx.Commit()
		if replace != nil {
			err = errors.Join(replace(), err, syscall.EIO)
			replace = nil
		}
		return err
	}})
	backup := copyFile(t, path)
	first := order(t, j, "k")
	replace = func() error { return errors.Join(os.Rename(path, path+".away"), os.Rename(backup, path)) }
	if _, _, err := j.Accept(t.Context(), acceptRequest("unsure")); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatal(err)
	}
	eventually.True(t, "an attempt to reopen it", func() bool {
		err := j.Ready()
		return err == nil || strings.Contains(err.Error(), "moved away or replaced")
	})
	if s, _, err := j.Accept(t.Context(), acceptRequest("k")); !errors.Is(err, orders.ErrNotStored) {
		t.Fatalf("the key again: %v, %v; it was %v", s.ID, err, first.ID)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "it is back", func() bool { return j.Ready() == nil })
	if s, claimed, err := j.Accept(t.Context(), acceptRequest("k")); err != nil || claimed || s.ID != first.ID {
		t.Errorf("the key again: %v, claimed %v, %v; it was %v", s.ID, claimed, err, first.ID)
	}
	check(t, j)
}

// A journal that somebody cuts short takes nothing more, not even when it is as
// long again: nobody knows what came back. No write hides it, not that of Close either.
func TestJournalThatIsCutShort(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left int64 // octets; below 0: all except this number
		busy bool  // somebody writes after the cut
	}{
		"to nothing":             {0, true},
		"to its meta pages":      {8192, true},
		"by its last page":       {-4096, true},
		"to nothing, idle":       {0, false},
		"by its last page, idle": {-4096, false},
	} {
		t.Run(name, func(t *testing.T) {
			j, path := newJournal(t, Options{probe: time.Millisecond, Log: quiet})
			freePages(t, j)
			s := order(t, j, "before")
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			end := j.snapshots.size() // the file may have room behind it
			left := (c.left + end) % end
			if err := os.Truncate(path, left); err != nil {
				t.Fatal(err)
			}
			if c.busy {
				refusesTheCut(t, j)
			}
			if err := j.Close(); err == nil || !strings.Contains(err.Error(), "cut short") || size(t, path) != left {
				t.Errorf("close: %v; %d octets, %d were left", err, size(t, path), left)
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path+overwritten) {
				t.Errorf("its file is taken for what it was: %v", err)
			}
			if err := os.Remove(path + overwritten); err != nil {
				t.Fatal(err)
			}
			j = mustOpen(t, path, Options{})
			if _, err := j.Shipment(t.Context(), "ttd", s.ID); err != nil {
				t.Error(err)
			}
			order(t, j, "after")
			check(t, j)
		})
	}
}

func refusesTheCut(t *testing.T, j *Journal) {
	t.Helper()
	if _, _, err := j.Accept(t.Context(), acceptRequest("after the cut")); !errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("accept: %v", err)
	}
	if err := j.Ready(); err == nil || !strings.Contains(err.Error(), "cut short since it was opened") {
		t.Errorf("ready says %v", err)
	}
}

// A copy that broke off is told from a journal, wherever it broke off, also by
// those who only read it.
func TestOpenOfACopyThatBrokeOff(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	for i := range 100 {
		order(t, j, fmt.Sprint("k", i))
	}
	var whole bytes.Buffer
	if err := errors.Join(j.Backup(t.Context(), &whole), j.Close()); err != nil {
		t.Fatal(err)
	}
	for cut := whole.Len() - 1; cut > 0; cut -= 3 * 4096 / 2 {
		if err := os.WriteFile(path, whole.Bytes()[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := Open(path, Options{}); err == nil {
			j.Close()
			t.Errorf("opened with %d of %d octets", cut, whole.Len())
		}
		if j, err := OpenReadOnly(path, Options{}); err == nil {
			j.Close()
			t.Errorf("opened for reading with %d of %d octets", cut, whole.Len())
		} else if errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%d of %d octets: %v", cut, whole.Len(), err)
		}
	}
}

func TestCreateRefusesWhereAFileIs(t *testing.T) {
	j, path := newJournal(t, Options{})
	order(t, j, "k")
	j.Close()
	before, _ := os.ReadFile(path)
	if err := Create(path, Options{}); err == nil || !strings.Contains(err.Error(), "file already") {
		t.Fatalf("%v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Fatal("the file was changed")
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
}

// Of many who make a journal at once one does, and what others left, or failed
// with, is in nobody's way.
func TestCreateAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	if err := os.WriteFile(path+unfinished+"1", []byte("left over"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := func(string, int, os.FileMode) (*os.File, error) { return nil, syscall.EIO }
	if err := Create(path, Options{openFile: broken}); !errors.Is(err, syscall.EIO) {
		t.Errorf("on a disk that fails: %v", err)
	}
	var wg sync.WaitGroup
	var made atomic.Int32
	for range 16 {
		wg.Go(func() {
			if err := Create(path, Options{MapSize: 4 << 20}); err == nil {
				made.Add(1)
			} else if !strings.Contains(err.Error(), "file already") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	check(t, mustOpen(t, path, Options{}))
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 || made.Load() != 1 {
		t.Errorf("%d were made; there lie %v, %v", made.Load(), left, err)
	}
}

func TestMapGrows(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{MapSize: 1 << 16, Log: quiet})
	before := j.writer.file.mapped
	ref := strings.Repeat("r", 100)
	for i := range 400 {
		order(t, j, ref+string(rune('a'+i%26))+uuid.NewString())
	}
	check(t, j)
	j.Close()
	info, _ := os.Stat(path)
	if j.writer.file.mapped <= before || int(info.Size()) <= before {
		t.Fatalf("map %d, was %d, file %d", j.writer.file.mapped, before, info.Size())
	}
	check(t, mustOpen(t, path, Options{MapSize: 1 << 16}))
}

func TestParkedIsBounded(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{MaxParked: 3})
	park := func(refs ...string) {
		t.Helper()
		for _, ref := range refs {
			if _, err := j.Apply(context.Background(), []orders.Event{delivered(ref)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	park("a", "b", "c")
	j.Close()
	j = mustOpen(t, path, Options{MaxParked: 3}) // the number is counted again
	park("d")
	check(t, j)
	if st, _ := j.Stats(context.Background()); st.Parked != 3 {
		t.Fatalf("%d parked", st.Parked)
	}
	for ref, want := range map[string]orders.Status{"a": orders.SMSAccepted, "b": orders.SMSDelivered, "d": orders.SMSDelivered} {
		s, _, err := j.Accept(context.Background(), acceptRequest(ref))
		if err != nil {
			t.Fatal(err)
		}
		effects, err := j.Apply(context.Background(), []orders.Event{accepted(s, ref)})
		if err != nil || effects[0].Shipment.Status != want {
			t.Fatalf("%s: %v, want %v", ref, effects, want)
		}
	}
}

func TestBackupAndCompact(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	s := order(t, j, "k")
	var copied bytes.Buffer
	if err := j.Backup(context.Background(), &copied); err != nil {
		t.Fatal(err)
	}
	order(t, j, "after the backup")
	for i := range 300 {
		order(t, j, "filler"+uuid.NewString()+string(rune('a'+i%26)))
	}
	j.Sweep(context.Background(), time.Now().Add(365*24*time.Hour), orders.Retention{All: 0}, 1<<20)
	j.Close()

	restored := filepath.Join(t.TempDir(), "restored.db")
	if err := os.WriteFile(restored, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{restored, path} {
		dst := filepath.Join(t.TempDir(), "compact.db")
		if err := Compact(p, dst, Options{}); err != nil {
			t.Fatal(err)
		}
		if err := Compact(p, dst, Options{}); err == nil {
			t.Fatal("compacted over a file")
		}
		c := mustOpen(t, dst, Options{})
		check(t, c)
		_, err := c.Shipment(context.Background(), "ttd", s.ID)
		if restored := p == restored; restored != (err == nil) {
			t.Fatalf("%s: %v", p, err)
		}
		st, err := c.Stats(context.Background())
		if err != nil || st.Schema != schemaVersion || st.ID == uuid.Nil {
			t.Fatalf("%+v, %v", st, err)
		}
		c.Close()
	}
	if small, big := size(t, restored), size(t, path); small >= big {
		t.Fatalf("sizes %d and %d", small, big)
	}
}

// TestCompactOfWhatOutgrewItsMap: a journal that was reopened with a larger map can be
// compacted as well.
func TestCompactOfWhatOutgrewItsMap(t *testing.T) {
	t.Parallel()
	opt := Options{MapSize: 256 << 10, Log: quiet}
	j, path := newJournal(t, opt)
	for i := range 100 {
		in := acceptRequest(strconv.Itoa(i))
		in.SendersReference = strings.Repeat("r", 5000)
		place(t, j, in)
	}
	j.Close()
	compacted := filepath.Join(t.TempDir(), "compacted.db")
	if err := Compact(path, compacted, opt); err != nil {
		t.Fatal(err)
	}
	check(t, mustOpen(t, compacted, opt))
}

func size(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
