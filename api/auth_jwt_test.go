package api

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/clientcert/certtest"
	"straks/internal/issuer"
	"straks/internal/issuer/issuertest"
	"straks/orders"
)

// idps are the issuers of a test: one whose tokens are bearer tokens, and Altinn's apps, which have a header of their own.
type idps struct {
	bearer, apps *issuertest.Provider
	key, appKey  issuertest.Key
	auth         *Callers
}

// newIDPs starts issuers whose tokens the organisation ttd has under the number 991825827 or the name "ttd".
func newIDPs(t testing.TB) *idps {
	t.Helper()
	w := &idps{bearer: issuertest.New(t), apps: issuertest.New(t), key: issuertest.NewKey("1", jose.ES256), appKey: issuertest.NewKey("1", jose.RS256)}
	w.bearer.Publish(w.key)
	w.apps.Publish(w.appKey)
	organisations := map[string]string{"991825827": "ttd", "ttd": "ttd", "974760673": "other"}
	scopes := map[string][]string{ScopeCreate: {ScopeCreate}}
	uses := []TokenIssuer{
		{Issuer: run(t, w.bearer, "idp"), Claims: []string{"consumer.ID", "urn:altinn:org"}, Prefix: "0192:", Organisations: organisations, ScopeClaim: "scope", Scopes: scopes},
		{Issuer: run(t, w.apps, "apps"), Header: "PlatformAccessToken", Claims: []string{"urn:altinn:org"}, Organisations: organisations, Grants: []string{ScopeCreate}},
	}
	var err error
	if w.auth, err = NewCallers([]Token{{Organisation: "ttd", Name: "backend", SHA256: sum(ttdToken)}}, uses, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// run runs an issuer over the provider until the test ends.
func run(t testing.TB, p *issuertest.Provider, name string) *issuer.Issuer {
	t.Helper()
	i, err := issuer.New(issuer.Config{Name: name, Issuer: p.URL, CAFile: p.CAFile(t), Audiences: []string{"straks"}, Leeway: 10 * time.Second},
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- i.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return i
}

// claims are those of a good token of the bearer's issuer, with changes; nil removes one.
func (w *idps) claims(changes ...map[string]any) map[string]any {
	c := map[string]any{"iss": w.bearer.URL, "aud": "straks", "exp": time.Now().Add(time.Minute).Unix(), "scope": "x " + ScopeCreate,
		"consumer": map[string]string{"authority": "iso6523-actorid-upis", "ID": "0192:991825827"}}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// TestEveryCaller: every route and every kind of caller, with tokens and certificates, with the answer that each gets.
func TestEveryCaller(t *testing.T) {
	idp, p := newIDPs(t), newPKI(t)
	idp.auth.certs = p.auth.certs
	if err := idp.auth.SetTokens([]Token{
		{Organisation: "ttd", Name: "backend", SHA256: sum(ttdToken)}, {Organisation: "other", Name: "batch", SHA256: sum(otherToken)},
		{Organisation: "ttd", Name: "old", SHA256: sum("old-token"), Expires: time.Now().Add(-time.Second)},
		{Organisation: "ttd", Name: "reader", SHA256: sum("reader-token"), Scopes: []string{ScopeRead}},
		{Organisation: "ttd", Name: "support", SHA256: sum("support-token"), Scopes: []string{ScopeSupport}},
		{Organisation: "ttd", Name: "none", SHA256: sum("scopeless-token"), Scopes: []string{}},
	}); err != nil {
		t.Fatal(err)
	}
	w, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) { cfg.Auth = idp.auth })
	w.server.URL = "https://" + addr
	der, _ := x509.MarshalPKIXPublicKey(idp.key.Private.Public())
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	stranger := issuertest.NewKey("1", jose.ES256)
	unknown := issuertest.Key{ID: "nobody", Algorithm: jose.ES256, Private: stranger.Private}
	now := time.Now()
	bearer := func(changes ...map[string]any) option { return as(idp.key.Sign(idp.claims(changes...))) }
	app := func(changes ...map[string]any) string {
		return idp.appKey.Sign(idp.claims(append([]map[string]any{{"iss": idp.apps.URL, "scope": nil, "consumer": nil, "urn:altinn:org": "ttd"}}, changes...)...))
	}
	apps := func(token string, options ...option) option {
		return func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("PlatformAccessToken", token)
			for _, o := range options {
				o(r)
			}
		}
	}
	parts := strings.Split(idp.key.Sign(idp.claims()), ".")
	nobody := header("Authorization", "")
	good, others, support, unknownName := p.ttd.Issue("backend"), p.shared.Issue("backend"), p.ttd.Issue("support"), p.ttd.Issue("nobody")
	past := p.ttd.Issue("backend", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour) })
	future := p.ttd.Issue("backend", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(time.Hour), now.Add(2*time.Hour) })
	server := p.ttd.Issue("backend", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	strangers := certtest.New("ttd").Issue("backend")
	callers := []struct {
		name   string
		as     option
		status int // 0: let in
		owner  bool
		cert   *tls.Certificate
		may    []string // scopes; nil: ScopeCreate
	}{
		{"static, of another organisation", as(otherToken), 0, false, nil, nil},
		{"static, expired", as("old-token"), 401, false, nil, nil},
		{"static, to read", as("reader-token"), 0, true, nil, []string{ScopeRead}},
		{"static, for support", as("support-token"), 0, true, nil, []string{ScopeSupport}},
		{"static, without a scope", as("scopeless-token"), 0, true, nil, []string{}},
		{"a certificate", nobody, 0, true, &good, nil},
		{"a certificate of another organisation", nobody, 0, false, &others, nil},
		{"a certificate for support", nobody, 0, true, &support, []string{ScopeSupport}},
		{"a certificate and a token", as("reader-token"), 0, true, &good, []string{ScopeRead}},
		{"a certificate and a web token", bearer(), 0, true, &good, nil},
		{"a certificate and another's token", as(otherToken), 401, false, &good, nil},
		{"a certificate and garbage", as("garbage"), 401, false, &good, nil},
		{"a revoked certificate", nobody, 401, false, &p.revoked, nil},
		{"a revoked certificate and a token", as(ttdToken), 401, false, &p.revoked, nil},
		{"an expired certificate", nobody, 401, false, &past, nil},
		{"a certificate for later", nobody, 401, false, &future, nil},
		{"a certificate for servers", nobody, 401, false, &server, nil},
		{"a stranger's certificate", nobody, 401, false, &strangers, nil},
		{"a certificate that stands for nobody", nobody, 401, false, &unknownName, nil},
		{"nobody", header("Authorization", ""), 401, false, nil, nil},
		{"garbage", as("garbage"), 401, false, nil, nil},
		{"garbage with two dots", as("a.b.c"), 401, false, nil, nil},
		{"static", as(ttdToken), 0, true, nil, nil},
		{"right", bearer(), 0, true, nil, nil},
		{"right, scopes as an array", bearer(map[string]any{"scope": []string{ScopeCreate}}), 0, true, nil, nil},
		{"right, by another claim", bearer(map[string]any{"consumer": nil, "urn:altinn:org": "ttd"}), 0, true, nil, nil},
		{"another organisation", bearer(map[string]any{"consumer": map[string]string{"ID": "0192:974760673"}}), 0, false, nil, nil},
		{"expired", bearer(map[string]any{"exp": now.Add(-time.Minute).Unix()}), 401, false, nil, nil},
		{"without exp", bearer(map[string]any{"exp": nil}), 401, false, nil, nil},
		{"not yet", bearer(map[string]any{"nbf": now.Add(time.Minute).Unix()}), 401, false, nil, nil},
		{"wrong audience", bearer(map[string]any{"aud": "other"}), 401, false, nil, nil},
		{"wrong issuer", bearer(map[string]any{"iss": "https://other.example"}), 401, false, nil, nil},
		{"the issuer of the other header", bearer(map[string]any{"iss": idp.apps.URL}), 401, false, nil, nil},
		{"alg none", as(strings.Join([]string{"eyJhbGciOiJub25lIn0", parts[1], ""}, ".")), 401, false, nil, nil},
		{"HS256 with the public key", as(issuertest.Sign(jose.SigningKey{Algorithm: jose.HS256, Key: public}, "1", idp.claims())), 401, false, nil, nil},
		{"a stranger's key", as(stranger.Sign(idp.claims())), 401, false, nil, nil},
		{"a stranger's key, by RS256", as(issuertest.NewKey("1", jose.RS256).Sign(idp.claims())), 401, false, nil, nil},
		{"unknown kid", as(unknown.Sign(idp.claims())), 401, false, nil, nil},
		{"signature of another token", as(parts[0] + "." + parts[1] + "." + strings.Split(idp.key.Sign(idp.claims()), ".")[2][1:] + "A"), 401, false, nil, nil},
		{"two organisations of ours", bearer(map[string]any{"consumer": map[string]string{"ID": "0192:974760673"}, "urn:altinn:org": "ttd"}), 401, false, nil, nil},
		{"no organisation of ours", bearer(map[string]any{"consumer": map[string]string{"ID": "0192:000000000"}}), 403, false, nil, nil},
		{"no organisation", bearer(map[string]any{"consumer": nil}), 403, false, nil, nil},
		{"organisation that is an object", bearer(map[string]any{"consumer": map[string]any{"ID": map[string]string{"x": "991825827"}}}), 403, false, nil, nil},
		{"missing scope", bearer(map[string]any{"scope": "altinn:serviceowner/notifications"}), 403, false, nil, nil},
		{"no scope", bearer(map[string]any{"scope": nil}), 403, false, nil, nil},
		{"scope within a word", bearer(map[string]any{"scope": "x" + ScopeCreate}), 403, false, nil, nil},
		{"an app", apps(app()), 0, true, nil, nil},
		{"an app beside a person's token", apps(app(), as("person")), 0, true, nil, nil},
		{"an app of a stranger's", apps(stranger.Sign(idp.claims())), 401, false, nil, nil},
		{"an expired app", apps(app(map[string]any{"exp": now.Add(-time.Minute).Unix()}), as(ttdToken)), 401, false, nil, nil},
		{"an app's token as a bearer token", as(app()), 401, false, nil, nil},
		{"a bearer token as an app's", apps(idp.key.Sign(idp.claims())), 401, false, nil, nil},
		{"two apps", func(r *http.Request) { r.Header["Platformaccesstoken"] = []string{app(), app()} }, 401, false, nil, nil},
		{"a static token as an app's", apps(ttdToken), 401, false, nil, nil},
	}
	show := func(cert *tls.Certificate) {
		w.http.Transport = &checked{t: t, next: showing(t, trusted, false, cert, nil).Transport}
	}
	show(nil)
	made := w.sendSMS("made", as(ttdToken))
	id := made.header.Get("Location")[len(DefaultBasePath+"/future/shipment/"):]
	for n, c := range callers {
		show(c.cert)
		for _, route := range w.everyRoute(n, id) {
			want := route.expected(c.status, c.owner, c.may)
			if a := w.do(route.method, route.path, route.body, c.as, lenient); a.status != want { // the document has one way only
				t.Errorf("%s: %s %s: %d %s, want %d", c.name, route.method, route.path, a.status, a.body, want)
			}
		}
	}
	for _, secret := range append(parts, "991825827", "iso6523") {
		if secret != "" && strings.Contains(w.log.String(), secret) {
			t.Errorf("%.20s… is in the log", secret)
		}
	}
}

