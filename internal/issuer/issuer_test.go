package issuer

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/issuer/issuertest"
)

// start runs an issuer over the provider until the test ends.
func start(t *testing.T, p *issuertest.Provider, change func(*Config)) *Issuer {
	t.Helper()
	cfg := Config{Name: "idp", Issuer: p.URL, CAFile: p.CAFile(t), Leeway: 10 * time.Second}
	if change != nil {
		change(&cfg)
	}
	i, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- i.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return i
}

// verify is what a caller does with a token.
func verify(t *testing.T, i *Issuer, raw string) (*Claims, error) {
	token, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	return i.Verify(t.Context(), token)
}

func claims(p *issuertest.Provider, change map[string]any) map[string]any {
	c := map[string]any{"iss": p.URL, "exp": time.Now().Add(time.Minute).Unix(), "aud": "straks"}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// unsigned returns a token of three parts with any header and signature.
func unsigned(header string, claims map[string]any, signature string) string {
	text, _ := json.Marshal(claims)
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(header)) + "." + b64(text) + "." + signature
}

func TestVerify(t *testing.T) {
	p := issuertest.New(t)
	rs, ps, es, ed := issuertest.NewKey("rs", jose.RS256), issuertest.NewKey("ps", jose.PS256), issuertest.NewKey("es", jose.ES256), issuertest.NewKey("ed", jose.EdDSA)
	stranger, large := issuertest.NewKey("es", jose.ES256), issuertest.NewKey("large", jose.ES384)
	p.Publish(rs, ps, es, ed, large)
	i := start(t, p, func(c *Config) { c.Audiences = []string{"other", "straks"} })
	now := time.Now()
	der, _ := x509.MarshalPKIXPublicKey(rs.Private.Public())
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	with := func(change map[string]any) string { return es.Sign(claims(p, change)) }
	good := with(nil)
	parts := strings.Split(good, ".")
	embedded := func() string { // the stranger's key in the token's own header
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: stranger.Private}, &jose.SignerOptions{EmbedJWK: true})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(claims(p, nil))
		signed, _ := signer.Sign(text)
		token, _ := signed.CompactSerialize()
		return token
	}
	for _, c := range []struct{ name, token, want string }{
		{"RS256", rs.Sign(claims(p, nil)), ""},
		{"PS256", ps.Sign(claims(p, nil)), ""},
		{"ES256", good, ""},
		{"EdDSA", ed.Sign(claims(p, nil)), ""},
		{"several audiences", with(map[string]any{"aud": []string{"x", "other"}}), ""},
		{"expired within the leeway", with(map[string]any{"exp": now.Add(-2 * time.Second).Unix()}), ""},
		{"valid soon, within the leeway", with(map[string]any{"nbf": now.Add(2 * time.Second).Unix()}), ""},
		{"expired", with(map[string]any{"exp": now.Add(-time.Minute).Unix()}), "expired at"},
		{"expired in 1970", with(map[string]any{"exp": 1}), "expired at"},
		{"without exp", with(map[string]any{"exp": nil}), "exp is missing"},
		{"exp that is no number", with(map[string]any{"exp": "tomorrow"}), "as it should be"},
		{"not yet", with(map[string]any{"nbf": now.Add(time.Minute).Unix()}), "not valid before"},
		{"issued tomorrow", with(map[string]any{"iat": now.Add(24 * time.Hour).Unix()}), "iat"},
		{"wrong audience", with(map[string]any{"aud": "straks2"}), "aud"},
		{"no audience", with(map[string]any{"aud": nil}), "aud"},
		{"wrong issuer", with(map[string]any{"iss": p.URL + "/"}), "iss"},
		{"no issuer", with(map[string]any{"iss": nil}), "iss"},
		{"issuer that is no string", with(map[string]any{"iss": []string{p.URL}}), "JSON"},
		{"another's key with our kid", stranger.Sign(claims(p, nil)), "signature"},
		{"key in its own header", embedded(), "signature"},
		{"unknown kid", issuertest.Key{ID: "nobody", Algorithm: jose.ES256, Private: stranger.Private}.Sign(claims(p, nil)), "no key"},
		{"ES384", large.Sign(claims(p, nil)), "signed by RS256"},
		{"RS512", issuertest.Sign(jose.SigningKey{Algorithm: jose.RS512, Key: rs.Private}, "rs", claims(p, nil)), "signed by RS256"},
		{"HS256 with the public key", issuertest.Sign(jose.SigningKey{Algorithm: jose.HS256, Key: public}, "rs", claims(p, nil)), "signed by RS256"},
		{"none", unsigned(`{"alg":"none"}`, claims(p, nil), ""), "signed by RS256"},
		{"None", unsigned(`{"alg":"None","kid":"es"}`, claims(p, nil), parts[2]), "signed by RS256"},
		{"no alg", unsigned(`{"kid":"es"}`, claims(p, nil), parts[2]), "signed by RS256"},
		{"the key of another algorithm", unsigned(`{"alg":"RS256","kid":"es"}`, claims(p, nil), parts[2]), "no key"},
		{"crit", unsigned(`{"alg":"ES256","kid":"es","crit":["x"],"x":1}`, claims(p, nil), parts[2]), "as it should be"},
		{"claims changed", parts[0] + "." + strings.Split(with(map[string]any{"sub": "x"}), ".")[1] + "." + parts[2], "signature"},
		{"signature cut", good[:len(good)-4], "signature"},
		{"no signature", parts[0] + "." + parts[1] + ".", "signature"},
		{"five parts", good + ".x.y", "signed by RS256"},
		{"claims that are no object", raw(t, es, `[]`), "JSON"},
		{"garbage", "a.b.c", "signed by RS256"},
		{"two dots", "..", "signed by RS256"},
	} {
		_, err := verify(t, i, c.token)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil && len(c.token) > 20 && strings.Contains(err.Error(), c.token[:20]) {
			t.Errorf("%s: the error quotes the token: %v", c.name, err)
		}
	}
}

