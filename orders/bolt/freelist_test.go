package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// A file whose process was killed is opened without a walk over all of it.
func TestFreePagesAreListedUnlessMany(t *testing.T) {
	j, path := newJournal(t, Options{})
	for i := range 50 {
		order(t, j, fmt.Sprint(i))
		if !listed(path) {
			t.Fatalf("after %d orders the file would have to be walked", i+1)
		}
	}
	freeMany(t, j)
	order(t, j, "last")
	if listed(path) {
		t.Error("a commit stored a long list")
	}
}

// freeMany leaves more free pages in the journal than are listed.
func freeMany(t *testing.T, j *Journal) {
	t.Helper()
	ballast := []byte("ballast")
	inTx(t, j, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(ballast)
		for i := 0; err == nil && i < 2*mostListed; i++ {
			err = b.Put(fmt.Append(nil, i), make([]byte, 3000))
		}
		return err
	})
	inTx(t, j, func(tx *bbolt.Tx) error { return tx.DeleteBucket(ballast) })
	order(t, j, "after") // with which they are free
}

// TestBadPageAndNoList: where no list tells the free pages, and a page can't be read, Open fails
// in plain words, and does not take the process with it. Those who look after the journal can still
// open it, and find out.
func TestBadPageAndNoList(t *testing.T) {
	j, open := newJournal(t, Options{})
	const n = 200
	ids := sent(t, j, n)
	freeMany(t, j)
	path := copyFile(t, open) // as after a kill
	j.Close()
	spoilPage(t, path, ids[n/2][:], []byte("+4799999999"))
	if listed(path) {
		t.Fatal("the free pages are listed")
	}
	if _, err := Open(path, Options{Log: quiet}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("open: %v", err)
	}
	if err := Migrate(t.Context(), path, Options{Log: quiet}); err != nil {
		t.Errorf("migrate, though nothing is to be done: %v", err)
	}
	r, err := OpenReadOnly(path, Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "a page can't be read") {
		t.Errorf("check: %v", err)
	}
	var copied bytes.Buffer
	if err := r.Backup(t.Context(), &copied); err != nil || copied.Len() == 0 {
		t.Errorf("backup of %d octets, %v", copied.Len(), err)
	}
}

// inTx runs a transaction of its own among the journal's.
func inTx(t *testing.T, j *Journal, run func(*bbolt.Tx) error) {
	t.Helper()
	r := newRequest(t.Context())
	r.run = func(w *writeTx) error { return run(w.tx) }
	if err := j.do(j.facts, r); err != nil {
		t.Fatal(err)
	}
}
