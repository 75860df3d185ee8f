package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// walker reads the pages of all buckets, and looks for what bbolt's walk does: each has one
// reference, is of a kind that bears keys, and has its keys in order, between those that its parent
// has before and behind it.
type walker struct {
	file io.ReaderAt
	size int    // of a page, in octets
	seen []bool // pages, by number
}

// page is one page and those that it runs over to: a header (number 8 octets, kind 2, count 2,
// pages that it runs over to 4), its elements of 16 octets each, and what these point to
// (bbolt's internal/common.Page).
type page []byte

const (
	pageHeader  = 16
	pageElement = 16
	branchPage  = 1 // kinds
	leafPage    = 2
	bucketEntry = 1 // what a leaf's element may be, instead of a record

	bucketHeader = 16 // root and sequence; where there is no root, a page lies behind it
)

func (p page) kind() uint16 { return binary.NativeEndian.Uint16(p[8:]) }
func (p page) count() int   { return int(binary.NativeEndian.Uint16(p[10:])) }
func (p page) over() uint64 { return uint64(binary.NativeEndian.Uint32(p[12:])) }

// key returns the i-th key, and the page number under it: on a leaf that of a bucket's root; 0 where
// there is none. ok is false where they are not on the page.
func (p page) key(i int) (key []byte, child uint64, ok bool) {
	e := p[pageHeader+i*pageElement:]
	word := func(n int) uint64 { return uint64(binary.NativeEndian.Uint32(e[4*n:])) }
	if p.kind() == branchPage { // where the key is, its length, the page
		key, ok = part(e, word(0), word(1))
		return key, binary.NativeEndian.Uint64(e[8:]), ok
	}
	key, ok = part(e, word(1), word(2)) // flags, where the key is, its length, that of the value behind it
	value, has := part(e, word(1)+word(2), word(3))
	if !ok || !has || word(0)&bucketEntry == 0 {
		return key, 0, ok && has
	}
	if len(value) < bucketHeader {
		return nil, 0, false
	}
	child = binary.NativeEndian.Uint64(value)
	return key, child, child != 0 || len(value) >= bucketHeader+pageHeader
}

// behind returns before which key those under the i-th end, where those of the page end before below.
func (p page) behind(i int, below []byte) []byte {
	if i+1 < p.count() {
		below, _, _ = p.key(i + 1)
	}
	return below
}

func part(b []byte, at, length uint64) ([]byte, bool) {
	if at+length > uint64(len(b)) {
		return nil, false
	}
	return b[at : at+length], true
}

// tree walks a page and all below it. Its first key is least or behind it, and all are before
// below (nil: any). It returns the last.
func (w *walker) tree(id uint64, least, below []byte) (last []byte, err error) {
	p, err := w.read(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: page %d: %w", ErrCorrupt, errPage, id, err)
	}
	for i := range p.count() {
		key, child, ok := p.key(i)
		early := i == 0 && bytes.Compare(key, least) < 0 || i > 0 && bytes.Compare(key, last) <= 0
		if late := below != nil && bytes.Compare(key, below) >= 0; !ok || early || late {
			return nil, fmt.Errorf("%w: %w: page %d: its keys are out of order, or not on it", ErrCorrupt, errPage, id)
		}
		last = key
		switch {
		case p.kind() == branchPage:
			last, err = w.tree(child, key, p.behind(i, below))
		case child != 0:
			_, err = w.tree(child, nil, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

func (w *walker) read(id uint64) (page, error) {
	if id >= uint64(len(w.seen)) {
		return nil, fmt.Errorf("beyond the last of %d", len(w.seen))
	}
	p := make(page, w.size)
	if _, err := w.file.ReadAt(p, int64(id)*int64(w.size)); err != nil {
		return nil, err
	}
	if self := binary.NativeEndian.Uint64(p); self != id {
		return nil, fmt.Errorf("calls itself %d", self)
	}
	over := p.over()
	if id+over >= uint64(len(w.seen)) {
		return nil, fmt.Errorf("runs over the last of %d", len(w.seen))
	}
	for i := id; i <= id+over; i++ {
		if w.seen[i] {
			return nil, fmt.Errorf("a second reference leads to %d", i)
		}
		w.seen[i] = true
	}
	if over > 0 {
		p = make(page, (int(over)+1)*w.size)
		if _, err := w.file.ReadAt(p, int64(id)*int64(w.size)); err != nil {
			return nil, err
		}
	}
	if kind := p.kind(); kind != branchPage && kind != leafPage || pageHeader+p.count()*pageElement > len(p) {
		return nil, fmt.Errorf("is of kind %x, with %d keys", kind, p.count())
	}
	return p, nil
}