// TestRotation: a token by a new key is good at once, unknown keys cannot make us ask again and again, and a key that
// is withdrawn verifies nothing after the next reading.
func TestRotation(t *testing.T) {
	p := issuertest.New(t)
	first, second := issuertest.NewKey("1", jose.ES256), issuertest.NewKey("2", jose.ES256)
	p.Publish(first)
	i := start(t, p, nil)
	if _, err := verify(t, i, first.Sign(claims(p, nil))); err != nil {
		t.Fatal(err)
	}
	generation := i.Generation()
	p.Publish(second)
	later := time.Now().Add(minPause)
	i.keys.mu.Lock()
	i.keys.now = func() time.Time { return later }
	i.keys.mu.Unlock()
	if _, err := verify(t, i, second.Sign(claims(p, nil))); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, i, first.Sign(claims(p, nil))); err == nil {
		t.Error("a key that was withdrawn verifies")
	}
	if i.Generation() == generation {
		t.Error("other keys, and the same generation")
	}
	before := p.Calls.Load()
	for range 50 {
		stranger := issuertest.NewKey("3", jose.ES256)
		if _, err := verify(t, i, stranger.Sign(claims(p, nil))); err == nil {
			t.Fatal("a stranger's token is good")
		}
	}
	if n := p.Calls.Load() - before; n != 0 {
		t.Errorf("50 tokens with unknown keys made %d calls", n)
	}
}

// TestOutage: with the issuer away the keys stay for a day, over a restart too, and then nothing can be checked.
func TestOutage(t *testing.T) {
	p := issuertest.New(t)
	key := issuertest.NewKey("1", jose.EdDSA)
	p.Publish(key)
	saved := filepath.Join(t.TempDir(), "keys.json")
	keep := func(c *Config) { c.SavedKeys = saved }
	raw := key.Sign(claims(p, nil))
	if _, err := verify(t, start(t, p, keep), raw); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the keys are saved", func() bool { _, err := os.Stat(saved); return err == nil })
	p.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	again := start(t, p, keep)
	if _, err := verify(t, again, raw); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	again.keys.mu.Lock()
	again.keys.now = func() time.Time { return time.Now().Add(maxAge + time.Minute) }
	again.keys.mu.Unlock()
	if _, err := verify(t, again, raw); !errors.Is(err, ErrUnchecked) || !strings.Contains(err.Error(), "503") {
		t.Errorf("after a day: %v", err)
	}
	if _, err := verify(t, start(t, p, nil), raw); !errors.Is(err, ErrUnchecked) {
		t.Errorf("never read: %v", err)
	}
	other := start(t, p, func(c *Config) { c.SavedKeys, c.JWKSURL = saved, p.URL+"/elsewhere" })
	if _, err := verify(t, other, raw); !errors.Is(err, ErrUnchecked) {
		t.Errorf("keys of another URL are used: %v", err)
	}
}

