package bolt

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestCheckGoesOn: a page that can't be read ends the check of its own table only.
func TestCheckGoesOn(t *testing.T) {
	j, path := newJournal(t, Options{})
	for i := range 100 {
		order(t, j, fmt.Sprint(i))
	}
	spoil(t, j, func(w *writeTx) error {
		parked := w.parked()
		return parked.Put(binary.BigEndian.AppendUint64(nil, 1), []byte("no report"))
	})
	j.Close()
	var page int64
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	size := int64(db.Info().PageSize)
	db.View(func(tx *bbolt.Tx) error {
		page = int64(tx.Bucket(bucketShipments).Root())
		return nil
	})
	db.Close()
	if page == 0 {
		t.Fatal("the shipments have no page of their own")
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff}, page*size) // a page begins with its number
	f.Close()

	r, err := OpenReadOnly(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = r.Check(t.Context())
	for _, want := range []string{"check of shipments", "parked"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is told of %s: %v", want, err)
		}
	}
}
