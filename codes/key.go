package codes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// secretSize is the length of a key's secret, in octets: as long as the hash (RFC 2104 §3).
const secretSize = sha256.Size

// Key derives codes. Its id is a fingerprint of its secret, so that no other key has it, and a file that was cut short
// is noticed. Make it with NewKey or ParseKey.
type Key struct {
	id     string
	secret []byte

	// One key for each use, so that nothing that is stored or sent says anything about a code.
	code, lookUp, order []byte
	seal                cipher.AEAD
}

// NewKey returns a random key.
func NewKey() *Key {
	secret := make([]byte, secretSize)
	rand.Read(secret) // never fails
	return newKey(secret)
}

func newKey(secret []byte) *Key {
	k := &Key{secret: secret}
	k.id = hex.EncodeToString(k.derived("id")[:4])
	k.code, k.lookUp, k.order = k.derived("code"), k.derived("look-up"), k.derived("order")
	block, err := aes.NewCipher(k.derived("recipient"))
	if err == nil {
		k.seal, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err) // the length is right
	}
	return k
}

// derived returns the key for one use.
func (k *Key) derived(use string) []byte { return mac(k.secret, []byte("straks verification 1 "+use)) }

// mac is HMAC-SHA-256 over parts, none of which can pass for another.
func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write(p)
	}
	return h.Sum(nil)
}

// ID returns the key's id, which is no secret.
func (k *Key) ID() string { return k.id }

// Text returns the key as its file has it: the id, a dot, and the secret in base64 (RFC 4648 §5).
func (k *Key) Text() string { return k.id + "." + base64.RawURLEncoding.EncodeToString(k.secret) }

// String keeps the secret out of formatted text.
func (k *Key) String() string { return "verification key " + k.id }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

var errKeyText = errors.New(`is no key of verification codes: "straks verify key" makes one`)

// ParseKey reads what Text writes. The error continues the sentence that begins with the key, and quotes nothing of it.
func ParseKey(text string) (*Key, error) {
	id, secret, found := strings.Cut(text, ".")
	octets, err := base64.RawURLEncoding.DecodeString(secret)
	if !found || err != nil || len(octets) != secretSize {
		return nil, errKeyText
	}
	k := newKey(octets)
	if k.id != id {
		return nil, fmt.Errorf("has changed: its secret is not that of the id %q before the dot", id[:min(len(id), 8)])
	}
	return k, nil
}

// Keys are the keys of one installation. New verifications get the active key, and remember its id. Those of the former
// key can be checked while they last, so that a key can be replaced. It is safe for concurrent use.
type Keys struct {
	Active *Key
	Former *Key // nil: none
}

// find returns the key with an id, nil where there is none.
func (ks Keys) find(id string) *Key {
	for _, k := range ks.all() {
		if k.id == id {
			return k
		}
	}
	return nil
}

// all returns the keys, the active one first.
func (ks Keys) all() []*Key {
	if ks.Former == nil {
		return []*Key{ks.Active}
	}
	return []*Key{ks.Active, ks.Former}
}

// addressHash stands for an address of an organisation's recipient in the store.
func (k *Key) addressHash(organisation string, a Address) []byte {
	return mac(k.lookUp, []byte("address"), []byte(organisation), []byte(a.Channel.String()), []byte(a.To))
}

// subjectHash stands for all addresses of a verification together.
func (k *Key) subjectHash(organisation string, to []Address) []byte {
	parts := [][]byte{[]byte("subject"), []byte(organisation)}
	for _, a := range to {
		parts = append(parts, []byte(a.Channel.String()), []byte(a.To))
	}
	return mac(k.lookUp, parts...)
}

// orderKey returns the idempotencyId of a verification's message. No client can know it, so no order of a client
// has it.
func (k *Key) orderKey(id uuid.UUID, message int) string {
	sum := mac(k.order, id[:], binary.BigEndian.AppendUint64(nil, uint64(message)))
	return "verification " + hex.EncodeToString(sum[:16])
}

// sealed encrypts a text of a verification (AES-256-GCM, with a random nonce).
func (k *Key) sealed(id uuid.UUID, text []byte) []byte {
	nonce := make([]byte, k.seal.NonceSize())
	rand.Read(nonce) // never fails
	return k.seal.Seal(nonce, nonce, text, id[:])
}

var errSealed = errors.New("the recipient of a verification can't be decrypted")

// opened decrypts what sealed made.
func (k *Key) opened(id uuid.UUID, sealed []byte) ([]byte, error) {
	n := k.seal.NonceSize()
	if len(sealed) < n {
		return nil, errSealed
	}
	text, err := k.seal.Open(nil, sealed[:n], sealed[n:], id[:])
	if err != nil {
		return nil, errSealed
	}
	return text, nil
}
