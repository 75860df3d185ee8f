//go:build linux

package bolt

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders"
)

// recorder notes every write of bbolt. Of the writes between two syncs a power
// cut may keep any, so what counts is which writes a sync separates: bbolt
// syncs before and after it writes a meta page (one of the first two).
type recorder struct {
	mu     sync.Mutex
	base   []byte
	epochs [][]write // the writes between two syncs
}

type write struct {
	off  int64
	data []byte
}

// record starts to record what the journal writes.
func record(t *testing.T, j *Journal, path string) *recorder {
	t.Helper()
	base, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{base: base, epochs: [][]write{nil}}
	db := j.writer.file.db
	pageSize := int64(db.Info().PageSize)
	// bbolt keeps the function that it writes with for its own tests; the hook
	// that it exports hands out an *os.File and can't see writes.
	field := reflect.ValueOf(db).Elem().FieldByName("ops").FieldByName("writeAt")
	hook := reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem()
	writeAt := hook.Interface().(func([]byte, int64) (int, error))
	hook.Set(reflect.ValueOf(func(b []byte, off int64) (int, error) {
		w := write{off, append([]byte(nil), b...)}
		r.mu.Lock()
		if off < 2*pageSize {
			r.epochs = append(r.epochs, []write{w}, nil)
		} else {
			r.epochs[len(r.epochs)-1] = append(r.epochs[len(r.epochs)-1], w)
		}
		r.mu.Unlock()
		return writeAt(b, off)
	}))
	return r
}

// durable returns how many epochs are complete and synced now.
func (r *recorder) durable() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.epochs) - 1
}

// fact is something that was told to a caller once so many epochs were durable.
type fact struct {
	epoch int
	id    uuid.UUID
	least orders.Status
}

// TestPowerLoss cuts the power within each epoch of a run, with nothing, some
// and all of its writes on disk, whole or torn at a sector, and opens what is left.
func TestPowerLoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	opt := Options{MapSize: 4 << 20}
	if err := Create(path, opt); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, path, opt)
	order(t, j, "before")
	r := record(t, j, path)
	facts := live(t, j, r)
	j.Close()

	dice := rand.New(rand.NewPCG(1, 2))
	image := r.base
	dir := t.TempDir()
	for n, epoch := range r.epochs {
		for try := range 3 {
			left := append([]byte(nil), image...)
			for _, w := range epoch {
				switch {
				case try == 0 || try == 1 && dice.IntN(2) == 0:
				case try == 1 && dice.IntN(4) == 0:
					left = w.apply(left, 512*dice.IntN(len(w.data)/512))
				default:
					left = w.apply(left, len(w.data))
				}
			}
			survives(t, filepath.Join(dir, fmt.Sprintf("%d-%d.db", n, try)), left, facts, n)
		}
		for _, w := range epoch {
			image = w.apply(image, len(w.data))
		}
	}
	t.Logf("%d epochs, %d facts", len(r.epochs), len(facts))
}

// apply returns the image with the first n octets of the write.
func (w write) apply(image []byte, n int) []byte {
	if need := int(w.off) + len(w.data); need > len(image) {
		image = append(image, make([]byte, need-len(image))...)
	}
	copy(image[w.off:], w.data[:n])
	return image
}

// live is the life that is cut: orders by several callers at a time, receipts
// before and after their answers, a sweep.
func live(t *testing.T, j *Journal, r *recorder) (facts []fact) {
	var mu sync.Mutex
	told := func(s orders.Shipment) {
		mu.Lock()
		defer mu.Unlock()
		facts = append(facts, fact{r.durable(), s.ID, s.Status})
	}
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := range 6 {
				key := fmt.Sprintf("%d-%d", c, i)
				s, _, err := j.Accept(context.Background(), intake(key))
				if err != nil {
					t.Error(err)
					return
				}
				told(s)
				events := []orders.Event{delivered(key), accepted(s, key)}
				if i%2 == 0 {
					events[0], events[1] = events[1], events[0]
				}
				for _, e := range events {
					effects, err := j.Apply(context.Background(), []orders.Event{e})
					if err != nil {
						t.Error(err)
						return
					}
					if effects[0].Found {
						told(effects[0].Shipment)
					}
				}
			}
		})
	}
	wg.Wait()
	return facts
}

func survives(t *testing.T, path string, image []byte, facts []fact, epoch int) {
	t.Helper()
	writeSparse(t, path, image)
	defer os.Remove(path)
	j, err := Open(path, Options{MapSize: 4 << 20, Log: quiet})
	if err != nil {
		t.Fatalf("power cut in epoch %d: %v", epoch, err)
	}
	defer j.Close()
	if err := j.Check(context.Background()); err != nil {
		t.Fatalf("power cut in epoch %d: %v", epoch, err)
	}
	if err := j.writer.file.db.View(checkPages); err != nil {
		t.Fatalf("power cut in epoch %d: %v", epoch, err)
	}
	for _, f := range facts {
		if f.epoch > epoch {
			continue
		}
		s, err := j.Shipment(context.Background(), "ttd", f.id)
		if err != nil || s.Status < f.least {
			t.Fatalf("power cut in epoch %d: %s was told to be %v in epoch %d, now %v, %v", epoch, f.id, f.least, f.epoch, s.Status, err)
		}
	}
}

// checkPages is bbolt's own check: no page lost or used twice.
func checkPages(tx *bbolt.Tx) error {
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err
		}
	}
	return first
}

func writeSparse(t *testing.T, path string, image []byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(image))); err != nil {
		t.Fatal(err)
	}
	const chunk = 4096
	for off := 0; off < len(image); off += chunk {
		part := image[off:min(off+chunk, len(image))]
		for _, b := range part {
			if b != 0 {
				if _, err := f.WriteAt(part, int64(off)); err != nil && err != io.EOF {
					t.Fatal(err)
				}
				break
			}
		}
	}
}
