package hooks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// secretPrefix begins the text of a secret.
const secretPrefix = "whsec_"

// The bounds of a secret, in octets (Standard Webhooks, "Signature scheme").
const minSecret, maxSecret = 24, 64

// Secret is the key with which the requests to one receiver are signed. It never prints itself.
type Secret struct{ key []byte }

// NewSecret makes a random secret of 32 octets, and returns its text.
func NewSecret() string {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// ParseSecret reads the text of a secret: "whsec_" and 24 to 64 octets in base64. The error quotes nothing of it.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		return Secret{}, errors.New(`does not begin with "whsec_": "straks webhook secret" makes one`)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	switch {
	case err != nil:
		return Secret{}, errors.New(`is not base64 after "whsec_": "straks webhook secret" makes one`)
	case len(key) < minSecret || len(key) > maxSecret:
		return Secret{}, fmt.Errorf(`has %d octets, must have %d to %d: "straks webhook secret" makes one`, len(key), minSecret, maxSecret)
	}
	return Secret{key}, nil
}

// None reports whether s is the zero Secret.
func (s Secret) None() bool { return len(s.key) == 0 }

// Equal reports whether two secrets are the same.
func (s Secret) Equal(other Secret) bool { return hmac.Equal(s.key, other.key) }

// String hides the secret from logs and errors.
func (s Secret) String() string { return secretPrefix + "…" }

// GoString hides it from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides it from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Sign returns the signature of a request: "v1," and the HMAC-SHA256 of "ID.TIMESTAMP.BODY" in base64. The
// timestamp is in seconds since 1970.
func (s Secret) Sign(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
