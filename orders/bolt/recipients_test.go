package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/logtest"
	"straks/orders"
	"straks/orders/journaltest"
	"straks/orders/sealed"
)

// TestSealing runs what every engine that seals recipients must do.
func TestSealing(t *testing.T) {
	t.Parallel()
	journaltest.RunSealed(t, sealable)
}

var sealable = journaltest.Sealable{
	Open: func(t *testing.T, dir string, keys sealed.Keys) (orders.Journal, error) {
		path := filepath.Join(dir, "journal.db")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if err := Create(path, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		j, err := Open(path, Options{Keys: keys})
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name the file", err)
		}
		if err != nil {
			return nil, err
		}
		return j, nil
	},
	Resealing: func(j orders.Journal) bool { return testutil.ToFloat64(j.(*Journal).metrics.resealing) != 0 },
	Check:     func(j orders.Journal) error { return j.(*Journal).Check(context.Background()) },
}

// put stores two recipients wherever a journal can have one.
func put(t *testing.T, j *Journal) journaltest.Recipients { return journaltest.PutRecipients(t, j) }

// wantHeld: all that put has stored is found.
func wantHeld(t *testing.T, j *Journal, h journaltest.Recipients) {
	t.Helper()
	journaltest.WantRecipients(t, j, h)
	check(t, j)
}

// wantNoRecipient: the file has neither recipient, nor a hash of one that anybody can make.
func wantNoRecipient(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ToLower(b)
	needles := map[string][]byte{"the number": []byte("8765432"), "the address": []byte("kari.kanari")}
	for _, organisation := range []string{"ttd", "nav", "skd"} {
		for c, to := range map[orders.Channel]orders.Recipient{orders.SMS: journaltest.SecretNumber, orders.Email: orders.BlockForm(orders.Email, journaltest.SecretAddress)} {
			needles[fmt.Sprintf("a plain hash (%s, %v)", organisation, c)] = bytes.ToLower(hash(organisation, c.String(), string(to)))
		}
	}
	for what, needle := range needles {
		if bytes.Contains(b, needle) {
			t.Errorf("%s is in %s", what, filepath.Base(path))
		}
	}
}

func keysOf(current sealed.Key, former ...sealed.Key) Options {
	k := sealed.Keys{Current: &current}
	if len(former) > 0 {
		k.Former = &former[0]
	}
	return Options{Keys: k}
}

// TestNoRecipientInTheFile: of a journal that is sealed from the start, no octet of the file ever has a recipient.
func TestNoRecipientInTheFile(t *testing.T) {
	t.Parallel()
	opt := keysOf(sealed.NewKey())
	j, path := newJournal(t, opt)
	h := put(t, j)
	wantHeld(t, j, h)
	wantNoRecipient(t, path)
	j = closeAndOpen(t, j, path, opt)
	wantHeld(t, j, h)
	var backup bytes.Buffer
	if err := j.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, backup.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, copied)
	j.Close()
	compacted := filepath.Join(t.TempDir(), "compacted.db")
	if err := Compact(path, compacted, Options{}); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, compacted)
	wantHeld(t, mustOpen(t, compacted, opt), h)
}

func closeAndOpen(t *testing.T, j *Journal, path string, opt Options) *Journal {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, path, opt)
}

// TestSealingWhatIsThere: what a journal had before it got its key is counted, and leaves the file when that is compacted. A
// rotation leaves one key.
func TestSealingWhatIsThere(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	h := put(t, j)
	a, b := sealed.NewKey(), sealed.NewKey()
	j = closeAndOpen(t, j, path, keysOf(a))
	wantSealed(t, j, 8, nil)
	sealable.SealAll(t, j, 2)
	wantSealed(t, j, 0, map[string]int{a.ID.String(): 8})
	log := new(logtest.Log)
	opt := keysOf(b, a)
	opt.Log = slog.New(slog.NewTextHandler(log, nil))
	j = closeAndOpen(t, j, path, opt)
	sealable.SealAll(t, j, 3)
	wantSealed(t, j, 0, map[string]int{b.ID.String(): 8})
	if !strings.Contains(log.String(), "former key is not needed") {
		t.Error("the log does not say that the former key may go")
	}
	wantHeld(t, j, h)
	j.Close()
	compacted := filepath.Join(t.TempDir(), "compacted.db")
	if err := Compact(path, compacted, Options{}); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, compacted)
}

// wantSealed: how many recipients are plain, and how many sealed with each key.
func wantSealed(t *testing.T, j *Journal, plain int, with map[string]int) {
	t.Helper()
	st, err := j.Stats(t.Context())
	if err != nil || st.Plain != plain || !maps.Equal(st.Sealed, with) {
		t.Errorf("stats: %d plain, %v sealed, %v", st.Plain, st.Sealed, err)
	}
}

// TestMissingKey: a sealed journal that does not open without its key is left as it is. Its structure can be checked all the
// same.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	key := sealed.NewKey()
	j, path := newJournal(t, keysOf(key))
	put(t, j)
	j.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]Options{"no key": {}, "another key": keysOf(sealed.NewKey()), "other keys": keysOf(sealed.NewKey(), sealed.NewKey())} {
		if j, err := Open(path, opt); err == nil {
			j.Close()
			t.Errorf("%s: it opens", name)
		}
	}
	if _, err := OpenReadOnly(path, keysOf(sealed.NewKey())); err == nil {
		t.Error("a reader with another key is let in")
	}
	for _, opt := range []Options{{}, keysOf(key)} {
		r, err := OpenReadOnly(path, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(context.Background()); err != nil {
			t.Errorf("check with %v: %v", opt.Keys, err)
		}
		if st, err := r.Stats(context.Background()); err != nil || st.Sealed[key.ID.String()] != 8 {
			t.Errorf("stats with %v: %v, %v", opt.Keys, st.Sealed, err)
		}
		r.Close()
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed, %v", err)
	}
}

// TestSwappedRecipient: the sealed recipient of another record does not open, though the sum is right.
func TestSwappedRecipient(t *testing.T) {
	t.Parallel()
	j, _ := newJournal(t, keysOf(sealed.NewKey()))
	a, b := order(t, j, "a"), order(t, j, "b")
	spoil(t, j, func(w *writeTx) error {
		other := w.box.Seal(string(b.Recipient), shipmentTable, b.ID[:])
		own, _, err := sealedShipment(a.ID[:], w.shipments().Get(a.ID[:]))
		if err != nil {
			return err
		}
		record := bytes.Replace(w.shipments().Get(a.ID[:]), []byte(own), other, 1)
		record = record[:len(record)-sumSize]
		return w.shipments().Put(a.ID[:], shipmentScope.seal(record, 0, a.ID[:]))
	})
	if _, err := j.Shipment(t.Context(), a.Organisation, a.ID); !errors.Is(err, ErrCorrupt) {
		t.Errorf("it opens: %v", err)
	}
	if _, err := j.Shipment(t.Context(), b.Organisation, b.ID); err != nil {
		t.Error(err)
	}
}
