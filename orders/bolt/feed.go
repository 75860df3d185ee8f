package bolt

import (
	"encoding/binary"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// page reads entries of a feed. An entry whose shipment is gone is gone too.
func (t tables) page(q orders.FeedQuery) ([]orders.FeedEntry, error) {
	feed := t.feed().Bucket([]byte(q.Organisation))
	if feed == nil || q.Limit <= 0 {
		return nil, nil
	}
	var page []orders.FeedEntry
	c := feed.Cursor()
	next := c.Next
	if q.Descending {
		next = c.Prev
	}
	for k, v := start(c, q); k != nil && len(page) < q.Limit; k, v = next() {
		en, err := decodeEntry(v)
		if err != nil {
			return nil, err
		}
		s, ok, err := t.shipment(en.shipment, true)
		if err != nil {
			return nil, err
		}
		if ok {
			s.Status, s.Updated = en.status, en.at
			page = append(page, orders.FeedEntry{Seq: binary.BigEndian.Uint64(k), Shipment: s})
		}
	}
	return page, nil
}

// start places the cursor on the first entry that the query asks for.
func start(c *bbolt.Cursor, q orders.FeedQuery) (k, v []byte) {
	if !q.Descending {
		if q.Seq+1 == 0 {
			return nil, nil
		}
		return c.Seek(seqKey(q.Seq + 1))
	}
	if q.Seq == 0 {
		return c.Last()
	}
	if k, _ := c.Seek(seqKey(q.Seq)); k == nil {
		return c.Last()
	}
	return c.Prev()
}
