package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"straks/codes"
	"straks/orders"
)

// Verifications: package codes says what their records are. A record has its time before it, which has an entry in
// verification.due too, under the table's letter, the time and the key.

var _ codes.Store = (*Journal)(nil)

// codeTables are the tables of verifications, by their letters.
var codeTables = map[codes.Table]struct {
	name  []byte
	scope scope
}{
	codes.Verifications: {bucketVerifications, scopeOf(bucketVerifications)},
	codes.Requests:      {bucketVerificationRequests, scopeOf(bucketVerificationRequests)},
	codes.Addresses:     {bucketVerificationAddresses, scopeOf(bucketVerificationAddresses)},
}

// UpdateCodes implements codes.Store.
func (j *Journal) UpdateCodes(ctx context.Context, change func(codes.Tx) error) error {
	r := newRequest(ctx)
	r.run = func(w *writeTx) error { return change(&codesTx{codesReader{w.tables}, w}) }
	return j.do(j.facts, r)
}

// ViewCodes implements codes.Store.
func (j *Journal) ViewCodes(ctx context.Context, look func(codes.Reader) error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", orders.ErrUnavailable, context.Cause(ctx))
	}
	err := j.snapshots.view(func(t tables) error { return look(codesReader{t}) })
	j.unread(err)
	return err
}

// codesReader is the store of verifications in a transaction.
type codesReader struct{ tables }

// Get implements codes.Reader.
func (r codesReader) Get(t codes.Table, key []byte) ([]byte, error) {
	record, _, err := r.dated(t, key)
	return bytes.Clone(record), err
}

// dated returns a record and its time; nil where there is none.
func (r codesReader) dated(t codes.Table, key []byte) (record []byte, us uint64, err error) {
	table := codeTables[t]
	v, err := table.scope.lookUp(r.tx.Bucket(table.name).Cursor(), key)
	if v == nil && err == nil {
		return nil, 0, nil
	}
	if err == nil {
		record, us, err = splitDated(table.scope, key, v)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", codes.ErrUnreadable, err)
	}
	return record, us, err
}

// splitDated returns what a record of a time has, and the time.
func splitDated(s scope, key, record []byte) ([]byte, uint64, error) {
	b, ok := s.open(key, record)
	if !ok || len(b) < 8 {
		return nil, 0, corrupt("record of a verification")
	}
	return b[8:], binary.BigEndian.Uint64(b), nil
}

// sealDated appends a record with its time and its sum.
func sealDated(b []byte, s scope, us uint64, key, record []byte) []byte {
	start := len(b)
	b = append(binary.BigEndian.AppendUint64(b, us), record...)
	return s.seal(b, start, key)
}

func unsignedMicro(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 0)) }

func codesDueKey(t codes.Table, us uint64, key []byte) []byte {
	b := append(make([]byte, 0, 9+len(key)), byte(t))
	return append(binary.BigEndian.AppendUint64(b, us), key...)
}

// Due implements codes.Reader. An entry that can't be read is of use all the same: its record says when it is due.
func (r codesReader) Due(t codes.Table, now time.Time, limit int) (keys [][]byte, next time.Time, err error) {
	c := r.tx.Bucket(bucketVerificationDue).Cursor()
	for k, _ := c.Seek([]byte{byte(t)}); len(k) > 9 && k[0] == byte(t); k, _ = c.Next() {
		us := binary.BigEndian.Uint64(k[1:])
		if us > unsignedMicro(now) || len(keys) == limit {
			return keys, microTime(int64(us)), nil
		}
		keys = append(keys, bytes.Clone(k[9:]))
	}
	return keys, time.Time{}, nil
}

// Feed implements codes.Reader. An entry that can't be read is skipped.
func (r codesReader) Feed(organisation string, seq uint64, limit int, descending bool) (page []codes.FeedRecord, err error) {
	feed, scope := r.codeFeed(organisation)
	newest, err := r.newest(feed)
	if err == nil && !descending && seq > newest {
		err = &orders.BeyondNewestError{Newest: newest}
	}
	if err != nil || feed == nil {
		return nil, err
	}
	c := feed.Cursor()
	next := c.Next
	if descending {
		next = c.Prev
	}
	q := orders.FeedQuery{Seq: seq, Descending: descending}
	for k, v := start(c, scope, q); k != nil && len(page) < limit; k, v = next() {
		n, ok := asked(scope, k, v, q)
		if entry, _, err := splitDated(scope, k, v); ok && err == nil {
			page = append(page, codes.FeedRecord{Seq: n, Entry: bytes.Clone(entry)})
		}
	}
	return page, nil
}

// codeFeed returns the feed of an organisation's verifications, nil where it has had none, and the scope of its entries.
func (t tables) codeFeed(organisation string) (*bbolt.Bucket, scope) {
	return t.tx.Bucket(bucketVerificationFeed).Bucket([]byte(organisation)), scopeOf(bucketVerificationFeed, []byte(organisation)...)
}

// codesTx is the store of verifications in a transaction of the writing goroutine.
type codesTx struct {
	codesReader
	w *writeTx
}

