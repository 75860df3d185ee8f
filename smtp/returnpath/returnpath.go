// Package returnpath builds and reads the address that reports about one mail come back to: the
// envelope sender of that mail. It is pure: no clock, no log, no state apart from its keys.
//
//	b+TOKEN@<bounce domain>
//
// TOKEN is 27 octets in base32 (RFC 4648 §6) without padding:
//
//	shipment id  16 octets
//	key id        1 octet
//	MAC          10 octets: HMAC-SHA-256 (RFC 2104) over a label, key id and shipment id, cut to 80 bits
//
// 27 octets are 216 bits, so 44 characters of five bits. With "b+" a local part has 46 of the 64 octets
// that RFC 5321 §4.5.3.1.1 allows; with the 16 octets of a "prvs=" tag (BATV) it has 62.
//
// Mail servers may change the letter case of a local part, so base32 and not base64. Every octet of a
// token is covered by its MAC, and each token has one spelling: a stranger who does not know a key finds
// a valid token in 2^80 attempts. The token is not secret. Each mail shows its own.
//
// The package lies beneath smtp since it is a form of an SMTP address. It imports nothing of smtp: the
// listener for reports, the pool and the e-mail channel need it, and none of them needs the other.
package returnpath

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

const (
	prefix      = "b+"
	macOctets   = 10
	tokenOctets = 16 + 1 + macOctets

	// tokenLength is the length of a token: 44 characters.
	tokenLength = (tokenOctets*8 + 4) / 5

	// maxLocal bounds the local part that Parse reads, in octets. Rewritten addresses may exceed the 64
	// octets of RFC 5321 §4.5.3.1.1.
	maxLocal = 512

	// MinSecret is the least length of Key.Secret, in octets: as long as the hash (RFC 2104 §3).
	MinSecret = sha256.Size

	// label keeps MACs of this form apart from any other use of the same secret.
	label = "straks return path 1\x00"
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Errors of Parse.
var (
	// ErrNoToken: the local part has nothing of the form of a token.
	ErrNoToken = errors.New("the local part has no token")
	// ErrUnknownKey: the token names a key that is neither the active nor the former one.
	ErrUnknownKey = errors.New("the token is of a key that is not configured")
	// ErrForged: the MAC is wrong.
	ErrForged = errors.New("the token was not made with our key")
)

// Key makes and verifies tokens.
type Key struct {
	ID     byte   // is part of each token
	Secret []byte // random; at least MinSecret octets
}

// Keys are the keys of one installation. New tokens are made with the active key; those of the former
// key remain valid, so that a key can be replaced while reports are due. Make it with NewKeys. It is
// safe for concurrent use.
type Keys struct {
	active Key
	valid  []Key
}

// NewKeys returns the keys. former may be nil. The error joins all faults (errors.Join).
func NewKeys(active Key, former *Key) (*Keys, error) {
	k := &Keys{active: active, valid: []Key{active}}
	var faults []error
	if len(active.Secret) < MinSecret {
		faults = append(faults, fmt.Errorf("the active key has %d octets: it needs at least %d random ones", len(active.Secret), MinSecret))
	}
	if former != nil {
		k.valid = append(k.valid, *former)
		if len(former.Secret) < MinSecret {
			faults = append(faults, fmt.Errorf("the former key has %d octets: it needs at least %d random ones", len(former.Secret), MinSecret))
		}
		if former.ID == active.ID {
			faults = append(faults, fmt.Errorf("the active and the former key have the same id, %d: give the new key another id", active.ID))
		}
		if hmac.Equal(former.Secret, active.Secret) {
			faults = append(faults, errors.New("the active and the former key have the same secret: leave the former key out"))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for i, key := range k.valid { // a caller may clear its own
		k.valid[i].Secret = append([]byte(nil), key.Secret...)
	}
	k.active = k.valid[0]
	return k, nil
}

// Local returns the local part for a shipment: 46 octets, lower case, an atom of RFC 5321 §4.1.2 that
// needs no quotes.
func (k *Keys) Local(shipment uuid.UUID) string {
	return prefix + strings.ToLower(encoding.EncodeToString(k.active.token(shipment)))
}

// Address returns the envelope sender of a shipment's mail.
func (k *Keys) Address(shipment uuid.UUID, domain string) string {
	return k.Local(shipment) + "@" + domain
}

func (k Key) token(shipment uuid.UUID) []byte {
	mac := hmac.New(sha256.New, k.Secret)
	mac.Write([]byte(label))
	mac.Write([]byte{k.ID})
	mac.Write(shipment[:])
	token := append(shipment[:len(shipment):len(shipment)], k.ID)
	return append(token, mac.Sum(nil)[:macOctets]...)
}

// Parse returns the shipment of a local part, in any letter case, quoted or not. Servers on the way put
// the local part into a longer one, and some leave it there:
//
//	prvs=TAG=LOCAL, prvs=LOCAL/TAG, prvs=LOCAL=TAG   BATV and its older drafts
//	btv1==TAG==LOCAL                                 Barracuda
//	msprvs1=TAG=LOCAL                                SparkPost
//	SRS0=HASH=TT=DOMAIN=LOCAL, SRS1=…                SRS, where the forwarder did not undo it
//
// So '=' and '/' end a token and begin one. What stands beside it is not read: the MAC alone counts.
// The error is ErrNoToken, ErrUnknownKey or ErrForged. The caller compares the domain.
func (k *Keys) Parse(local string) (uuid.UUID, error) {
	if len(local) > maxLocal {
		return uuid.Nil, ErrNoToken
	}
	if len(local) > 1 && local[0] == '"' && local[len(local)-1] == '"' {
		local = local[1 : len(local)-1]
	}
	result := ErrNoToken
	for segment := range strings.FieldsFuncSeq(local, func(r rune) bool { return r == '=' || r == '/' }) {
		shipment, err := k.parse(segment)
		if err == nil {
			return shipment, nil
		}
		if result == ErrNoToken {
			result = err
		}
	}
	return uuid.Nil, result
}

// parse reads one segment of a local part.
func (k *Keys) parse(segment string) (uuid.UUID, error) {
	if len(segment) != len(prefix)+tokenLength || !strings.EqualFold(segment[:len(prefix)], prefix) {
		return uuid.Nil, ErrNoToken
	}
	written := strings.ToUpper(segment[len(prefix):])
	token, err := encoding.DecodeString(written)
	// The last character has four bits too many, which must be zero.
	if err != nil || encoding.EncodeToString(token) != written {
		return uuid.Nil, ErrNoToken
	}
	shipment := uuid.UUID(token[:16])
	for _, key := range k.valid {
		if key.ID != token[16] {
			continue
		}
		if !hmac.Equal(key.token(shipment), token) { // in constant time
			return uuid.Nil, ErrForged
		}
		return shipment, nil
	}
	return uuid.Nil, ErrUnknownKey
}
