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
//
// A key has all of its bits in one block of its range. A block ends with a sum of its own, over the
// slot, the range (its last key, and that of the range before), the block's number and its bits: a
// look-up reads one block, not the range. Where the sum or the range is wrong, the slot is asked. So
// a filter whose bits have changed hides no key.
type filter struct {
	b     *bbolt.Bucket
	c     *bbolt.Cursor
	scope scope
}

const (
	// filterKeys is how many keys have a range, and filterBlocks how many blocks of filterBlock
	// octets: 15 bits for each key, of which it sets 7, let one foreign key of 1,000 pass. So long,
	// the ranges of a million keys need a tree of two levels only.
	filterKeys   = 4096
	filterBlocks = 64
	filterBlock  = 128
	filterBits   = 8 * (filterBlock - sumSize)
	filterProbe  = 7

	// filterAfter is how long after a slot's end its filter is built: few keys are put
	// into it then, though any may be.
	filterAfter = time.Hour
	// filterCost is what the reading of a range's keys costs of the budget of Sweep: it
	// writes as little as one record, but reads some seventy pages.
	filterCost = 500
)

// lastKey is the last key of the last range: no key of a table comes after it.
func lastKey() []byte { return bytes.Repeat([]byte{0xff}, hashSize+1) }

// openFilter returns the filter of the slot of that name, or nil.
func (s *slots) openFilter(name []byte) *filter {
	if s.filters == nil {
		return nil
	}
	b := s.filters.Bucket(name)
	if b == nil {
		return nil
	}
	return &filter{b: b, c: b.Cursor(), scope: scopeOf(s.filterTable, name...)}
}

// filterRange is a range as it is stored: the last key of the range before, preceded by its length,
// and the blocks. It is under its last key.
type filterRange struct {
	after, last []byte // the keys between which it is; the second is in it
	bounds      scope
	blocks      []byte
}

// rangeOf reads a range. ok is false where it rules out nothing: it is empty, or can't be read.
func (f *filter) rangeOf(last, record []byte) (r filterRange, ok bool) {
	d := decoder{b: record}
	r = filterRange{last: last, after: d.take(d.uint()), blocks: d.b}
	r.bounds = scope(f.scope.sum(r.after, last))
	return r, !d.bad && len(r.blocks) == filterBlocks*filterBlock
}

// block returns the block of a key, and its number.
func (r filterRange) block(sum uint64) (block, number []byte) {
	i := int(sum % filterBlocks)
	return r.blocks[i*filterBlock:][:filterBlock], []byte{byte(i)}
}

// whole reports whether every block can be read.
func (r filterRange) whole() bool {
	for i := range uint64(filterBlocks) {
		if block, number := r.block(i); !r.bounds.whole(number, block) {
			return false
		}
	}
	return true
}

// maybe reports whether the slot may have the key; sum is its filterSum. Without a filter it may.
func (f *filter) maybe(key []byte, sum uint64) bool {
	if f == nil {
		return true
	}
	last, record := f.c.Seek(key)
	if record == nil {
		return true
	}
	r, ok := f.rangeOf(last, record)
	if !ok || bytes.Compare(key, r.after) <= 0 || bytes.Compare(key, last) > 0 {
		return true
	}
	block, number := r.block(sum)
	bits, ok := r.bounds.open(number, block)
	return !ok || has(bits, sum)
}

// add notes a key that the slot gets late.
func (f *filter) add(key []byte) error {
	if f == nil {
		return nil
	}
	last, record := f.c.Seek(key)
	if record == nil {
		return nil
	}
	last, record = bytes.Clone(last), bytes.Clone(record)
	r, ok := f.rangeOf(last, record)
	if !ok {
		return nil // it rules out nothing
	}
	sum := filterSum(key)
	block, number := r.block(sum)
	bits, ok := r.bounds.open(number, block)
	if !ok {
		return nil
	}
	set(bits, sum)
	r.bounds.seal(block[:len(bits)], 0, number)
	return f.b.Put(last, record)
}

// newRange returns a range of these keys, as it is stored.
func (f *filter) newRange(after, last []byte, keys [][]byte) []byte {
	var e encoder
	e.string(string(after))
	r := filterRange{bounds: scope(f.scope.sum(after, last)), blocks: make([]byte, filterBlocks*filterBlock)}
	for _, key := range keys {
		sum := filterSum(key)
		block, _ := r.block(sum)
		set(block, sum)
	}
	for i := range uint64(filterBlocks) {
		block, number := r.block(i)
		r.bounds.seal(block[:filterBlock-sumSize], 0, number)
	}
	return append(e.b, r.blocks...)
}

func set(bits []byte, sum uint64) {
	for i := range filterProbe {
		at, bit := probe(sum, i)
		bits[at] |= bit
	}
}

func has(bits []byte, sum uint64) bool {
	for i := range filterProbe {
		if at, bit := probe(sum, i); bits[at]&bit == 0 {
			return false
		}
	}
	return true
}

// probe returns where the i-th bit of a key is in its block.
func probe(sum uint64, i int) (at uint32, bit byte) {
	n := (uint32(sum>>8)&0xffffff + uint32(i)*(uint32(sum>>32)|1)) % filterBits
	return n / 8, 1 << (n % 8)
}

func filterSum(key []byte) uint64 {
	h := fnv.New64a()
	h.Write(key)
	sum := h.Sum64()
	sum = (sum ^ sum>>33) * 0xff51afd7ed558ccd // FNV's upper bits hardly know of the last octets
	return sum ^ sum>>32
}

// build goes on with the filters of slots that have ended, but are not to leave
// yet, until the budget is spent. It returns what is left of it.
func (s *slots) build(now, cut time.Time, budget int) (int, error) {
	for _, slot := range s.all() {
		if end := slotEnd([]byte(slot.name)); budget <= 0 || end > now.Add(-filterAfter).UnixMicro() || end <= cut.UnixMicro() {
			continue
		}
		_, err := s.filters.CreateBucketIfNotExists([]byte(slot.name))
		if err != nil {
			return 0, err
		}
		for more := true; more && budget > 0; {
			if more, err = s.openFilter([]byte(slot.name)).buildRange(s.scope, slot.b); err != nil {
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

// buildRange adds a range of the slot, whose records have this scope, and reports whether there was one
// to add. The key of a record that can't be read may be another: the range rules out nothing then.
func (f *filter) buildRange(records scope, slot *bbolt.Bucket) (bool, error) {
	done, _ := f.b.Cursor().Last()
	if bytes.Equal(done, lastKey()) {
		return false, nil
	}
	done = bytes.Clone(done)
	last, bad := lastKey(), false
	var keys [][]byte
	c := slot.Cursor()
	for k, v := c.Seek(done); k != nil; k, v = c.Next() {
		if bytes.Equal(k, done) {
			continue
		}
		keys = append(keys, k)
		if !records.whole(k, v) {
			bad = true
		} else if len(keys) >= filterKeys {
			last = bytes.Clone(k)
			break
		}
	}
	record := f.newRange(done, last, keys)
	if bad {
		record = []byte{}
	}
	f.b.FillPercent = 1
	return true, f.b.Put(last, record)
}
