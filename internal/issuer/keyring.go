package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of a keyring.
const (
	// maxKeys bounds the keys of an issuer.
	maxKeys = 64
	// maxTries bounds the keys that are tried on one token that names none.
	maxTries = 4
	// minRSA is the smallest RSA key, in bits (RFC 7518 §3.3).
	minRSA = 2048
	// maxAge is how long keys count that can't be read again.
	maxAge = 24 * time.Hour
	// patience is how long a token with an unknown key waits for the keys to be read.
	patience = 3 * time.Second
)

// keyring has the keys of one issuer.
type keyring struct {
	cfg    Config
	log    *slog.Logger
	client *http.Client
	now    func() time.Time
	wanted chan struct{} // asks Run to read the keys now

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	read    time.Time     // when keys was read; zero: never
	tried   time.Time     // when reading them was begun last
	reading bool          // an attempt is under way
	err     error         // of the last attempt
	changes uint64        // of keys
	next    chan struct{} // closed when the next attempt has ended
}

func newKeyring(cfg Config, roots *x509.CertPool, log *slog.Logger) *keyring {
	r := &keyring{cfg: cfg, log: log.With("issuer", cfg.Name), client: newClient(roots), now: time.Now,
		wanted: make(chan struct{}, 1), next: make(chan struct{})}
	r.restore()
	return r
}

func (r *keyring) generation() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes
}

// find returns the keys that may have signed a token. If none has its key id, the keys are read
// again, unless that was tried a moment ago.
func (r *keyring) find(ctx context.Context, id, algorithm string) ([]jose.JSONWebKey, error) {
	keys, next, err := r.look(id, algorithm)
	if next == nil {
		return keys, err
	}
	select {
	case r.wanted <- struct{}{}: // Run ignores it if it is reading the keys, or has just done so
	default: // asked for already
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-next:
	case <-ctx.Done():
	}
	keys, _, err = r.look(id, algorithm)
	return keys, err
}

// look returns the keys as they are known. next is what to wait for where there is none and
// reading them again is due.
func (r *keyring) look(id, algorithm string) (keys []jose.JSONWebKey, next chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if len(keys) < maxTries && (k.KeyID == id || k.KeyID == "" || id == "") && fits(k, algorithm) {
			keys = append(keys, k)
		}
	}
	now := r.now()
	stale := r.read.IsZero() || now.Sub(r.read) > maxAge
	if stale {
		keys, err = nil, fmt.Errorf("%w: %w", ErrUnchecked, r.reason())
	}
	if len(keys) == 0 && (r.reading || r.due(now)) {
		next = r.next
	}
	return keys, next, err
}

// due reports whether the keys may be read at the wish of a token. The caller holds mu.
func (r *keyring) due(now time.Time) bool {
	return now.Sub(r.tried) >= minPause && r.cfg.KeysFile == ""
}

// reason returns why there are no keys. The caller holds mu.
func (r *keyring) reason() error {
	if r.err != nil {
		return r.err
	}
	return fmt.Errorf("they have not been read yet")
}

// fits reports whether the key is for signatures by the algorithm (RFC 7517 §4).
func fits(k jose.JSONWebKey, algorithm string) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS256", "PS256"}, algorithm) && key.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return algorithm == "ES256" && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// usable returns the keys of a set that can verify a token, and an error where there is none.
func usable(set []jose.JSONWebKey) ([]jose.JSONWebKey, error) {
	var keys []jose.JSONWebKey
	for _, k := range set {
		ok := slices.ContainsFunc(algorithms, func(a jose.SignatureAlgorithm) bool { return fits(k, string(a)) })
		if ok && k.Valid() && len(keys) < maxKeys {
			keys = append(keys, jose.JSONWebKey{Key: k.Key, KeyID: k.KeyID, Algorithm: k.Algorithm, Use: k.Use})
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key for RS256, PS256, ES256 or EdDSA among them (%d keys; RSA needs %d bits)", len(set), minRSA)
	}
	return keys, nil
}
