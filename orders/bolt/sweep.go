package bolt

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// sweep is Journal.Sweep in a transaction: what is too old leaves from the
// front of each table, until the budget is spent; then filters are built.
func (w *writeTx) sweep(now time.Time, retention time.Duration, budget int, mark []byte) (orders.Swept, error) {
	var swept orders.Swept
	cut := now.Add(-retention)

	n, err := w.unparkOldest(budget, olderThan(now.Add(-parkedRetention)))
	if err != nil {
		return swept, err
	}
	swept.Parked = n
	budget -= n

	if swept.Shipments, err = drop(w.shipments(), budget, w.oldShipment(cut)); err != nil {
		return swept, err
	}
	budget -= swept.Shipments

	n, err = drop(w.deadlines(), budget, func(k, _ []byte) bool { return bytes.Compare(k, mark) < 0 })
	if err != nil {
		return swept, err
	}
	budget -= n

	if budget, err = w.sweepFeeds(cut, budget); err != nil {
		return swept, err
	}
	if budget, err = w.keys().drain(cut, budget); err != nil {
		return swept, err
	}
	if budget, err = w.refs().drain(now.Add(-refRetention), budget); err != nil {
		return swept, err
	}
	if budget, err = w.keys().build(now, cut, budget); err != nil {
		return swept, err
	}
	if budget, err = w.refs().build(now, now.Add(-refRetention), budget); err != nil {
		return swept, err
	}
	swept.More = budget <= 0
	return swept, nil
}

func olderThan(cut time.Time) func(key []byte) bool {
	return func(key []byte) bool {
		return int64(binary.BigEndian.Uint64(key)) < cut.UnixMicro()
	}
}

// overdue is how long before what is old an unsettled shipment's deadline has passed that will
// never be kept.
const overdue = 24 * time.Hour

// oldShipment says which shipments may leave. One that is unsettled stays (and
// those behind it) until its deadline has made a final status of it. That is awaited in vain
// where it is corrupt, or where the deadline has passed a whole retention ago, and more.
func (w *writeTx) oldShipment(cut time.Time) func(k, v []byte) bool {
	return func(k, v []byte) bool {
		id, err := uuid.FromBytes(k)
		if err != nil || idMicro(id) >= cut.UnixMicro() {
			return false
		}
		s, err := decodeShipment(id, v, true)
		if err != nil || s.Status.Final() || s.Status.Free() {
			return true
		}
		if _, err = decodeShipment(id, v, false); err != nil { // as its expiry reads it
			return true
		}
		if s.Deadline.After(cut.Add(-overdue)) {
			return false
		}
		w.opt.Log.Error("shipment removed unsettled: its deadline was not kept", "shipment", id)
		return true
	}
}

func (w *writeTx) sweepFeeds(cut time.Time, budget int) (int, error) {
	feeds := w.feed()
	var names [][]byte
	c := feeds.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		names = append(names, append([]byte(nil), name...))
	}
	for _, name := range names {
		n, err := drop(feeds.Bucket(name), budget, func(_, v []byte) bool {
			en, err := decodeEntry(v)
			return err != nil || en.at.Before(cut) || w.shipments().Get(en.shipment[:]) == nil
		})
		if err != nil {
			return 0, err
		}
		budget -= n
	}
	return budget, nil
}
