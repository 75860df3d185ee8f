package sealed

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// keySize is that of every key here, in octets.
const keySize = 32

// KeyID names a key. It follows from the key, tells nothing of it, and may be logged.
type KeyID [4]byte

func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Key is an operator's key.
type Key struct {
	ID     KeyID
	secret []byte
}

// Keys are those of a journal. The zero Keys seal nothing.
type Keys struct {
	Current *Key // seals and opens
	Former  *Key // opens; may be nil
}

// NewKey makes a key.
func NewKey() Key {
	secret := make([]byte, keySize)
	rand.Read(secret) // never fails (since Go 1.24)
	return keyOf(secret)
}

func keyOf(secret []byte) Key {
	return Key{ID: KeyID(expand(secret, "straks journal key: id", len(KeyID{}))), secret: secret}
}

// expand derives a key from one that is uniformly random.
func expand(secret []byte, info string, n int) []byte {
	key, err := hkdf.Expand(sha256.New, secret, info, n)
	if err != nil {
		panic(err) // of lengths that are constants here
	}
	return key
}

// keyPrefix begins the text of a key, so that another secret is not taken for one.
const keyPrefix = "straks-journal-"

// Text returns the key as its file has it: a prefix, and the secret in base64 (RFC 4648 §5).
func (k Key) Text() string { return keyPrefix + base64.RawURLEncoding.EncodeToString(k.secret) }

// String returns the key's id, so that a careless %v leaks nothing.
func (k Key) String() string { return "journal key " + k.ID.String() }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Equal reports whether both are the same key.
func (k Key) Equal(other Key) bool { return subtle.ConstantTimeCompare(k.secret, other.secret) == 1 }

var errKeyText = errors.New(`is no key of a journal: "straks journal key" makes one`)

// ParseKey reads what Text writes. The error continues the sentence that begins with the key, and quotes nothing of it.
func ParseKey(text string) (Key, error) {
	secret, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(text, keyPrefix))
	if !strings.HasPrefix(text, keyPrefix) || err != nil || len(secret) != keySize {
		return Key{}, errKeyText
	}
	return keyOf(secret), nil
}
