package returnpath

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// NewKey returns a random key.
func NewKey() Key {
	b := make([]byte, 1+MinSecret)
	rand.Read(b) // never fails
	return Key{ID: b[0], Secret: b[1:]}
}

// Text returns the key as its file has it: the id in decimal, a dot, and the secret in base64 (RFC 4648 §5).
func (k Key) Text() string {
	return strconv.Itoa(int(k.ID)) + "." + base64.RawURLEncoding.EncodeToString(k.Secret)
}

// String keeps the secret out of formatted text.
func (k Key) String() string { return "return path key " + strconv.Itoa(int(k.ID)) }

// GoString is String.
func (k Key) GoString() string { return k.String() }

var errKeyText = errors.New(`is no key of a return path: "straks mail key DOMAIN" makes one`)

// ParseKey reads what Text writes. The error continues the sentence that begins with the key, and quotes nothing of it.
func ParseKey(text string) (Key, error) {
	id, secret, found := strings.Cut(text, ".")
	n, err := strconv.ParseUint(id, 10, 8)
	if !found || err != nil {
		return Key{}, errKeyText
	}
	octets, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil || len(octets) < MinSecret {
		return Key{}, errKeyText
	}
	return Key{ID: byte(n), Secret: octets}, nil
}
