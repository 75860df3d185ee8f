package bolt

import (
	"bytes"
	"log/slog"

	"go.etcd.io/bbolt"
)

// keySealed is where sealRecords goes on: how many tables are done, and the last key in the next.
var keySealed = []byte("sealed")

// sealRecords makes version 5 of version 4, in which records had no sums (sum.go) and parked reports
// lay in one table (parkByCarrier). What a record says
// stays as it is, also where it can't be read. Filters are dropped: Sweep builds them.
func sealRecords(t tables, budget int, log *slog.Logger) (moved int, err error) {
	if moved, err = t.parkByCarrier(budget, log); err != nil || moved > 0 {
		return moved, err
	}
	at, after, err := t.sealed()
	if err != nil {
		return 0, err
	}
	if t.meta().Get(keySealed) == nil {
		if err := t.dropFilters(); err != nil {
			return 0, err
		}
	}
	all := t.recordTables()
	for moved < budget && at < len(all) {
		n, last, err := all[at].sealAfter(after, budget-moved)
		if err != nil {
			return 0, err
		}
		moved, after = moved+n, last
		if last == nil {
			at++
		}
	}
	if moved > 0 {
		e := encoder{}
		e.uint(uint64(at))
		e.string(string(after))
		return moved, t.putMeta(keySealed, e.b)
	}
	for _, key := range [][]byte{keyID, keyFeedStart} {
		if v := t.meta().Get(key); v != nil {
			if err := t.putMeta(key, v); err != nil {
				return 0, err
			}
		}
	}
	if _, err := t.tx.CreateBucketIfNotExists(bucketUnanswered); err != nil { // version 4 had none
		return 0, err
	}
	return 0, t.meta().Delete(keySealed)
}

// sealed returns how many tables are done, and the last key that is done in the next.
func (t tables) sealed() (at int, after []byte, err error) {
	v, err := t.metaValue(keySealed)
	if v == nil {
		return 0, nil, err
	}
	d := decoder{b: v}
	at, after = int(d.uint()), []byte(d.string())
	if !d.end() {
		err = corrupt("how far the migration is")
	}
	return at, after, err
}

func (t tables) dropFilters() error {
	for _, name := range [][]byte{bucketKeyFilter, bucketRefFilter} {
		if err := t.tx.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := t.tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

// recordTable is a bucket of records.
type recordTable struct {
	b     *bbolt.Bucket
	scope scope
	mark  uint64 // 0, or the sequence that it must have
}

// recordTables returns every bucket of records, in the same order each time.
func (t tables) recordTables() []recordTable {
	all := []recordTable{
		{b: t.shipments(), scope: shipmentScope}, {b: t.deadlines(), scope: deadlineScope},
		{b: t.blocked(), scope: blockedScope}, {b: t.lifted(), scope: liftedScope},
	}
	for _, s := range []*slots{t.keys(), t.refs()} {
		_ = s.b.ForEachBucket(func(name []byte) error {
			all = append(all, recordTable{s.b.Bucket(name), s.scope, slotMark(name)})
			return nil
		})
	}
	_ = t.parked().ForEachBucket(func(carrier []byte) error {
		all = append(all, recordTable{b: t.parked().Bucket(carrier), scope: parkedScope})
		return nil
	})
	_ = t.feed().ForEachBucket(func(name []byte) error {
		all = append(all, recordTable{b: t.feed().Bucket(name), scope: feedScope(name)})
		return nil
	})
	return all
}

// sealAfter gives sums to the records after the key (nil: to the first ones), n at most. last is the
// key of the last of them; nil where no more come.
func (p recordTable) sealAfter(after []byte, n int) (done int, last []byte, err error) {
	var records []slotted
	c := p.b.Cursor()
	k, v := c.Seek(after)
	for ; k != nil && len(records) < n; k, v = c.Next() {
		if len(after) == 0 || !bytes.Equal(k, after) {
			records = append(records, slotted{bytes.Clone(k), p.scope.seal(bytes.Clone(v), 0, k)})
		}
	}
	for _, r := range records {
		if err := p.b.Put(r.key, r.value); err != nil {
			return 0, nil, err
		}
		last = r.key
	}
	if k == nil {
		last = nil
	}
	if p.mark != 0 {
		err = p.b.SetSequence(p.mark)
	}
	return len(records), last, err
}
