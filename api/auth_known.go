package api

import (
	"crypto/sha256"
	"sync"
	"time"

	"straks/internal/issuer"
)

// verified keeps the tokens whose signatures were verified, so that a client's next call costs a hash and not a
// signature. It has two halves: when the younger is full it becomes the older, and the older one is
// dropped. So its size is bounded, and a token that is in use stays.
type verified struct {
	mu           sync.Mutex
	young, older map[[sha256.Size]byte]entry
}

// maxVerified bounds each half. An entry takes some 300 octets; both take 5 MiB at most.
const maxVerified = 8192

// entry is the caller of a verified token.
type entry struct {
	who        Principal
	expires    time.Time // of the token; the leeway is not added
	issuer     *issuer.Issuer
	generation uint64 // of the issuer's keys
}

func (e *entry) valid(now time.Time) bool {
	return now.Before(e.expires) && e.issuer.Generation() == e.generation
}

func newVerified() *verified { return &verified{young: make(map[[sha256.Size]byte]entry)} }

// get returns the caller of a token with the given hash, if it was verified and is valid still.
func (v *verified) get(sum [sha256.Size]byte, now time.Time) (Principal, bool) {
	v.mu.Lock()
	e, ok := v.young[sum]
	if !ok {
		if e, ok = v.older[sum]; ok {
			v.add(sum, e)
		}
	}
	v.mu.Unlock()
	return e.who, ok && e.valid(now)
}

func (v *verified) put(sum [sha256.Size]byte, e entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.add(sum, e)
}

// add stores an entry. The caller holds mu.
func (v *verified) add(sum [sha256.Size]byte, e entry) {
	if len(v.young) >= maxVerified {
		v.young, v.older = make(map[[sha256.Size]byte]entry), v.young
	}
	v.young[sum] = e
}
