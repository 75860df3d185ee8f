package sealed

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// The state of a journal, as it is stored:
//
//	0   1  stateVersion
//	1   1  1: records may be plain
//	2   1  how many keys records may need
//	3  4n  their ids, the current one last
//	..     the key of hashes, sealed with the current key
const stateVersion = 1

// hashKeys is the table, so to speak, of a journal's key of hashes.
const hashKeys = "key of hashes"

// state is what is known of the values in a journal.
type state struct {
	plain   bool    // records may be plain
	needed  []KeyID // keys that records may be sealed with
	wrapped []byte  // the key of hashes
}

func (s *state) encode() []byte {
	b := []byte{stateVersion, 0, byte(len(s.needed))}
	if s.plain {
		b[1] = 1
	}
	for _, id := range s.needed {
		b = append(b, id[:]...)
	}
	return append(b, s.wrapped...)
}

func decodeState(b []byte) (s state, err error) {
	if len(b) < 3 || b[0] != stateVersion || len(b) < 3+int(b[2])*len(KeyID{}) || b[2] == 0 {
		return s, fmt.Errorf("what it says about its keys can't be read")
	}
	s.plain = b[1] == 1
	rest := b[3:]
	for range b[2] {
		s.needed = append(s.needed, KeyID(rest))
		rest = rest[len(KeyID{}):]
	}
	s.wrapped = slices.Clone(rest)
	return s, nil
}

// Attach returns the Box of a journal: nil where there are no keys and none are needed. state is what the journal
// has stored, nil where it has never been sealed. Unless next is nil it has to be stored in place of state, before
// anything is sealed. Attach fails where a key that records may need is missing; then nothing may be read or written.
func Attach(keys Keys, journal uuid.UUID, stored []byte) (box *Box, next []byte, err error) {
	switch {
	case stored == nil && keys.Current == nil:
		return nil, nil, nil
	case stored == nil:
		box = &Box{keys: keys, hashes: make([]byte, keySize), state: state{plain: true}}
		rand.Read(box.hashes)
		return box, box.wrap(journal), nil
	}
	s, err := decodeState(stored)
	if err != nil {
		return nil, nil, err
	}
	if err := s.missing(keys); err != nil {
		return nil, nil, err
	}
	box = &Box{keys: keys, state: s}
	hashes, err := box.Open(s.wrapped, hashKeys, journal[:])
	if err != nil {
		return nil, nil, fmt.Errorf("the key of its hashes does not open: %w", err)
	}
	box.hashes = []byte(hashes)
	if !box.Current(s.wrapped) {
		next = box.wrap(journal)
	}
	return box, next, nil
}

// wrap notes that the current key is needed, seals the key of hashes with it, and returns the state.
func (b *Box) wrap(journal uuid.UUID) []byte {
	current := b.keys.Current.ID
	b.state.needed = append(slices.DeleteFunc(b.state.needed, func(id KeyID) bool { return id == current }), current)
	b.state.wrapped = nil
	v := make([]byte, headerSize, Overhead+keySize)
	v[0] = valueVersion
	copy(v[keyAt:], current[:])
	b.state.wrapped = b.keys.Current.of(hashKeys, journal[:]).Seal(v, nil, b.hashes, v[:headerSize])
	return b.state.encode()
}

// missing returns an error that names the keys which records may need and which are not there.
func (s *state) missing(keys Keys) error {
	if keys.Current == nil {
		return fmt.Errorf("its recipients are sealed, and there is no key: name the file of %s as journal.key_file", listed(s.needed))
	}
	box := &Box{keys: keys}
	absent := slices.DeleteFunc(slices.Clone(s.needed), func(id KeyID) bool { return box.key(id) != nil })
	if len(absent) == 0 {
		return nil
	}
	return fmt.Errorf("recipients in it are sealed with %s, and journal.key_file holds key %s: name the file of that key as journal.key_file, or, "+
		"if the key has been replaced, as journal.former_key_file until the log says that it is not needed any more",
		listed(absent), keys.Current.ID)
}

func listed(ids []KeyID) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, "key "+id.String())
	}
	return strings.Join(texts, " and ")
}

// Needed returns the ids of the keys that a journal's records may need, by its stored state, and whether records may be
// plain: for reports to operators.
func Needed(stored []byte) (ids []KeyID, plain bool, err error) {
	s, err := decodeState(stored)
	return s.needed, s.plain, err
}

// Settled reports whether every record is sealed with the current key.
func (b *Box) Settled() bool { return b == nil || !b.state.plain && b.OneKey() }

// OneKey reports whether no record is sealed with another key than the current one.
func (b *Box) OneKey() bool { return b == nil || len(b.state.needed) == 1 }

// Plain reports whether records may be plain, and under plain hashes.
func (b *Box) Plain() bool { return b != nil && b.state.plain }

// Resealed returns a Box, and its state to store, of a journal all of whose records are sealed with the current key; or,
// with plain, are plain and have to stay so.
func (b *Box) Resealed(plain bool) (*Box, []byte) {
	settled := *b
	settled.state.plain, settled.state.needed = plain, []KeyID{b.keys.Current.ID}
	return &settled, settled.state.encode()
}
