package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/internal/handover"
	"straks/orders"
	"straks/orders/ledger"
)

// TestCheckGoesOn: a page that can't be read ends the check of its own table only.
func TestCheckGoesOn(t *testing.T) {
	j, path := newJournal(t, Options{})
	for i := range 100 {
		order(t, j, fmt.Sprint(i))
	}
	spoil(t, j, func(w *writeTx) error {
		parked, err := w.parked().CreateBucket([]byte("telco"))
		if err != nil {
			return err
		}
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

// TestCheckOfSlots: a key that has two records, in slots apart, is told, and so is a reference.
func TestCheckOfSlots(t *testing.T) {
	for _, c := range []struct {
		table []byte
		key   []byte
		value func(key []byte, id uuid.UUID) []byte
	}{
		{bucketKeys, hash("ttd", "0"), func(key []byte, id uuid.UUID) []byte { return encodeKey(nil, key, id) }},
		{bucketRefs, refKey("telco", "0"), func(key []byte, id uuid.UUID) []byte {
			return encodeRef(nil, key, ledger.Ref{Bound: ledger.Binding{Shipment: id}})
		}},
	} {
		j, path := newJournal(t, Options{})
		ids := sent(t, j, 2)
		check(t, j)
		j.Close()
		db := rawDB(t, path)
		putBefore(t, db, c.table, c.key, c.value(c.key, ids[1]))
		db.Close()
		if err := mustOpen(t, path, Options{}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "same key") {
			t.Errorf("%s: %v", c.table, err)
		}
	}
}

// TestCheckOfFreePages: a list of free pages that has one which is in use, or lacks one, is told by
// those who only look. The daemon would write over the former.
func TestCheckOfFreePages(t *testing.T) {
	j, path := newJournal(t, Options{})
	sent(t, j, 10)
	j.Close()
	db := rawDB(t, path)
	var used uint64
	db.View(func(tx *bbolt.Tx) error {
		used = uint64(tx.Bucket(bucketShipments).Root())
		return nil
	})
	db.Close()
	// A page of bbolt's has its kind at octet 8, what it counts at 10, and a list its numbers from 16 on.
	const listPage = 0x10
	for want, wrong := range map[string]func(list []byte){
		"":                    func([]byte) {},
		"reachable freed":     func(list []byte) { binary.NativeEndian.PutUint64(list[16:], used) },
		"1 pages are neither": func(list []byte) { binary.NativeEndian.PutUint16(list[10:], binary.NativeEndian.Uint16(list[10:])-1) },
	} {
		copied := copyFile(t, path)
		file, err := os.ReadFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(file); at += os.Getpagesize() {
			if binary.NativeEndian.Uint16(file[at+8:]) == listPage {
				wrong(file[at:])
			}
		}
		if err := os.WriteFile(copied, file, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := OpenReadOnly(copied, Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = r.Check(t.Context())
		if r.Close(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// TestCheckOfKeysOfOld: a program of version 2 left a key where it was when it was used again, a day after
// it was free again, or when retention had taken its shipment. The newer record is asked first, and
// nothing is wrong.
func TestCheckOfKeysOfOld(t *testing.T) {
	j, path := newJournal(t, Options{})
	sent(t, j, 2)
	free, _, err := j.Accept(t.Context(), acceptRequest("free"))
	if err != nil {
		t.Fatal(err)
	}
	answer := orders.Answer{Shipment: free.ID, Claim: free.Claim, At: time.Now(), Outcome: handover.NotSent}
	if _, err := j.Apply(t.Context(), []orders.Event{answer}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	db := rawDB(t, path)
	gone := uuid.UUID{6: 0x70, 8: 0x80}
	putBefore(t, db, bucketKeys, hash("ttd", "0"), encodeKey(nil, hash("ttd", "0"), gone))
	putBefore(t, db, bucketKeys, hash("ttd", "1"), encodeKey(nil, hash("ttd", "1"), free.ID))
	db.Close()
	if err := mustOpen(t, path, Options{}).Check(t.Context()); err != nil && strings.Contains(err.Error(), "same key") {
		t.Error(err)
	}
}

// TestCheckOfBlocks: a block list that can't be read well is told.
func TestCheckOfBlocks(t *testing.T) {
	j, _ := newJournal(t, Options{})
	block := orders.Block{Organisation: "ttd", Channel: orders.SMS, Recipient: "+4799999999", At: time.Now()}
	if _, err := j.Apply(t.Context(), []orders.Event{block}); err != nil {
		t.Fatal(err)
	}
	check(t, j)
	spoil(t, j, func(w *writeTx) error {
		key := w.blockedKeys("ttd", orders.SMS, "+4799999999")[0]
		return w.blocked().Put(key, encodeBlock(nil, key, &orders.Block{At: time.Now(), Off: true}, nil))
	})
	if err := j.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "kept for ever") {
		t.Error(err)
	}
	spoil(t, j, func(w *writeTx) error {
		return w.blocked().Put(w.blockedKeys("ttd", orders.SMS, "+4799999999")[0], []byte{recordVersion})
	})
	if err := j.Check(t.Context()); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}
