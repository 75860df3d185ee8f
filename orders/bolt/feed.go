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
	if newest := t.newest(feed); !q.Descending && q.Seq > newest {
		return nil, nil, &orders.BeyondNewestError{Newest: newest}
	}
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

// newest returns the last number that a feed gave out: the bucket's sequence, which stays when entries
// leave. nil is the feed of an organisation that has had no entry.
func (t tables) newest(feed *bbolt.Bucket) uint64 {
	if feed == nil {
		return t.feedStart()
	}
	return feed.Sequence()
}

// feedStart returns the number above which the numbers of each feed begin.
func (t tables) feedStart() uint64 {
	if b := t.meta().Get(keyFeedStart); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// appendable returns the organisation's feed. A new one begins at the feed start.
func (t tables) appendable(organisation string) (*bbolt.Bucket, error) {
	name := []byte(organisation)
	if feed := t.feed().Bucket(name); feed != nil {
		return feed, nil
	}
	feed, err := t.feed().CreateBucket(name)
	if err != nil {
		return nil, fmt.Errorf("feed of %q: %w", organisation, err)
	}
	if start := t.feedStart(); start > 0 {
		return feed, feed.SetSequence(start)
	}
	return feed, nil
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
