package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// feedLook is how many entries a call reads, returned or skipped, between two looks at its context.
const feedLook = 1000

// page reads entries of a feed. An entry whose shipment is gone is gone too. One that
// can't be read is left out, and returned in bad: readers must get past it.
func (t tables) page(ctx context.Context, q orders.FeedQuery) (page []orders.FeedEntry, bad []error, err error) {
	feed := t.feed().Bucket([]byte(q.Organisation))
	if feed == nil || q.Limit <= 0 {
		return nil, nil, nil
	}
	c := feed.Cursor()
	next := c.Next
	if q.Descending {
		next = c.Prev
	}
	steps := 0
	for k, v := start(c, q); k != nil && len(page) < q.Limit; k, v = next() {
		if steps++; steps%feedLook == 0 && ctx.Err() != nil {
			return nil, nil, fmt.Errorf("%w: %w", orders.ErrUnavailable, context.Cause(ctx))
		}
		seq := binary.BigEndian.Uint64(k)
		s, ok, err := t.entry(v, q.FinalOnly)
		switch {
		case errors.Is(err, ErrCorrupt):
			bad = append(bad, fmt.Errorf("%q, %d: %w", q.Organisation, seq, err))
		case err != nil:
			return nil, nil, err
		case ok:
			page = append(page, orders.FeedEntry{Seq: seq, Shipment: s})
		}
	}
	return page, bad, nil
}

// entry returns the shipment of a feed entry as it was then. ok is false where the shipment is gone,
// or finalOnly leaves the entry out.
func (t tables) entry(v []byte, finalOnly bool) (s orders.Shipment, ok bool, err error) {
	en, err := decodeEntry(v)
	if err != nil || finalOnly && !en.status.Final() {
		return orders.Shipment{}, false, err
	}
	s, ok, err = t.shipment(en.shipment, true)
	if err != nil {
		return orders.Shipment{}, false, fmt.Errorf("shipment %s: %w", en.shipment, err)
	}
	s.Status, s.Updated = en.status, en.at
	return s, ok, nil
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