// tried is a good request of one route.
type tried struct {
	route
	path, body     string
	right, strange int // for the owner of the shipment that was made, and for another organisation
}

// expected returns the status for a caller that is refused with a status (0: let in), and has scopes.
func (r tried) expected(refused int, owner bool, may []string) int {
	if may == nil {
		may = []string{ScopeCreate}
	}
	switch {
	case r.public:
		return r.right
	case refused != 0:
		return refused
	case !slices.ContainsFunc(r.scopes, func(s string) bool { return slices.Contains(may, s) }):
		return 403
	case owner:
		return r.right
	}
	return r.strange
}

// everyRoute returns a good request of each route of the API, for the shipment with the id and the key "made".
func (w *world) everyRoute(n int, id string) (all []tried) {
	sms := strings.Replace(smsBody, `"k"`, fmt.Sprintf(`"sms%d"`, n), 1)
	recipient := sms[strings.Index(sms, `"recipientSms"`):]
	for _, rt := range w.api.api.routes() {
		r := tried{rt, strings.Replace(rt.path, "{id}", id, 1), "", 200, 200}
		switch {
		case rt.path == "/verifications/feed":
		case strings.HasPrefix(rt.path, "/verifications") && (rt.path == "/verifications" || strings.HasSuffix(rt.path, "/check")):
			r.body, r.right, r.strange = "{}", 400, 400 // let in, but nothing is in the body
		case strings.HasPrefix(rt.path, "/verifications"):
			r.body, r.right, r.strange = "{}", 404, 404 // there is none
		case rt.path == "/future/orders/instant/sms":
			r.body, r.right, r.strange = sms, 201, 201
		case rt.path == "/future/orders/instant":
			r.body, r.right, r.strange = fmt.Sprintf(`{"idempotencyId":"wrapped%d","recipient":{%s}`, n, recipient), 201, 201
		case rt.path == "/future/orders/instant/email":
			r.body = strings.NewReplacer(`"k"`, fmt.Sprintf(`"email%d"`, n), " post@example.org ", "post@example.org").Replace(emailBody)
			r.right, r.strange = 201, 201
		case rt.path == "/future/shipment/{id}":
			r.strange = 404
		case rt.path == "/future/shipment":
			r.path, r.strange = r.path+"?idempotencyId=made", 404
		}
		all = append(all, r)
	}
	return all
}

