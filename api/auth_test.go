package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"straks/orders"
)

// A flood of guesses makes a few log lines, and a token that expired is
// named in the middle of it.
func TestFloodOfBadTokens(t *testing.T) {
	w := start(t)
	guess := func(token string, n int) {
		for range n {
			if a := w.do("GET", "/future/shipment/feed", "", header("Authorization", "Bearer "+token)); a.status != 401 {
				t.Fatal(a.status)
			}
		}
	}
	guess("guess", 200)
	guess("old-token", 2)
	guess("guess", 200)
	if n := strings.Count(w.log.String(), `"err":"invalid token: unknown"`); n != maxDenials {
		t.Errorf("400 guesses made %d lines", n)
	}
	if n := strings.Count(w.log.String(), `"token":"old"`); n != 2 {
		t.Errorf("two uses of an expired token made %d lines", n)
	}
}

func TestAuthorize(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		name, authorization string
		status              int
		challenge           string
	}{
		{"good", "Bearer " + ttdToken, 200, ""},
		{"scheme in another case", "bEARER  " + ttdToken, 200, ""},
		{"another organisation's", "Bearer " + otherToken, 200, ""},
		{"none", "", 401, "Bearer"},
		{"another scheme", "Basic dXNlcjpwYXNz", 401, "Bearer"},
		{"empty", "Bearer ", 401, `Bearer error="invalid_token"`},
		{"scheme alone", "Bearer", 401, `Bearer error="invalid_token"`},
		{"unknown", "Bearer nobody's", 401, `Bearer error="invalid_token"`},
		{"one octet more", "Bearer " + ttdToken + "x", 401, `Bearer error="invalid_token"`},
		{"its sum", "Bearer " + sum(ttdToken), 401, `Bearer error="invalid_token"`},
		{"expired", "Bearer old-token", 401, `Bearer error="invalid_token"`},
		{"very long", "Bearer " + strings.Repeat("x", maxToken+1), 401, `Bearer error="invalid_token"`},
		{"without the scope", "Bearer scopeless-token", 403, `Bearer error="insufficient_scope", scope="` + ScopeCreate + `"`},
	} {
		for _, a := range []answer{
			w.do("GET", "/future/shipment/feed", "", header("Authorization", c.authorization)),
			w.sendSMS(c.name, header("Authorization", c.authorization)),
		} {
			if (a.status == 201) != (c.status == 200) && a.status != c.status || a.header.Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%s: %d, %q; want %d, %q", c.name, a.status, a.header.Get("WWW-Authenticate"), c.status, c.challenge)
			}
			if a.status >= 400 {
				a.problem(t)
			}
		}
	}
	two := func(r *http.Request) {
		r.Header["Authorization"] = []string{"Bearer " + ttdToken, "Bearer " + otherToken}
	}
	if a := w.do("GET", "/future/shipment/feed", "", two); a.status != 401 {
		t.Errorf("two tokens: %d", a.status)
	}
	for _, secret := range []string{ttdToken, otherToken, "old-token", "nobody's", sum(ttdToken)} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	for _, want := range []string{`"token":"old"`, "expired at", `"token":"backend"`, `"organisation":"other"`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, w.log)
		}
	}
}

// says is an authenticator with a fixed result: one that a later kind of token may have.
type says struct {
	who Principal
	err error
}

func (s says) Authenticate(*http.Request) (Principal, error) { return s.who, s.err }

func TestAuthenticatorAnswers(t *testing.T) {
	for _, c := range []struct {
		says   says
		status int
	}{
		{says{who: Principal{Organisation: "ttd", Scopes: []string{"x", ScopeCreate}}}, 200},
		{says{who: Principal{Scopes: []string{ScopeCreate}}}, 403},
		{says{who: Principal{Organisation: "ttd", Scopes: []string{"notifications.create"}}}, 403},
		{says{err: errors.New("no keys")}, 503},
	} {
		w := start(t, func(cfg *Config, _ *orders.Config) { cfg.Auth = c.says })
		if a := w.do("GET", "/future/shipment/feed", ""); a.status != c.status {
			t.Errorf("%+v: %d %s; want %d", c.says, a.status, a.body, c.status)
		}
	}
}

func TestTokenExpiry(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tokens, err := NewTokens([]Token{{Organisation: "ttd", Name: "t", SHA256: strings.ToUpper(sum("secret")), Expires: end}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "/", nil)
	as("secret")(r)
	for now, ok := range map[time.Time]bool{end.Add(-1): true, end: false, end.Add(1): false} {
		tokens.now = func() time.Time { return now }
		if _, err := tokens.Authenticate(r); (err == nil) != ok || !ok && !errors.Is(err, ErrInvalidToken) {
			t.Errorf("at %v: %v", now, err)
		}
	}
}

func TestNewTokensFaults(t *testing.T) {
	_, err := NewTokens([]Token{
		{Organisation: "a", Name: "short", SHA256: "00"},
		{Organisation: "a", Name: "letters", SHA256: strings.Repeat("x", 64)},
		{Name: "homeless", SHA256: sum("1")},
		{Organisation: "a", Name: "good", SHA256: sum("2")},
		{Organisation: "b", Name: "same", SHA256: sum("2")},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"short", "letters", "homeless", "same"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("nothing is said of %s: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "good") || strings.Contains(err.Error(), sum("2")) {
		t.Errorf("too much is said: %v", err)
	}
}
