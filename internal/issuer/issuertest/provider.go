// Package issuertest is an issuer of JSON web tokens for tests: a server with a discovery document and keys.
package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Provider is an issuer. Its URL is the claim iss of its tokens.
type Provider struct {
	*httptest.Server
	Calls atomic.Int64 // of any of its documents

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	answer http.HandlerFunc // in place of every answer; nil: as it should be
}

// New starts a provider that speaks TLS, without keys.
func New(t testing.TB) *Provider {
	p := new(Provider)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.Calls.Add(1)
	p.mu.Lock()
	keys, answer := p.keys, p.answer
	p.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Path == "/.well-known/oauth-authorization-server":
		json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/jwk"})
	case r.URL.Path == "/jwk":
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: keys})
	default:
		http.NotFound(w, r)
	}
}

// Publish makes these the provider's keys.
func (p *Provider) Publish(keys ...Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = nil
	for _, k := range keys {
		p.keys = append(p.keys, jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Use: "sig"})
	}
}

// Answer replaces every answer; nil: as it should be.
func (p *Provider) Answer(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// CAFile returns a file with the certificate that vouches for the provider.
func (p *Provider) CAFile(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Key is a private key of a provider.
type Key struct {
	ID        string
	Algorithm jose.SignatureAlgorithm
	Private   crypto.Signer
}

// rsaKey is made once: that takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// NewKey returns a key for the algorithm. Keys of RSA share one private key.
func NewKey(id string, algorithm jose.SignatureAlgorithm) Key {
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private = rsaKey()
	}
	if err != nil {
		panic(err)
	}
	return Key{id, algorithm, private}
}

// Sign returns a token with the claims.
func (k Key) Sign(claims map[string]any) string {
	return Sign(jose.SigningKey{Algorithm: k.Algorithm, Key: k.Private}, k.ID, claims)
}

// Sign returns a token that any kind of key signs.
func Sign(key jose.SigningKey, id string, claims map[string]any) string {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		options = options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		panic(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	return token
}
