package bolt

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"straks/orders"
	"straks/orders/ledger"
)

// Parked reports lie in a bucket for each carrier, so that a carrier's oldest is found at its front.
// How many there are, and how large, is counted when the file is opened and kept in memory.

// parkedLevel is how many reports of a carrier wait, and the octets of their records.
type parkedLevel struct {
	n      int
	octets int64
}

// parkedLevels are those of all carriers. It is not changed once it is published.
type parkedLevels map[string]parkedLevel

// total returns the sum over all carriers.
func (l parkedLevels) total() (sum parkedLevel) {
	for _, one := range l {
		sum.n += one.n
		sum.octets += one.octets
	}
	return sum
}

// countParked reads all parked reports.
func (t tables) countParked() parkedLevels {
	levels := make(parkedLevels)
	t.eachParked(func(carrier string, k, v []byte) bool {
		levels.add(carrier, 1, len(k)+len(v))
		return true
	})
	return levels
}

// eachParked visits the parked reports of all carriers, until visit returns false.
func (t tables) eachParked(visit func(carrier string, k, v []byte) bool) {
	carriers := t.parked().Cursor()
	for name, flat := carriers.First(); name != nil; name, flat = carriers.Next() {
		if flat != nil {
			continue // of a version before 5
		}
		cur := t.parked().Bucket(name).Cursor()
		for k, v := cur.First(); k != nil; k, v = cur.Next() {
			if !visit(string(name), k, v) {
				return
			}
		}
	}
}

func (l parkedLevels) add(carrier string, n, octets int) {
	level := l[carrier]
	level.n += n
	level.octets += int64(octets)
	l[carrier] = level
}

// count notes in this transaction's own copy of the levels that reports came or left.
func (w *writeTx) count(carrier string, n, octets int) {
	if !w.counted {
		w.waiting, w.counted = maps.Clone(w.waiting), true
		if w.waiting == nil {
			w.waiting = make(parkedLevels)
		}
	}
	w.waiting.add(carrier, n, octets)
}

const parkedKeySize = 16

// Park implements ledger.Store.
func (w *writeTx) Park(r *orders.Report) (ledger.ParkedID, error) {
	b, err := w.parked().CreateBucketIfNotExists([]byte(r.Carrier))
	if err != nil {
		return "", err
	}
	number, err := b.NextSequence()
	if err != nil {
		return "", err
	}
	key := binary.BigEndian.AppendUint64(make([]byte, 0, parkedKeySize), uint64(max(r.At.UnixMicro(), 0)))
	key = binary.BigEndian.AppendUint64(key, number)
	v := w.value(func(b []byte) []byte { return encodeReport(b, key, r, w.box) })
	w.count(r.Carrier, 1, len(key)+len(v))
	return ledger.ParkedID(key), b.Put(key, v)
}

// Parked implements ledger.Store.
func (w *writeTx) Parked(carrier string, id ledger.ParkedID) (orders.Report, error) {
	v := w.parkedRecord(carrier, []byte(id))
	if v == nil {
		return orders.Report{}, corrupt("reference to a parked report that is gone")
	}
	return decodeReport([]byte(id), v, w.box)
}

// parkedRecord returns the record of a parked report; nil where it is gone.
func (t tables) parkedRecord(carrier string, id []byte) []byte {
	b := t.parkedOf(carrier)
	if b == nil {
		return nil
	}
	return b.Get(id)
}

// Unpark implements ledger.Store.
func (w *writeTx) Unpark(carrier string, id ledger.ParkedID) error {
	v := w.parkedRecord(carrier, []byte(id))
	if v == nil {
		return nil
	}
	w.count(carrier, -1, -len(id)-len(v))
	return w.parkedOf(carrier).Delete([]byte(id))
}

// OldestParked implements ledger.Store.
func (w *writeTx) OldestParked(carrier string) (ledger.ParkedID, time.Time, error) {
	b := w.parkedOf(carrier)
	if b == nil {
		return "", time.Time{}, nil
	}
	k, _ := b.Cursor().First()
	if k == nil {
		return "", time.Time{}, nil
	}
	return ledger.ParkedID(k), microTime(int64(binary.BigEndian.Uint64(k))), nil
}

// ParkedReports implements ledger.Store.
func (w *writeTx) ParkedReports(carrier string) (n int, octets int64) {
	level := w.waiting[carrier]
	return level.n, level.octets
}

// ParkedCarriers implements ledger.Store.
func (w *writeTx) ParkedCarriers() []string { return slices.Sorted(maps.Keys(w.waiting)) }

// parkByCarrier moves parked reports of version 4, which lay in one table for all SMSCs, to
// their carriers. Their keys stay, since references have them. One that can't be read is dropped.
func (t tables) parkByCarrier(budget int, log *slog.Logger) (moved int, err error) {
	var flat []slotted
	cur := t.parked().Cursor()
	for k, v := cur.First(); k != nil && len(flat) < budget; k, v = cur.Next() {
		if v != nil {
			flat = append(flat, slotted{slices.Clone(k), slices.Clone(v)})
		}
	}
	number := t.parked().Sequence()
	for _, record := range flat {
		if err := errors.Join(t.parked().Delete(record.key), t.parkOne(record, number, log)); err != nil {
			return 0, err
		}
	}
	return len(flat), nil
}

func (t tables) parkOne(record slotted, number uint64, log *slog.Logger) error {
	report, _, err := reportWithoutSum(record.value, nil, nil)
	if err != nil || report.Carrier == "" {
		log.Error("receipt that waited can't be read, dropped", "err", err)
		return nil
	}
	b, err := t.parked().CreateBucketIfNotExists([]byte(report.Carrier))
	if err != nil {
		return err
	}
	return errors.Join(raiseSequence(b, number), b.Put(record.key, record.value))
}

// raiseSequence sees to it that the numbers of a bucket go on after those given out before.
func raiseSequence(b *bbolt.Bucket, number uint64) error {
	if b.Sequence() >= number {
		return nil
	}
	return b.SetSequence(number)
}
