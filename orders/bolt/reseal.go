package bolt

import (
	"bytes"
	"errors"
	"strings"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// resealing is how far the walk through all tables is that seals with the current key what is plain, or sealed with the
// former one. It begins again with each Open, until it has once come to its end.
type resealing struct {
	table int    // of writeTx.sealers
	after []byte // the last key in it that is done; nil: none
	plain bool   // what stays plain was met
	done  bool
}

// sealer goes on with one table: it looks at n records after a key at most, and seals those that need it. last is the key
// of the last of them; nil where no more come.
type sealer func(after []byte, n int) (seen int, last []byte, err error)

func (w *writeTx) sealers() []sealer {
	return []sealer{w.sealBlocked, w.sealLifted, w.sealParked, w.sealShipments, w.sealRefs, w.sealUnanswered}
}

// reseal takes a step of n records. After the last one, the journal needs no other key than the current one.
func (w *writeTx) reseal(n int) (spent int, err error) {
	at := &w.resealing
	if w.box.Settled() || at.done {
		return 0, nil
	}
	all := w.sealers()
	for at.table < len(all) {
		if spent >= n {
			return spent, nil
		}
		seen, last, err := all[at.table](at.after, n-spent)
		if err != nil {
			return spent, err
		}
		spent += seen
		if at.after = last; last == nil {
			at.table++
		}
	}
	at.done = true
	var state []byte
	w.settled, state = w.box.Resealed(at.plain)
	return spent, w.putMeta(keySealing, state)
}

// noteResealing takes over what a transaction that was committed has done of the walk.
func (j *Journal) noteResealing(w *writeTx) {
	j.writer.resealing = w.resealing
	if w.settled == nil {
		return
	}
	j.writer.file.box = w.settled
	j.metrics.resealing.Set(0)
	j.opt.Log.Info("journal: all recipients are sealed with the current key. The former key is not needed any more. "+
		"Pages that are free may hold what was there before: straks journal compact leaves them out", "key", j.opt.Keys.Current.ID.String())
}

// after returns copies of the records of b after a key (nil: the first ones), n at most, and the key of the last; nil
// where no more come.
func after(b *bbolt.Bucket, key []byte, n int) (records []slotted, last []byte) {
	c := b.Cursor()
	k, v := c.First()
	if key != nil {
		if k, v = c.Seek(key); bytes.Equal(k, key) {
			k, v = c.Next()
		}
	}
	for ; k != nil && len(records) < n; k, v = c.Next() {
		records = append(records, slotted{bytes.Clone(k), bytes.Clone(v)})
	}
	if k == nil {
		return records, nil
	}
	return records, records[len(records)-1].key
}

// sealBlocked puts entries of block lists under a keyed hash. One of before schema version 5 does not say whom it is of: it
// stays under its plain hash.
func (w *writeTx) sealBlocked(from []byte, n int) (int, []byte, error) {
	records, last := after(w.blocked(), from, n)
	for _, r := range records {
		if _, value, err := sealedBlock(r.key, r.value); err == nil && w.box.Current([]byte(value)) {
			continue // and so its key is a keyed hash
		}
		b, err := decodeBlock(r.key, r.value, w.box)
		switch {
		case err != nil:
			w.unsealable("block", err)
			continue
		case b.Recipient == "":
			w.resealing.plain = true
			continue
		}
		if err := w.PutBlocked(b); err != nil {
			return 0, nil, err
		}
	}
	return len(records), last, nil
}

// sealLifted removes entries of blocks that are not there any more under that hash.
func (w *writeTx) sealLifted(from []byte, n int) (int, []byte, error) {
	records, last := after(w.lifted(), from, n)
	for _, r := range records {
		if len(r.key) > 8 && w.blocked().Get(r.key[8:]) == nil {
			if err := w.lifted().Delete(r.key); err != nil {
				return 0, nil, err
			}
		}
	}
	return len(records), last, nil
}

// eachAfter is after for a table of buckets. A position is the name of the bucket and the key.
func eachAfter(table *bbolt.Bucket, from []byte, n int, seal func(name []byte, b *bbolt.Bucket, r slotted) error) (seen int, last []byte, err error) {
	d := decoder{b: from}
	begun, key := d.string(), []byte(d.string())
	names := table.Cursor()
	name, _ := names.Seek([]byte(begun))
	for ; name != nil && seen < n; name, _ = names.Next() {
		if string(name) != begun {
			key = nil
		}
		records, last := after(table.Bucket(name), key, n-seen)
		for _, r := range records {
			if err := seal(name, table.Bucket(name), r); err != nil {
				return 0, nil, err
			}
		}
		if seen += len(records); last != nil {
			return seen, position(name, last), nil
		}
	}
	if name == nil {
		return seen, nil, nil
	}
	return seen, position(name, nil), nil
}

func position(name, key []byte) []byte {
	e := encoder{}
	e.string(string(name))
	e.string(string(key))
	return e.b
}

// sealParked seals reports that wait.
func (w *writeTx) sealParked(from []byte, n int) (seen int, last []byte, err error) {
	return eachAfter(w.parked(), from, n, w.sealReport)
}

// sealRefs puts references that may have a number in them under a keyed hash, in the slot in which they are.
func (w *writeTx) sealRefs(from []byte, n int) (seen int, last []byte, err error) {
	return eachAfter(w.tables.refs().b, from, n, func(name []byte, b *bbolt.Bucket, r slotted) error {
		carrier, ref, _ := strings.Cut(string(r.key), "\x00")
		key := w.refKeys(carrier, ref)[0]
		if bytes.Equal(key, r.key) {
			return nil
		}
		record, err := decodeRef(r.key, r.value)
		if err != nil {
			w.unsealable("reference", err)
			return nil
		}
		if err := b.Delete(r.key); err != nil {
			return err
		}
		return slot{b: b, filter: w.refs().openFilter(name)}.put(key, w.value(func(v []byte) []byte { return encodeRef(v, key, record) }))
	})
}

func (w *writeTx) sealReport(carrier []byte, b *bbolt.Bucket, r slotted) error {
	report, err := decodeReport(r.key, r.value, w.box)
	if err != nil {
		w.unsealable("report", err)
		return nil
	}
	v := w.value(func(v []byte) []byte { return encodeReport(v, r.key, &report, w.box) })
	w.count(string(carrier), 0, len(v)-len(r.value))
	return b.Put(r.key, v)
}

func (w *writeTx) sealShipments(from []byte, n int) (int, []byte, error) {
	records, last := after(w.shipments(), from, n)
	for _, r := range records {
		value, is, err := sealedShipment(r.key, r.value)
		if err == nil && (is && w.box.Current([]byte(value)) || !is && !seals(w.box, value)) {
			continue
		}
		id, err := uuid.FromBytes(r.key)
		if err != nil {
			continue
		}
		s, err := decodeShipment(id, r.value, false, w.box)
		if err != nil {
			w.unsealable("shipment", err)
			continue
		}
		if err := w.PutShipment(&s, false); err != nil {
			return 0, nil, err
		}
	}
	return len(records), last, nil
}

// sealUnanswered puts entries under the keyed hash of their number.
func (w *writeTx) sealUnanswered(from []byte, n int) (int, []byte, error) {
	records, last := after(w.unanswered(), from, n)
	for _, r := range records {
		until, ok := unansweredScope.open(r.key, r.value)
		l, whole := decodeListing(r.key, r.value)
		if !ok || !whole || w.sealedForm(l.number) == l.number {
			continue
		}
		key := append([]byte(w.sealedForm(l.number)), l.id[:]...)
		v := w.value(func(b []byte) []byte { return unansweredScope.seal(append(b, until...), len(b), key) })
		if err := errors.Join(w.unanswered().Delete(r.key), w.unanswered().Put(key, v)); err != nil {
			return 0, nil, err
		}
	}
	return len(records), last, nil
}

// unsealable logs a record that can't be read, so that it stays as it is.
func (w *writeTx) unsealable(kind string, err error) {
	w.opt.Log.Error("a recipient can't be sealed again, its record stays as it is; see straks journal check", "record", kind, "err", err)
}
