package api

import (
	"crypto/sha256"
	"time"

	"straks/internal/bounded"
	"straks/internal/issuer"
)

// verified keeps the tokens whose signatures were verified, so that a client's next call costs a hash and not a
// signature.
type verified struct {
	*bounded.Map[[sha256.Size]byte, entry]
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

func newVerified() *verified {
	return &verified{bounded.New[[sha256.Size]byte, entry](maxVerified)}
}

// get returns the caller of a token with the given hash, if it was verified and is valid still.
func (v *verified) get(sum [sha256.Size]byte, now time.Time) (Principal, bool) {
	e, ok := v.Get(sum)
	return e.who, ok && e.valid(now)
}
