package bolt

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"straks/orders/ledger"
)

// A record ends with its sum: the CRC-32C (RFC 3720 §12.1) of the name of its table, its key and the
// octets before the sum. So a record whose bits have changed on the disk, or that is read from the
// page of another table, is ErrCorrupt, and never another record.
//
// A record whose *key* has changed is not found under its own. lookUp notices it: where a key is
// absent, the records on both sides of its place must be whole and in order.
type scope uint32

const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// scopeOf returns the scope of a table, or of a bucket in it.
func scopeOf(table []byte, bucket ...byte) scope {
	sum := crc32.Checksum(table, castagnoli)
	return scope(crc32.Update(crc32.Update(sum, castagnoli, []byte{0}), castagnoli, bucket))
}

// Scopes of the tables. Those of feeds, filters and verifications are in store.go, filter.go and codes.go.
var (
	metaScope       = scopeOf(bucketMeta)
	keyScope        = scopeOf(bucketKeys)
	shipmentScope   = scopeOf(bucketShipments)
	refScope        = scopeOf(bucketRefs)
	parkedScope     = scopeOf(bucketParked)
	deadlineScope   = scopeOf(bucketDeadlines)
	blockedScope    = scopeOf(bucketBlocked)
	liftedScope     = scopeOf(bucketLifted)
	unansweredScope = scopeOf(bucketUnanswered)
	cursorScope     = scopeOf(bucketCursors)

	verificationDueScope = scopeOf(bucketVerificationDue)
)

func (s scope) sum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Update(uint32(s), castagnoli, key), castagnoli, payload)
}

// seal appends the sum of the record that b has from start on.
func (s scope) seal(b []byte, start int, key []byte) []byte {
	return binary.BigEndian.AppendUint32(b, s.sum(key, b[start:]))
}

// open returns the record without its sum. ok is false where they do not agree.
func (s scope) open(key, record []byte) (payload []byte, ok bool) {
	n := len(record) - sumSize
	if n < 0 || binary.BigEndian.Uint32(record[n:]) != s.sum(key, record[:n]) {
		return nil, false
	}
	return record[:n:n], true
}

func (s scope) whole(key, record []byte) bool {
	_, ok := s.open(key, record)
	return ok
}

// lookUp returns the record of a key, its sum included, or nil where there is none. If a record beside
// the key's place can't be read, or is not in order, the record of this key may have been that one:
// ledger.ErrUnsure.
//
// One changed key, or position of a record in its page, leads bbolt's search astray, in a leaf or in a branch page: it
// ends beside that record. There the records are not in order, or not whole.
func (s scope) lookUp(c *bbolt.Cursor, key []byte) ([]byte, error) {
	k, v := c.Seek(key)
	if bytes.Equal(k, key) {
		if v == nil { // a bucket
			return nil, corrupt("record that has become a table")
		}
		return v, nil
	}
	before, w := c.Prev()
	if k != nil && !s.whole(k, v) || before != nil && !s.whole(before, w) {
		return nil, ledger.ErrUnsure
	}
	var last []byte
	if before != nil {
		if last, _ = c.Prev(); last != nil {
			c.Next() // to before; else it is there
		}
		c.Next() // to k
	}
	var next []byte
	if k != nil {
		next, _ = c.Next()
	}
	if !ascending(last, before) || !ascending(before, key) || !ascending(key, k) || !ascending(k, next) {
		return nil, ledger.ErrUnsure
	}
	return nil, nil
}

// from places the cursor on the first record from key on. Where the search may have gone astray, it goes back to the last record
// that is whole and before key. So a record that can't be read may come first, and after it some that are before key.
func (s scope) from(c *bbolt.Cursor, key []byte) (k, v []byte) {
	c.Seek(key)
	k, v = c.Prev()
	for k != nil && (bytes.Compare(k, key) >= 0 || !s.whole(k, v)) {
		k, v = c.Prev()
	}
	if k == nil {
		k, v = c.First()
	} else {
		k, v = c.Next()
	}
	for k != nil && bytes.Compare(k, key) < 0 && s.whole(k, v) {
		k, v = c.Next()
	}
	return k, v
}

// before is from for a cursor that goes back: it places it on the last record before key, on one that can't be read, or on
// one after key.
func (s scope) before(c *bbolt.Cursor, key []byte) (k, v []byte) {
	k, v = c.Seek(key)
	for k != nil && (bytes.Compare(k, key) < 0 || !s.whole(k, v)) {
		k, v = c.Next()
	}
	if k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	for k != nil && bytes.Compare(k, key) >= 0 && s.whole(k, v) {
		k, v = c.Prev()
	}
	return k, v
}

// ascending reports whether two neighbours are in order; nil: there is none.
func ascending(a, b []byte) bool { return a == nil || b == nil || bytes.Compare(a, b) < 0 }
