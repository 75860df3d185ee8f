package bolt

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"testing"

	"go.etcd.io/bbolt"
)

// listed tells whether the newest state in the file has a list of free pages.
// A meta page is a page header of 16 octets, then magic, version, page size and
// flags of 4 each, the root bucket's 16, the list's page and, further on, the
// transaction (bbolt's internal/common.Meta).
func listed(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var newest, list uint64
	for _, page := range [][]byte{file, file[os.Getpagesize():]} {
		if tx := binary.NativeEndian.Uint64(page[64:]); tx >= newest {
			newest, list = tx, binary.NativeEndian.Uint64(page[48:])
		}
	}
	return list != math.MaxUint64
}

// A file whose process was killed is opened without a walk over all of it.
func TestFreePagesAreListedUnlessMany(t *testing.T) {
	j, path := newJournal(t, Options{})
	for i := range 50 {
		order(t, j, fmt.Sprint(i))
		if !listed(t, path) {
			t.Fatalf("after %d orders the file would have to be walked", i+1)
		}
	}
	ballast := []byte("ballast")
	inTx(t, j, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(ballast)
		for i := 0; err == nil && i < 2*mostListed; i++ {
			err = b.Put(fmt.Append(nil, i), make([]byte, 3000))
		}
		return err
	})
	inTx(t, j, func(tx *bbolt.Tx) error { return tx.DeleteBucket(ballast) })
	order(t, j, "last")
	if listed(t, path) {
		t.Error("a commit stored a long list")
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