// TestVerifiedTokens: a token that was verified is not good for longer than it says, nor with other keys.
func TestVerifiedTokens(t *testing.T) {
	idp := newIDPs(t)
	token := idp.key.Sign(idp.claims())
	r, _ := http.NewRequest("GET", "/", nil)
	as(token)(r)
	for range 2 {
		if who, err := idp.auth.Authenticate(r); err != nil || who.Organisation != "ttd" {
			t.Fatal(who, err)
		}
	}
	idp.auth.web.now = func() time.Time { return time.Now().Add(time.Hour) }
	sum := sha256.Sum256([]byte("\n" + token))
	if _, ok := idp.auth.web.known.get(sum, idp.auth.web.now()); ok {
		t.Error("a token is good for longer than it says")
	}
	for n := range 2*maxVerified + 2 {
		idp.auth.web.known.Put(sha256.Sum256([]byte(fmt.Sprint(n))), entry{})
	}
	if n := idp.auth.web.known.Len(); n > 2*maxVerified {
		t.Errorf("%d tokens are kept", n)
	}
}

// BenchmarkAuthenticate compares a static token with web tokens: known, and verified for the first time.
func BenchmarkAuthenticate(b *testing.B) {
	idp := newIDPs(b)
	request := func(token string) *http.Request {
		r, _ := http.NewRequest("GET", "/", nil)
		as(token)(r)
		return r
	}
	ask := func(b *testing.B, r *http.Request) {
		if _, err := idp.auth.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
	static, known := request(ttdToken), request(idp.key.Sign(idp.claims()))
	b.Run("static", func(b *testing.B) {
		for b.Loop() {
			ask(b, static)
		}
	})
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			ask(b, known)
		}
	})
	b.Run("ES256", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			idp.auth.web.known = newVerified()
			b.StartTimer()
			ask(b, known)
		}
	})
}
