package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
)

// A sealed value:
//
//	0   1  valueVersion
//	1   4  id of the key
//	5   8  finder
//	13 12  nonce
//	25  n  the recipient, encrypted
//	.. 16  tag
//
// The first 13 octets are authenticated too.
const (
	valueVersion = 1
	keyAt        = 1
	// FinderAt is where a sealed value has its finder.
	FinderAt   = keyAt + len(KeyID{})
	FinderSize = 8
	headerSize = FinderAt + FinderSize

	// Overhead is by how many octets a sealed value is longer than the recipient.
	Overhead = headerSize + 12 + 16
)

// HashSize is that of Box.Hash, in octets: enough that no two hashes meet.
const HashSize = 16

// ErrValue reports a value that does not open: it was changed, or belongs to another record.
var ErrValue = errors.New("a sealed recipient does not open")

// ErrNoKey reports a value whose key is not there.
var ErrNoKey = errors.New("a recipient is sealed with a key that is not there")

// Box seals and opens the recipients of one journal. It is safe for concurrent use. A nil Box is that of a journal
// which is not sealed, or of a reader without keys.
type Box struct {
	keys   Keys
	hashes []byte // the key of hashes
	state  state
}

// Seals reports whether what is stored has to be sealed.
func (b *Box) Seals() bool { return b != nil }

// Seal returns the sealed recipient of a record in a table.
func (b *Box) Seal(to, table string, record []byte) []byte {
	v := make([]byte, headerSize, Overhead+len(to))
	v[0] = valueVersion
	copy(v[keyAt:], b.keys.Current.ID[:])
	copy(v[FinderAt:], b.Finder(to))
	return b.keys.Current.of(table, record).Seal(v, nil, []byte(to), v[:headerSize])
}

// Open returns what Seal was given, with the same table and record.
func (b *Box) Open(value []byte, table string, record []byte) (string, error) {
	id, ok := KeyOf(value)
	if !ok {
		return "", ErrValue
	}
	k := b.key(id)
	if k == nil {
		return "", ErrNoKey
	}
	to, err := k.of(table, record).Open(nil, nil, value[headerSize:], value[:headerSize])
	if err != nil {
		return "", ErrValue
	}
	return string(to), nil
}

// KeyOf returns the id of the key that a value was sealed with; ok is false where it is no sealed value.
func KeyOf(value []byte) (id KeyID, ok bool) {
	if len(value) < Overhead || value[0] != valueVersion {
		return id, false
	}
	copy(id[:], value[keyAt:])
	return id, true
}

// Current reports whether a value was sealed with the current key.
func (b *Box) Current(value []byte) bool {
	id, ok := KeyOf(value)
	return ok && b != nil && id == b.keys.Current.ID
}

func (b *Box) key(id KeyID) *Key {
	switch {
	case b == nil:
		return nil
	case b.keys.Current.ID == id:
		return b.keys.Current
	case b.keys.Former != nil && b.keys.Former.ID == id:
		return b.keys.Former
	}
	return nil
}

// of returns the cipher of a record.
func (k *Key) of(table string, record []byte) cipher.AEAD {
	block, err := aes.NewCipher(expand(k.secret, "straks journal key: record of "+table+"\x00"+string(record), keySize))
	if err != nil {
		panic(err) // of a key's length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // of another cipher
	}
	return aead
}

// Hash makes one key of several strings, none of which can pass for another. A reader without the journal's
// keys can't tell what it is of by trying all phone numbers.
func (b *Box) Hash(parts ...string) []byte { return b.hash("hash", parts...)[:HashSize] }

// Finder returns octets that each sealed value of the recipient has, at FinderAt. Another recipient's has them once in 2^64.
// Letter case does not matter.
func (b *Box) Finder(to string) []byte { return b.hash("finder", strings.ToLower(to))[:FinderSize] }

func (b *Box) hash(purpose string, parts ...string) []byte {
	mac := hmac.New(sha256.New, b.hashes)
	var text []byte
	for _, p := range append([]string{purpose}, parts...) {
		text = append(binary.AppendUvarint(text, uint64(len(p))), p...)
	}
	mac.Write(text)
	return mac.Sum(nil)
}
