package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
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
	scope   scope // of its records
	filters *bbolt.Bucket
	span    time.Duration

	filterTable []byte // the name of filters
	sure        bool   // a key is absent only if nothing that can't be read may be it
	opened      []slot // newest first; nil: not looked up yet
}

type slot struct {
	name   string
	b      *bbolt.Bucket
	c      *bbolt.Cursor
	filter *filter // nil where it has none
}

func (s slot) put(key, value []byte) error {
	if err := s.filter.add(key); err != nil {
		return err
	}
	return s.b.Put(key, value)
}

// get returns the record in the newest slot that has the key, or nil.
func (s *slots) get(key []byte) ([]byte, error) {
	_, v, err := s.find(key)
	return v, err
}

func (s *slots) find(key []byte) (in *bbolt.Bucket, record []byte, err error) {
	sum := filterSum(key)
	for _, slot := range s.all() {
		if !slot.filter.maybe(key, sum) {
			continue
		}
		v, unsure := s.lookUp(slot, key)
		if v != nil {
			return slot.b, v, nil
		}
		if unsure != nil {
			err = unsure // it may be in an older slot
		}
	}
	return nil, nil, err
}

func (s *slots) lookUp(slot slot, key []byte) ([]byte, error) {
	if s.sure {
		return s.scope.lookUp(slot.c, key)
	}
	k, v := slot.c.Seek(key)
	if !bytes.Equal(k, key) {
		return nil, nil
	}
	return v, nil
}

// all returns every slot. They are looked up once for each transaction: for each key, that would cost
// as much as the key itself.
func (s *slots) all() []slot {
	if s.opened != nil {
		return s.opened
	}
	c := s.b.Cursor()
	for name, _ := c.Last(); name != nil; name, _ = c.Prev() {
		b := s.b.Bucket(name)
		s.opened = append(s.opened, slot{string(name), b, b.Cursor(), s.openFilter(name)})
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
	return errors.Join(b.SetSequence(slotMark(name)), b.Put(key, value))
}

// slotMark is the sequence of a slot's bucket: a slot whose name has changed does not leave before its
// time.
func slotMark(name []byte) uint64 { return uint64(crc32.Checksum(name, castagnoli)) }

// delete takes the key out of every slot.
func (s *slots) delete(key []byte) error {
	for {
		slot, v, err := s.find(key)
		if v == nil {
			return err
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
		name := s.oldest()
		if name == nil || slotEnd(name) > cut.UnixMicro() {
			return budget, nil
		}
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

// oldest returns the name of the first slot, nil where there is none. A slot whose name has changed is
// left out: nobody knows when it ends. It stays, and Check reports it.
func (s *slots) oldest() []byte {
	c := s.b.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		if s.b.Bucket(name).Sequence() == slotMark(name) {
			return bytes.Clone(name)
		}
	}
	return nil
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
