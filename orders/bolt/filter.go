package bolt

import (
	"bytes"
	"hash/fnv"
	"time"

	"go.etcd.io/bbolt"
)

// A filter rules out nearly every key that is absent from a slot, without reading the slot: a new key
// is in no slot, and each look-up would read a random page, which is rarely in memory.
//
// It is a list of Bloom filters, one for each range of the slot's keys, under the
// last key of its range. So it can be built from the slot's front on, a step
// at a time; keys after the last range are looked up in the slot.
type filter struct {
	b *bbolt.Bucket
	c *bbolt.Cursor
}

const (
	// filterKeys is how many keys have a range, and filterSize how many octets: 16 bits
	// for each key, of which it sets 7, let one foreign key of 1,400 pass. So long, the
	// ranges of a million keys need a tree of two levels only.
	filterKeys  = 4096
	filterSize  = filterKeys * 16 / 8
	filterProbe = 7

	// filterAfter is how long after a slot's end its filter is built: few keys are put
	// into it then, though any may be.
	filterAfter = time.Hour
	// filterCost is what the reading of a range's keys costs of the budget of Sweep: it
	// writes as little as one record, but reads some seventy pages.
	filterCost = 500
)

// lastKey is the last key of the last range: no key of a table comes after it.
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

// maybe reports whether the slot may have the key; sum is its filterSum. Without a filter it may.
func (f *filter) maybe(key []byte, sum uint64) bool {
	if f == nil {
		return true
	}
	_, bits := f.c.Seek(key)
	if bits == nil {
		return true
	}
	for i := range filterProbe {
		if at, bit := probe(bits, sum, i); bits[at]&bit == 0 {
			return false
		}
	}
	return true
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
	sum := filterSum(key)
	for i := range filterProbe {
		at, bit := probe(bits, sum, i)
		bits[at] |= bit
	}
}

// probe returns where the i-th bit of a key is.
func probe(bits []byte, sum uint64, i int) (at uint32, bit byte) {
	n := (uint32(sum) + uint32(i)*(uint32(sum>>32)|1)) % (uint32(len(bits)) * 8)
	return n / 8, 1 << (n % 8)
}

func filterSum(key []byte) uint64 {
	h := fnv.New64a()
	h.Write(key)
	sum := h.Sum64()
	return (sum ^ sum>>33) * 0xff51afd7ed558ccd // FNV's upper bits hardly know of the last octets
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

// buildRange adds a range to the filter of a slot, and reports whether there was one to add.
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
	filter.FillPercent = 1
	return true, filter.Put(last, bits)
}
