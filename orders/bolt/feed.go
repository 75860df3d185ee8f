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

// feedOf returns the feed of an organisation, nil where it has none, and the scope of its entries. If
// the name of another feed has changed, it may have been this one: ErrCorrupt.
func (t tables) feedOf(organisation string) (*bbolt.Bucket, scope, error) {
	name := []byte(organisation)
	if b := t.feed().Bucket(name); b != nil {
		return b, feedScope(name), nil
	}
	err := t.feed().ForEachBucket(func(name []byte) error {
		if k, v := t.feed().Bucket(name).Cursor().First(); k != nil && !feedScope(name).whole(k, v) {
			return corrupt(fmt.Sprintf("feed of %q, or the name of that", name))
		}
		return nil
	})
	return nil, feedScope(name), err
}

func feedScope(organisation []byte) scope { return scopeOf(bucketFeed, organisation...) }

// page reads entries of a feed. An entry whose shipment is gone is gone too. One that
// can't be read is left out, and returned in bad: readers must get past it.
func (t tables) page(ctx context.Context, q orders.FeedQuery) (page []orders.FeedEntry, bad []error, err error) {
	feed, scope, err := t.feedOf(q.Organisation)
	if err != nil {
		return nil, nil, err
	}
	newest, err := t.newest(feed)
	if err == nil && !q.Descending && q.Seq > newest {
		err = &orders.BeyondNewestError{Newest: newest}
	}
	if err != nil {
		return nil, nil, err
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
	for k, v := start(c, scope, q); k != nil && len(page) < q.Limit; k, v = next() {
		if steps++; steps%feedLook == 0 && ctx.Err() != nil {
			return nil, nil, fmt.Errorf("%w: %w", orders.ErrUnavailable, context.Cause(ctx))
		}
		seq, ok := asked(scope, k, v, q)
		if !ok {
			continue
		}
		s, ok, err := t.entry(scope, k, v, q.FinalOnly)
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
func (t tables) newest(feed *bbolt.Bucket) (uint64, error) {
	if feed == nil {
		return t.feedStart()
	}
	return feed.Sequence(), nil
}

// feedStart returns the number above which the numbers of each feed begin.
func (t tables) feedStart() (uint64, error) {
	v, err := t.metaValue(keyFeedStart)
	if err == nil && v != nil && len(v) != 8 {
		err = corrupt("the feed start")
	}
	if v == nil || err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// createFeed makes the feed of an organisation. It begins at the feed start.
func (t tables) createFeed(organisation string) (*bbolt.Bucket, error) {
	start, err := t.feedStart()
	if err != nil {
		return nil, err
	}
	feed, err := t.feed().CreateBucket([]byte(organisation))
	if err != nil || start == 0 {
		return feed, err
	}
	return feed, feed.SetSequence(start)
}

// entry returns the shipment of a feed entry as it was then. ok is false where the shipment is gone,
// or finalOnly leaves the entry out.
func (t tables) entry(feed scope, k, v []byte, finalOnly bool) (s orders.Shipment, ok bool, err error) {
	en, err := decodeEntry(feed, k, v)
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

// start places the cursor on the first entry that the query asks for, or on one before that; see scope.from.
func start(c *bbolt.Cursor, feed scope, q orders.FeedQuery) (k, v []byte) {
	switch {
	case !q.Descending:
		return feed.from(c, seqKey(q.Seq+1))
	case q.Seq == 0:
		return c.Last()
	}
	return feed.before(c, seqKey(q.Seq))
}

// asked returns the number of an entry, and whether the query asks for it. One that can't be read it may have asked for.
func asked(feed scope, k, v []byte, q orders.FeedQuery) (seq uint64, ok bool) {
	if len(k) == 8 {
		seq = binary.BigEndian.Uint64(k)
	}
	beyond := seq > q.Seq
	if q.Descending {
		beyond = q.Seq == 0 || seq < q.Seq
	}
	return seq, beyond || !feed.whole(k, v)
}