// Put implements codes.Tx.
func (x *codesTx) Put(t codes.Table, key, record []byte, due time.Time) error {
	if len(key) == 0 || len(key) > codes.MaxKey {
		return fmt.Errorf("journal: a key of verifications has %d octets", len(key))
	}
	us, table := unsignedMicro(due), codeTables[t]
	key = bytes.Clone(key)
	if err := x.putDue(t, us, key); err != nil {
		return err
	}
	return x.tx.Bucket(table.name).Put(key, x.w.value(func(b []byte) []byte { return sealDated(b, table.scope, us, key, record) }))
}

// putDue makes the entry of a record in verification.due, in the place of the one of before. Most changes leave its time
// as it is, and cost nothing here.
func (x *codesTx) putDue(t codes.Table, us uint64, key []byte) error {
	if v := x.tx.Bucket(codeTables[t].name).Get(key); v != nil {
		if _, was, err := splitDated(codeTables[t].scope, key, v); err == nil && was == us {
			return nil
		}
		if err := x.Delete(t, key); err != nil {
			return err
		}
	}
	dueKey := codesDueKey(t, us, key)
	return x.tx.Bucket(bucketVerificationDue).Put(dueKey, x.w.value(func(b []byte) []byte { return verificationDueScope.seal(b, len(b), dueKey) }))
}

// Delete implements codes.Tx. A record that can't be read leaves too; its entry in verification.due then leads nowhere,
// and leaves when it is due.
func (x *codesTx) Delete(t codes.Table, key []byte) error {
	table, due := x.tx.Bucket(codeTables[t].name), x.tx.Bucket(bucketVerificationDue)
	v := table.Get(key)
	if v == nil {
		return x.deleteStray(t, key, due)
	}
	if _, us, err := splitDated(codeTables[t].scope, key, v); err != nil {
		if err := x.deleteStray(t, key, due); err != nil {
			return err
		}
	} else if err := due.Delete(codesDueKey(t, us, key)); err != nil {
		return err
	}
	return table.Delete(key)
}

// deleteStray removes the first entry of a key in verification.due whose record is gone, if it is among the earliest:
// the keeper asked for it because of that entry.
func (x *codesTx) deleteStray(t codes.Table, key []byte, due *bbolt.Bucket) error {
	const look = 1000
	c := due.Cursor()
	k, _ := c.Seek([]byte{byte(t)})
	for n := 0; len(k) > 9 && k[0] == byte(t) && n < look; n++ {
		if bytes.Equal(k[9:], key) {
			return c.Delete()
		}
		k, _ = c.Next()
	}
	return nil
}

// Append implements codes.Tx.
func (x *codesTx) Append(organisation string, at time.Time, entry []byte) error {
	feed, scope := x.codeFeed(organisation)
	if feed == nil {
		start, err := x.feedStart()
		if err == nil {
			feed, err = x.tx.Bucket(bucketVerificationFeed).CreateBucket([]byte(organisation))
		}
		if err == nil {
			err = feed.SetSequence(start)
		}
		if err != nil {
			return err
		}
	}
	if k, _ := feed.Cursor().Last(); k != nil && !bytes.Equal(k, seqKey(feed.Sequence())) {
		return corrupt("the last number of a feed of verifications")
	}
	seq, err := feed.NextSequence()
	if err != nil {
		return err
	}
	feed.FillPercent = appended
	key := seqKey(seq)
	return feed.Put(key, x.w.value(func(b []byte) []byte { return sealDated(b, scope, unsignedMicro(at), key, entry) }))
}

// Trim implements codes.Tx.
func (x *codesTx) Trim(before time.Time, limit int) (n int, err error) {
	var names [][]byte
	feeds := x.tx.Bucket(bucketVerificationFeed)
	if err := feeds.ForEachBucket(func(name []byte) error { names = append(names, bytes.Clone(name)); return nil }); err != nil {
		return 0, err
	}
	for _, name := range names {
		feed, scope := x.codeFeed(string(name))
		dropped, err := drop(feed, limit-n, func(k, v []byte) bool {
			_, us, err := splitDated(scope, k, v)
			return err != nil || us < unsignedMicro(before)
		})
		if n += dropped; err != nil || n >= limit {
			return n, err
		}
	}
	return n, nil
}

// verified: each record of verifications reads well, and is due when its entry says; feeds are in order.
func (c *checker) verified() {
	for t, table := range codeTables {
		cur := c.tx.Bucket(table.name).Cursor()
		for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
			_, us, err := splitDated(table.scope, k, v)
			dueKey := codesDueKey(t, us, k)
			switch {
			case err != nil:
				c.fault("%s %x: %w", table.name, k, err)
			case !verificationDueScope.whole(dueKey, c.tx.Bucket(bucketVerificationDue).Get(dueKey)):
				c.fault("%s %x is never due", table.name, k)
			}
		}
	}
	err := c.tx.Bucket(bucketVerificationFeed).ForEachBucket(func(name []byte) error {
		feed, scope := c.codeFeed(string(name))
		cur := feed.Cursor()
		for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
			if _, _, err := splitDated(scope, k, v); err != nil {
				c.fault("feed of verifications of %q, %x: %w", name, k, err)
			}
			if binary.BigEndian.Uint64(k) > feed.Sequence() {
				c.fault("feed of verifications of %q: %x is beyond its last number", name, k)
			}
		}
		return nil
	})
	if err != nil {
		c.fault("%w", err)
	}
}
