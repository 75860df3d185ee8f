package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDC is a provider of logins (OpenID Connect Core 1.0: code flow, with PKCE by RFC 7636).
type OIDC struct {
	Name         string // on the button
	Issuer       string // URL
	ClientID     string
	ClientSecret string // empty: a public client
	Redirect     string // URL of /login/oidc/callback as browsers see it
	Scopes       []string
	NameClaim    string            // of the user's name, like "preferred_username"
	RoleClaim    string            // of the user's groups or roles; dots lead into objects: "realm_access.roles"
	Roles        map[string][]Role // by the values of RoleClaim
	HTTP         *http.Client      // nil: one with a time-out
}

const (
	loginTime     = 10 * time.Minute // for a login at the provider
	maxLogins     = 1000             // under way
	providerTime  = 10 * time.Second // for one call of the provider
	maxClaimValue = 128              // octets of a user's name
)

// login is the provider, and the logins that are under way. The provider is asked for its settings at the first
// login, and again until that succeeds: it may be down when straks starts.
type login struct {
	OIDC
	client *http.Client

	mu       sync.Mutex
	provider *oidc.Provider
	pending  map[[sha256.Size]byte]pending // by the hash of the browser's cookie
}

// pending is one login that is under way.
type pending struct {
	began                  time.Time
	state, nonce, verifier string
}

func newLogin(cfg OIDC) *login {
	l := &login{OIDC: cfg, client: cfg.HTTP, pending: make(map[[sha256.Size]byte]pending)}
	if l.client == nil {
		l.client = &http.Client{Timeout: providerTime}
	}
	return l
}

// discover returns the provider with its settings.
func (l *login) discover(ctx context.Context) (*oidc.Provider, error) {
	l.mu.Lock()
	p := l.provider
	l.mu.Unlock()
	if p != nil {
		return p, nil
	}
	// The provider keeps the context for its keys, which it fetches later.
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), l.client), l.Issuer)
	if err == nil {
		l.mu.Lock()
		l.provider = p
		l.mu.Unlock()
	}
	return p, err
}

func (l *login) oauth(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: l.ClientID, ClientSecret: l.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: l.Redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, l.Scopes...)}
}

// begin notes a login, and returns the browser's cookie.
func (l *login) begin(p pending) (cookie string) {
	cookie = rand.Text()
	l.mu.Lock()
	defer l.mu.Unlock()
	var oldest [sha256.Size]byte
	for key, o := range l.pending {
		if p.began.Sub(o.began) > loginTime {
			delete(l.pending, key)
		} else if first := l.pending[oldest]; first.began.IsZero() || o.began.Before(first.began) {
			oldest = key
		}
	}
	if len(l.pending) >= maxLogins {
		delete(l.pending, oldest)
	}
	l.pending[sha256.Sum256([]byte(cookie))] = p
	return cookie
}

// end returns the login of a browser's cookie, once.
func (l *login) end(cookie string) (pending, bool) {
	key := sha256.Sum256([]byte(cookie))
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.pending[key]
	delete(l.pending, key)
	return p, ok && time.Since(p.began) <= loginTime
}

// startOIDC sends the browser to the provider.
func (c *Console) startOIDC(w http.ResponseWriter, r *http.Request) {
	provider, err := c.oidc.discover(r.Context())
	if err != nil {
		c.log.Warn("console: the provider of logins does not answer", "issuer", c.oidc.Issuer, "err", err)
		c.loginPage(w, r, http.StatusBadGateway, languageOf(r).say("loginGone"))
		return
	}
	p := pending{time.Now(), rand.Text(), rand.Text(), oauth2.GenerateVerifier()}
	// Lax: the provider's redirect comes from another site.
	http.SetCookie(w, cookie(loginCookie, c.oidc.begin(p), loginTime, http.SameSiteLaxMode))
	http.Redirect(w, r, c.oidc.oauth(provider).AuthCodeURL(p.state, oidc.Nonce(p.nonce), oauth2.S256ChallengeOption(p.verifier)), http.StatusSeeOther)
}

