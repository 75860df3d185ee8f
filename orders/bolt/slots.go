package bolt

import (
	"encoding/binary"
	"math"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// The lengths of slots. They are no part of the schema: a slot's name is when it
	// ends, so that slots of any length stand beside each other.
	//
	// A look-up asks every slot, and finds the key in one at most. If a slot has ended, its filter
	// rules the key out in less than 1 µs. A new record goes to
	// any page of its slot: the shorter slots are, the more pages are in memory.
	keySlot = 10 * 24 * time.Hour
	refSlot = 4 * 24 * time.Hour

	// refRetention is how long a reference stays bound: well beyond the
	// longest validity, for late receipts and repeats of them.
	refRetention = 7 * 24 * time.Hour
)

// slots is a table with random keys, cut into a bucket for each span of time.
// It is good for one transaction.
type slots struct {
	b       *bbolt.Bucket
	filters *bbolt.Bucket
	span    time.Duration
	opened  []slot // newest first; nil: not looked up yet
}

type slot struct {
	name   string
	b      *bbolt.Bucket
	filter *filter // nil where it has none
}

func (s slot) get(key []byte, sum uint64) []byte {
	if !s.filter.maybe(key, sum) {
		return nil
	}
	return s.b.Get(key)
}

func (s slot) put(key, value []byte) error {
	if err := s.filter.add(key); err != nil {
		return err
	}
	return s.b.Put(key, value)
}

// get returns the value in the newest slot that has the key, or nil.
func (s *slots) get(key []byte) []byte {
	_, v := s.find(key)
	return v
}

func (s *slots) find(key []byte) (in *bbolt.Bucket, value []byte) {
	sum := filterSum(key)
	for _, slot := range s.all() {
		if v := slot.get(key, sum); v != nil {
			return slot.b, v
		}
	}
	return nil, nil
}

// all returns every slot. They are looked up once for each transaction: for each key, that would cost
// as much as the key itself.
func (s *slots) all() []slot {
	if s.opened != nil {
		return s.opened
	}
	c := s.b.Cursor()
	for name, _ := c.Last(); name != nil; name, _ = c.Prev() {
		s.opened = append(s.opened, slot{string(name), s.b.Bucket(name), openFilter(s.filters, name)})
	}
	return s.opened
}

func (s *slots) put(us int64, key, value []byte) error {
	name := s.name(us)
	for _, slot := range s.all() {
		if slot.name == string(name) {
			return slot.put(key, value)
		}
	}
	b, err := s.b.CreateBucket(name)
	if err != nil {
		return err
	}
	s.opened = nil
	return b.Put(key, value)
}

// delete takes the key out of every slot.
func (s *slots) delete(key []byte) error {
	for {
		slot, v := s.find(key)
		if v == nil {
			return nil
		}
		if err := slot.Delete(key); err != nil {
			return err
		}
	}
}

// name returns that of the slot for records of a time in µs: its end in s.
func (s *slots) name(us int64) []byte {
	end := (max(us, 0)/s.span.Microseconds() + 1) * int64(s.span/time.Second)
	return binary.BigEndian.AppendUint32(nil, uint32(min(end, math.MaxUint32)))
}

// slotEnd returns when the slot of that name ends, in µs.
func slotEnd(name []byte) int64 {
	return int64(binary.BigEndian.Uint32(name)) * 1_000_000
}

// drain removes up to budget records of slots that ended before the cut, and
// the slots that are empty then. It returns what is left of the budget.
func (s *slots) drain(cut time.Time, budget int) (int, error) {
	for budget > 0 {
		name, _ := s.b.Cursor().First()
		if name == nil || slotEnd(name) > cut.UnixMicro() {
			return budget, nil
		}
		name = append([]byte(nil), name...)
		n, err := drop(s.b.Bucket(name), budget, nil)
		if err == nil && n == 0 {
			n, err = s.remove(name, budget)
		}
		if err != nil {
			return 0, err
		}
		budget -= n
	}
	return 0, nil
}

// remove removes an empty slot, its filter first. An empty slot costs something too.
func (s *slots) remove(name []byte, budget int) (int, error) {
	if filter := s.filters.Bucket(name); filter != nil {
		if n, err := drop(filter, budget, nil); n > 0 || err != nil {
			return n, err
		}
		if err := s.filters.DeleteBucket(name); err != nil {
			return 0, err
		}
	}
	s.opened = nil
	return 1, s.b.DeleteBucket(name)
}

// drop deletes up to n records from the front of b for as long as old says so
// (nil: all), and returns how many.
func drop(b *bbolt.Bucket, n int, old func(k, v []byte) bool) (int, error) {
	var keys [][]byte
	c := b.Cursor()
	for k, v := c.First(); k != nil && len(keys) < n && (old == nil || old(k, v)); k, v = c.Next() {
		keys = append(keys, append([]byte(nil), k...))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