// TestHostileIssuer: whatever the issuer's server answers, a bounded amount is read, and the error is in our words.
func TestHostileIssuer(t *testing.T) {
	key := issuertest.NewKey("1", jose.ES256)
	endless := func(w http.ResponseWriter, text string) {
		io.WriteString(w, `{"keys": [`)
		for {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwk2", http.StatusFound) }, "status 302"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) { endless(w, strings.Repeat(" ", 4096)) }, "more than"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "SECRET") }, "no JWK set"},
		{"no keys", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"keys":[]}`) }, "no key for RS256"},
		{"a symmetric key", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`)
		}, "no key for RS256"},
		{"null", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `null`) }, "no JWK set"},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		p := issuertest.New(t)
		p.Answer(c.answer)
		i := start(t, p, func(cfg *Config) { cfg.JWKSURL = p.URL + "/jwk" })
		_, err := verify(t, i, key.Sign(claims(p, nil)))
		if !errors.Is(err, ErrUnchecked) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	p := issuertest.New(t)
	p.Answer(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"issuer": "https://other.example", "jwks_uri": "https://other.example/jwk"})
	})
	if _, err := verify(t, start(t, p, nil), key.Sign(claims(p, nil))); !errors.Is(err, ErrUnchecked) || !strings.Contains(err.Error(), "another issuer") {
		t.Errorf("a document of another issuer: %v", err)
	}
	if _, err := verify(t, start(t, p, func(c *Config) { c.CAFile = "" }), key.Sign(claims(p, nil))); !errors.Is(err, ErrUnchecked) || !strings.Contains(err.Error(), "authority") {
		t.Errorf("a certificate of nobody: %v", err)
	}
}

// TestKeysFile: keys in a file, in each of its forms.
func TestKeysFile(t *testing.T) {
	p := issuertest.New(t)
	key, small := issuertest.NewKey("1", jose.RS256), filepath.Join(t.TempDir(), "keys")
	der, _ := x509.MarshalPKIXPublicKey(key.Private.Public())
	set, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Private.Public(), KeyID: "1"}}})
	for name, text := range map[string][]byte{"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWKS": set} {
		os.WriteFile(small, text, 0o600)
		i := start(t, p, func(c *Config) { c.KeysFile = small })
		waitForKeys(t, i)
		if _, err := verify(t, i, key.Sign(claims(p, nil))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, want := range map[string]string{"": "neither", "hemmelig": "neither", "{}": "no JWK set",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})):    "private keys do not belong",
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[1:]})): "can't be read"} {
		os.WriteFile(small, []byte(text), 0o600)
		if _, err := ReadKeys(small); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hemmelig") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// waitForKeys waits until the keys were read once: a file is not read at the wish of a token.
func waitForKeys(t *testing.T, i *Issuer) {
	t.Helper()
	for i.Generation() == 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the keys were not read")
		case <-time.After(time.Millisecond):
		}
	}
}

func FuzzParse(f *testing.F) {
	key := issuertest.NewKey("1", jose.ES256)
	f.Add(key.Sign(map[string]any{"iss": "x", "exp": 1}))
	f.Add("..")
	f.Add(unsigned(`{"alg":"ES256","kid":1}`, nil, ""))
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := Parse(raw)
		if (err == nil) != (token != nil) {
			t.Fatal(token, err)
		}
		if err == nil {
			token.Issuer()
		}
	})
}

// raw signs a payload that need not be claims.
func raw(t *testing.T, key issuertest.Key, payload string) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.Algorithm, Key: key.Private}, (&jose.SignerOptions{}).WithHeader("kid", key.ID))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
