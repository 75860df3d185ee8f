package bolt

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"straks/orders"
	"straks/orders/ledger"
)

// by returns a report of a carrier under one reference.
func by(carrier, ref string) orders.Report {
	r := delivered(ref)
	r.Carrier = carrier
	return r
}

// flood parks n reports of a carrier and returns how many were dropped to make room.
func flood(t *testing.T, j *Journal, carrier string, from, n int) (dropped int) {
	t.Helper()
	for i := range n {
		effects, err := j.Apply(t.Context(), []orders.Event{by(carrier, fmt.Sprint("nobody", from+i))})
		if err != nil || !effects[0].Parked {
			t.Fatal(effects, err)
		}
		dropped += effects[0].Dropped
	}
	return dropped
}

// One carrier's flood drops its own oldest, none of another's, by number and by octets, also after
// the journal was opened again.
func TestParkedIsBoundedByCarrier(t *testing.T) {
	t.Parallel()
	one := int64(parkedKeySize + len(encodeReport(nil, nil, new(by("flood", "nobody10")), nil)))
	for name, opt := range map[string]Options{
		"number": {MaxParked: 4},
		"octets": {MaxParkedOctets: 4 * one},
	} {
		j, path := newJournal(t, opt)
		var overtaken []orders.Shipment // by their receipts
		for _, ref := range []string{"m1", "m2"} {
			s, _, err := j.Accept(t.Context(), acceptRequest(ref))
			if err != nil {
				t.Fatal(err)
			}
			overtaken = append(overtaken, s)
		}
		early := []orders.Event{by("telco", "m1"), by("telco", "m2")}
		if _, err := j.Apply(t.Context(), early); err != nil {
			t.Fatal(err)
		}
		dropped := flood(t, j, "flood", 10, 20)
		j.Close()
		j = mustOpen(t, path, opt)
		dropped += flood(t, j, "flood", 30, 20)
		check(t, j)
		if dropped != 36 {
			t.Errorf("%s: %d dropped, want 36", name, dropped)
		}
		st, _ := j.Stats(t.Context())
		if st.Parked != 6 || st.ParkedMost != "flood" || st.ParkedOctets > 6*(one+20) || st.ParkedOctets < 5*one {
			t.Errorf("%s: %+v", name, st)
		}
		for i, ref := range []string{"m1", "m2"} {
			effects, err := j.Apply(t.Context(), []orders.Event{accepted(overtaken[i], ref)})
			if err != nil || effects[0].Shipment.Status != orders.SMSDelivered {
				t.Errorf("%s: the receipt that overtook its answer: %v, %v", name, effects, err)
			}
		}
		if st, _ := j.Stats(t.Context()); st.Parked != 4 {
			t.Errorf("%s: %d parked", name, st.Parked)
		}
		j.Close()
	}
}

// A journal of version 4, whose parked reports lie in one table, keeps them; one that can't be read
// is dropped.
func TestParkedOfVersion4(t *testing.T) {
	j, path := newJournal(t, Options{})
	events := []orders.Event{by("telco", "m1"), by("other", "m1"), by("telco", "m2")}
	if _, err := j.Apply(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	j.Close()
	db := rawDB(t, path)
	withoutSums(t, db)
	if err := db.Update(flatten); err != nil {
		t.Fatal(err)
	}
	setVersion(t, db, 4)
	db.Close()
	if err := Migrate(t.Context(), path, Options{Log: quiet, migrateStep: 2}); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, path, Options{})
	check(t, j)
	if st, _ := j.Stats(t.Context()); st.Parked != 3 {
		t.Errorf("%d parked, want 3", st.Parked)
	}
	flood(t, j, "telco", 0, 3) // under numbers that are free
	check(t, j)
	for _, ref := range []string{"m1", "m2"} {
		s, _, err := j.Accept(t.Context(), acceptRequest(ref))
		if err != nil {
			t.Fatal(err)
		}
		effects, err := j.Apply(t.Context(), []orders.Event{accepted(s, ref)})
		if err != nil || effects[0].Shipment.Status != orders.SMSDelivered {
			t.Errorf("%s: %v, %v", ref, effects, err)
		}
	}
}

// flatten makes the parked reports those of version 4, and adds one that can't be read.
func flatten(tx *bbolt.Tx) error {
	parked := tx.Bucket(bucketParked)
	var names [][]byte
	var flat []slotted
	tables{tx: tx}.eachParked(func(carrier string, k, v []byte) bool {
		if name := []byte(carrier); !slices.ContainsFunc(names, func(have []byte) bool { return string(have) == carrier }) {
			names = append(names, name)
		}
		flat = append(flat, slotted{slices.Clone(k), slices.Clone(v)})
		return true
	})
	for _, name := range names {
		if err := parked.DeleteBucket(name); err != nil {
			return err
		}
	}
	refs := tables{tx: tx}.refs()
	for i, record := range flat { // the numbers of one table differ
		r, _, err := reportWithoutSum(record.value, nil, nil)
		if err != nil {
			return err
		}
		key := slices.Clone(record.key)
		binary.BigEndian.PutUint64(key[8:], uint64(100+i))
		for _, slot := range refs.all() {
			if slot.b.Get(refKey(r.Carrier, r.Refs[0])) != nil {
				if err := slot.b.Put(refKey(r.Carrier, r.Refs[0]), withoutSum(encodeRef(nil, nil, ledger.Ref{Parked: ledger.ParkedID(key)}))); err != nil {
					return err
				}
			}
		}
		if err := parked.Put(key, record.value); err != nil {
			return err
		}
	}
	if err := parked.SetSequence(110); err != nil {
		return err
	}
	return parked.Put(make([]byte, parkedKeySize), []byte("no report"))
}

// Check finds a parked report that lies among those of another carrier.
func TestCheckFindsStrayParkedReport(t *testing.T) {
	j, _ := newJournal(t, Options{})
	flood(t, j, "telco", 0, 1)
	spoil(t, j, func(w *writeTx) error {
		b, err := w.parked().CreateBucket([]byte("other"))
		if err != nil {
			return err
		}
		k, v := w.parkedOf("telco").Cursor().First()
		return b.Put(slices.Clone(k), slices.Clone(v))
	})
	if err := j.Check(t.Context()); err == nil || !strings.Contains(err.Error(), `of "telco" lies among those of "other"`) {
		t.Error(err)
	}
}

func withoutSum(record []byte) []byte { return record[:len(record)-sumSize] }
