package codes

import (
	"context"
	"errors"
	"time"
)

// Store keeps what verifications are. It knows no rules: records are octets under keys, with a time at which somebody
// must look at each of them. An engine of the journal implements it; the suite in codes/codestest is its definition in
// code. Errors are those of orders.Journal. It is safe for concurrent use.
type Store interface {
	// UpdateCodes runs change in one transaction. What change has put is on stable storage when UpdateCodes returns
	// nil; after an error of change, or orders.ErrNotStored, nothing of it is stored. Changes are as if each had run
	// alone, one after the other. change may be run again, after a run whose effects are gone, and must set all of its
	// results each time.
	UpdateCodes(ctx context.Context, change func(Tx) error) error

	// ViewCodes runs look over one state of the store. It waits for no change.
	ViewCodes(ctx context.Context, look func(Reader) error) error
}

// ErrUnreadable: a record can't be read.
var ErrUnreadable = errors.New("record of a verification can't be read")

// Table is a kind of records.
type Table byte

const (
	Verifications Table = 'v' // by id
	Requests      Table = 'r' // by idempotencyId, as a hash
	Addresses     Table = 'a' // by address, as a keyed hash
)

// Tables are all of them.
func Tables() []Table { return []Table{Verifications, Requests, Addresses} }

// MaxKey is the longest key, in octets.
const MaxKey = 32

// Reader reads the store. What it returns is the caller's.
type Reader interface {
	// Get returns a record, nil where there is none. One that can't be read is ErrUnreadable.
	Get(t Table, key []byte) ([]byte, error)

	// Due returns the keys of records whose time is not after now, at most limit, the earliest first; and the time of
	// the earliest other one, zero where there is none.
	Due(t Table, now time.Time, limit int) (keys [][]byte, next time.Time, err error)

	// Feed returns at most limit entries of an organisation's feed: after seq, or, descending, before it, the newest
	// first, where 0 stands for beyond the end. Numbers and the error of one beyond the newest are those of
	// orders.Journal's Feed.
	Feed(organisation string, seq uint64, limit int, descending bool) ([]FeedRecord, error)
}

// Tx reads and writes in a transaction.
type Tx interface {
	Reader

	// Put stores a record in the place of one with its key. due is kept in µs.
	Put(t Table, key, record []byte, due time.Time) error

	// Delete removes a record, if there is one.
	Delete(t Table, key []byte) error

	// Append adds an entry to the organisation's feed.
	Append(organisation string, at time.Time, entry []byte) error

	// Trim removes entries of feeds from before a time, at most limit of them, and returns how many.
	Trim(before time.Time, limit int) (int, error)
}

// FeedRecord is an entry of a feed.
type FeedRecord struct {
	Seq   uint64
	Entry []byte
}
