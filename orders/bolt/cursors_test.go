package bolt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// TestMigrationOfCursors: a journal of version 5 has no table of cursors, and gets one.
func TestMigrationOfCursors(t *testing.T) {
	j, path := newJournal(t, Options{})
	s := order(t, j, "k")
	j.Close()
	db := rawDB(t, path)
	if err := db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket(bucketCursors), tables{tx: tx}.putSchema(5))
	}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	wantRefused(t, path, ErrOutdated)
	if err := Migrate(t.Context(), path, Options{Log: quiet}); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, path, Options{})
	if err := j.PutCursors(t.Context(), []orders.Cursor{{Organisation: "ttd", Name: "crm"}}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Shipment(t.Context(), "ttd", s.ID); err != nil || got.Status != s.Status {
		t.Errorf("%v, %v", got.Status, err)
	}
	check(t, j)
}

// TestCorruptCursor: a cursor that can't be read is an error for its own subscription, not an absent one. The
// others are read, and Check reports it; also one that is beyond its feed.
func TestCorruptCursor(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	put := []orders.Cursor{{Organisation: "ttd", Name: "bad"}, {Organisation: "ttd", Name: "good"}}
	if err := j.PutCursors(t.Context(), put, nil); err != nil {
		t.Fatal(err)
	}
	spoil(t, j, func(w *writeTx) error {
		key, _ := cursorKey("ttd", "bad")
		record := bytes.Clone(w.cursors().Get(key))
		record[0] ^= 1
		return w.cursors().Put(key, record)
	})
	if _, ok, err := j.Cursor(t.Context(), "ttd", "bad"); ok || !errors.Is(err, ErrCorrupt) {
		t.Errorf("the bad one: %v, %v", ok, err)
	}
	if all, err := j.Cursors(t.Context()); err != nil || len(all) != 1 || all[0].Name != "good" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := j.Check(t.Context()); err == nil || !strings.Contains(err.Error(), `cursor "bad" of "ttd"`) {
		t.Errorf("check: %v", err)
	}
	put[0].Seq = 7
	if err := j.PutCursors(t.Context(), put, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "is at 7") {
		t.Errorf("check: %v", err)
	}
}