// finishOIDC takes the provider's answer. The next page is led to by this one, and not by a redirect: a browser sends a
// strict cookie only where this host begins the step.
func (c *Console) finishOIDC(w http.ResponseWriter, r *http.Request) {
	l := languageOf(r)
	u, err := c.userOf(r)
	http.SetCookie(w, cookie(loginCookie, "", 0, http.SameSiteLaxMode))
	switch {
	case err != nil:
		c.log.Warn("console: login by OpenID Connect failed", "err", withoutCode(err, r.URL.Query()))
		c.auditLogin(r, nil, "refused", "OpenID Connect")
		c.loginPage(w, r, http.StatusUnauthorized, l.say("loginFailed"))
	case len(u.Roles) == 0:
		c.audit(r, &u, event{what: "login by OpenID Connect", outcome: "refused", why: "no role"})
		c.loginPage(w, r, http.StatusForbidden, l.say("loginNoRole"))
	default:
		c.auditLogin(r, &u, "ok", "OpenID Connect")
		c.admit(w, u)
		c.render(w, r, http.StatusOK, view{Page: "go", Title: "login", Back: "/"})
	}
}

// userOf returns the user whom the provider names.
func (c *Console) userOf(r *http.Request) (u User, err error) {
	q := r.URL.Query()
	browser, err := r.Cookie(loginCookie)
	if err != nil {
		return u, errors.New("the browser began no login")
	}
	p, ok := c.oidc.end(browser.Value)
	switch {
	case !ok:
		return u, errors.New("the login is not known, or took too long")
	case subtle.ConstantTimeCompare([]byte(p.state), []byte(q.Get("state"))) != 1:
		return u, errors.New("state is another")
	case q.Get("error") != "":
		return u, fmt.Errorf("the provider says %q", cut(q.Get("error")))
	}
	ctx := oidc.ClientContext(r.Context(), c.oidc.client)
	provider, err := c.oidc.discover(ctx)
	if err != nil {
		return u, err
	}
	token, err := c.oidc.oauth(provider).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(p.verifier))
	if err != nil {
		return u, fmt.Errorf("code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: c.oidc.ClientID}).Verify(ctx, raw)
	switch {
	case err != nil:
		return u, fmt.Errorf("id_token: %w", err)
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(p.nonce)) != 1:
		return u, errors.New("nonce is another")
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return u, err
	}
	if err := c.oidc.addUserInfo(ctx, provider, token, id.Subject, claims); err != nil {
		return u, fmt.Errorf("userinfo: %w", err)
	}
	return c.oidc.user(id.Subject, claims), nil
}

// addUserInfo adds claims of the provider's UserInfo endpoint where the ID token lacks that of the roles: some
// providers tell groups there only (OpenID Connect Core §5.3).
func (l *login) addUserInfo(ctx context.Context, p *oidc.Provider, token *oauth2.Token, subject string, claims map[string]any) error {
	if len(claimed(claims, l.RoleClaim)) > 0 || p.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return err
	}
	if info.Subject != subject {
		return errors.New("it is about another user")
	}
	var more map[string]any
	if err := info.Claims(&more); err != nil {
		return err
	}
	for name, value := range more {
		if claims[name] == nil {
			claims[name] = value
		}
	}
	return nil
}

// withoutCode returns the error's text without the code of the login.
func withoutCode(err error, q url.Values) string {
	text := err.Error()
	if code := q.Get("code"); code != "" {
		text = strings.ReplaceAll(text, code, "…")
	}
	return text
}

// user returns the user of the claims, with the roles that their values stand for.
func (l *login) user(subject string, claims map[string]any) User {
	u := User{Name: subject}
	if name, ok := claims[l.NameClaim].(string); ok && name != "" {
		u.Name = name
	}
	u.Name = strings.ToValidUTF8(u.Name[:min(len(u.Name), maxClaimValue)], "")
	for _, value := range claimed(claims, l.RoleClaim) {
		for _, role := range l.Roles[value] {
			if !slices.Contains(u.Roles, role) {
				u.Roles = append(u.Roles, role)
			}
		}
	}
	return u
}

// claimed returns the strings of a claim, which is one or several. The whole name is looked for before its parts.
func claimed(claims map[string]any, name string) (values []string) {
	value, ok := claims[name]
	if first, rest, found := strings.Cut(name, "."); !ok && found {
		inner, _ := claims[first].(map[string]any)
		return claimed(inner, rest)
	}
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			if text, ok := one.(string); ok {
				values = append(values, text)
			}
		}
	}
	return values
}
