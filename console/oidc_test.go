package console

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"straks/internal/logtest"
)

// provider is an OpenID Connect provider that logs everybody in. It checks what a client must send.
type provider struct {
	t      *testing.T
	server *httptest.Server
	key    *ecdsa.PrivateKey
	signer jose.Signer

	mu     sync.Mutex
	claims map[string]any        // of the next login, over the good ones
	codes  map[string]url.Values // the requests of the codes that were given
	info   map[string]any        // of the UserInfo endpoint
	state  string                // answered in place of the right one; empty: the right one
}

func newProvider(t *testing.T) *provider {
	p := &provider{t: t, codes: make(map[string]url.Values), info: map[string]any{"sub": "1234"}}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if p.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k"}}, nil); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.server.URL, "authorization_endpoint": p.server.URL + "/authorize", "token_endpoint": p.server.URL + "/token",
			"jwks_uri": p.server.URL + "/keys", "userinfo_endpoint": p.server.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer a" {
			t.Errorf("userinfo is asked for by %q", r.Header.Get("Authorization"))
		}
		answer(w, p.info)
	})
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		token, ok := p.token(r)
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": token})
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != "straks" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || len(q.Get("state")) < 20 {
		p.t.Errorf("asked for %v", q)
	}
	code := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = q
	state := q.Get("state")
	if p.state != "" {
		state = p.state
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {state}}.Encode(), http.StatusFound)
}

// token gives the token of a code, once, to a client that has the verifier and the secret.
func (p *provider) token(r *http.Request) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	_, secret, _ := r.BasicAuth()
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") || secret != "hemlig" {
		return "", false
	}
	claims := map[string]any{"iss": p.server.URL, "aud": "straks", "sub": "1234", "nonce": q.Get("nonce"), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"preferred_username": "kari", "realm_access": map[string]any{"roles": []string{"desk", "other"}}}
	for name, value := range p.claims {
		claims[name] = value
	}
	text, err := json.Marshal(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	signed, err := p.signer.Sign(text)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return token, true
}

// empty is a daemon without anything.
type empty struct{ Source }

func (empty) Now() Now                      { return Now{Ready: true} }
func (empty) Organisations() []Organisation { return nil }

// TestOIDC: a login by a provider gives the roles of its claims; what is not as it must be gives none.
func TestOIDC(t *testing.T) {
	p := newProvider(t)
	log := &logtest.Log{}
	var c *Console
	pages := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ServeHTTP(w, r) }))
	defer pages.Close()
	var err error
	c, err = New(Config{Source: empty{}, Log: slog.New(slog.NewJSONHandler(log, nil)), OIDC: &OIDC{Name: "Provider", Issuer: p.server.URL, ClientID: "straks", ClientSecret: "hemlig",
		Redirect: pages.URL + "/login/oidc/callback", NameClaim: "preferred_username", RoleClaim: "realm_access.roles",
		Roles: map[string][]Role{"desk": {Support}, "ops": {Operate}, "desk other": {Operate}}}})
	if err != nil {
		t.Fatal(err)
	}
	login := func() (int, string, *http.Client) {
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar, Transport: pages.Client().Transport, Timeout: 5 * time.Minute}
		resp, err := client.Get(pages.URL + "/login/oidc")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), client
	}
	get := func(client *http.Client, path string) int {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := client.Get(pages.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	code, body, client := login()
	if code != http.StatusOK || !strings.Contains(body, `content="0;url=/"`) {
		t.Fatalf("%d %s", code, body)
	}
	if get(client, "/") != http.StatusOK || get(client, "/find") != http.StatusOK {
		t.Error("the role is not there")
	}
	if !strings.Contains(log.String(), `"user":"kari","roles":"support"`) {
		t.Errorf("the log has\n%s", log)
	}
	for name, claims := range map[string]map[string]any{
		"another audience": {"aud": "another"}, "expired": {"exp": time.Now().Add(-time.Hour).Unix()}, "another nonce": {"nonce": "n"},
		"another issuer": {"iss": "https://elsewhere.example"}, "no role": {"realm_access": map[string]any{"roles": []string{"none"}}},
		"a part of a role": {"realm_access": map[string]any{"roles": "desk ops"}},
	} {
		p.mu.Lock()
		p.claims = claims
		p.mu.Unlock()
		code, _, client := login()
		if code != http.StatusUnauthorized && code != http.StatusForbidden || get(client, "/") != http.StatusSeeOther {
			t.Errorf("%s: %d", name, code)
		}
	}
	elsewhere := map[string]any{"realm_access": map[string]any{"roles": []string{"ops"}}, "sub": "1234"}
	for subject, want := range map[string]int{"1234": http.StatusOK, "another": http.StatusUnauthorized} {
		elsewhere["sub"] = subject
		p.mu.Lock()
		p.claims, p.info = map[string]any{"realm_access": nil}, elsewhere
		p.mu.Unlock()
		if code, _, _ := login(); code != want {
			t.Errorf("roles from the UserInfo of %s: %d, want %d", subject, code, want)
		}
	}
	p.mu.Lock()
	p.claims, p.state = nil, "of another browser's login"
	p.mu.Unlock()
	if code, _, _ := login(); code != http.StatusUnauthorized {
		t.Errorf("another state: %d", code)
	}
	if code := get(client, "/login/oidc/callback?code=x&state=y"); code != http.StatusUnauthorized {
		t.Errorf("a login that nobody began: %d", code)
	}
	p.server.Close()
	c.oidc.provider = nil
	if code, body, _ := login(); code != http.StatusBadGateway || !strings.Contains(body, "does not answer") {
		t.Errorf("the provider is down: %d %s", code, body)
	}
}
