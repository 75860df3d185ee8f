package bolt

import (
	"bytes"
	"hash/fnv"
	"time"

	"go.etcd.io/bbolt"
)

// filter tells of nearly every key that a slot does not have that it does not,
// without a look at the slot: a new key is in none of them, and each would be read at
// a random page, which is seldom in memory.
//
// It is a list of Bloom filters, one for each range of the slot's keys, under the
// last key of its range. So it can be built from the slot's front on, a step
// at a time; keys behind the last range are looked up in the slot.
type filter struct {
	b *bbolt.Bucket
	c *bbolt.Cursor
}

const (
	// filterKeys is how many keys have a range, and filterSize how many octets: 10 bits
	// for each key, of which it sets 7, let 1 % of foreign keys pass.
	filterKeys  = 1024
	filterSize  = filterKeys * 10 / 8
	filterProbe = 7

	// filterAfter is how long after a slot's end its filter is built: few keys are put
	// into it then, though any may be.
	filterAfter = time.Hour
	// filterCost is what the reading of a range's keys costs of the budget of Sweep: it
	// writes as little as one record, but reads some twenty pages.
	filterCost = 200
)

// lastKey is the last key of the last range: no key of a table comes behind it.
func lastKey() []byte { return bytes.Repeat([]byte{0xff}, hashSize+1) }

func openFilter(filters *bbolt.Bucket, name []byte) *filter {
	if filters == nil {
		return nil
	}
	b := filters.Bucket(name)
	if b == nil {
		return nil
	}
	return &filter{b: b, c: b.Cursor()}
}

// maybe tells whether the slot may have the key. Without a filter it may.
func (f *filter) maybe(key []byte) bool {
	if f == nil {
		return true
	}
	_, bits := f.c.Seek(key)
	return bits == nil || probe(key, func(i uint32) bool { return bits[i/8]&(1<<(i%8)) != 0 })
}

// add notes a key that the slot gets late.
func (f *filter) add(key []byte) error {
	if f == nil {
		return nil
	}
	last, bits := f.c.Seek(key)
	if bits == nil {
		return nil
	}
	bits = bytes.Clone(bits)
	set(bits, key)
	return f.b.Put(bytes.Clone(last), bits)
}

func set(bits, key []byte) {
	probe(key, func(i uint32) bool { bits[i/8] |= 1 << (i % 8); return true })
}

// probe visits the bits of a key, until one is not as it should be.
func probe(key []byte, visit func(i uint32) bool) bool {
	h := fnv.New64a()
	h.Write(key)
	sum := h.Sum64()
	sum = (sum ^ sum>>33) * 0xff51afd7ed558ccd // FNV's upper bits hardly know of the last octets
	a, b := uint32(sum), uint32(sum>>32)|1
	for range filterProbe {
		if !visit(a % (filterSize * 8)) {
			return false
		}
		a += b
	}
	return true
}

// build goes on with the filters of slots that have ended, but are not to leave
// yet, until the budget is spent. It returns what is left of it.
func (s *slots) build(now, cut time.Time, budget int) (int, error) {
	for _, slot := range s.all() {
		if end := slotEnd([]byte(slot.name)); budget <= 0 || end > now.Add(-filterAfter).UnixMicro() || end <= cut.UnixMicro() {
			continue
		}
		b, err := s.filters.CreateBucketIfNotExists([]byte(slot.name))
		if err != nil {
			return 0, err
		}
		for more := true; more && budget > 0; {
			if more, err = buildRange(b, slot.b); err != nil {
				return 0, err
			}
			if more {
				budget -= filterCost
			}
		}
		s.opened = nil
	}
	return budget, nil
}

// buildRange adds a range to the filter of a slot, and tells whether there was one
// to add.
func buildRange(filter, slot *bbolt.Bucket) (bool, error) {
	done, _ := filter.Cursor().Last()
	if bytes.Equal(done, lastKey()) {
		return false, nil
	}
	last, n := lastKey(), 0
	bits := make([]byte, filterSize)
	c := slot.Cursor()
	for k, _ := c.Seek(done); k != nil; k, _ = c.Next() {
		if bytes.Equal(k, done) {
			continue
		}
		set(bits, k)
		if n++; n == filterKeys {
			last = bytes.Clone(k)
			break
		}
	}
	filter.FillPercent = 1 // three ranges to a page
	return true, filter.Put(last, bits)
}
