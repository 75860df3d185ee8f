package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"straks/internal/issuer"
)

// TokenIssuer is an issuer of JSON web tokens, and what its tokens are good for here.
type TokenIssuer struct {
	Issuer *issuer.Issuer
	// Header holds the token alone: "PlatformAccessToken". Empty: Authorization, as a bearer token.
	Header string
	// Claims name the bearer, each by a name or a path as of issuer.Claims. The values that Organisations knows
	// must agree.
	Claims []string
	// Prefix is removed from those values: "0192:", which stands for the register of the Norwegian
	// organisation numbers in Maskinporten's consumer.ID.
	Prefix string
	// Organisations are ours, by the value of a claim.
	Organisations map[string]string
	// ScopeClaim lists what the bearer may do: "scope". Scopes maps its words to ours.
	ScopeClaim string
	Scopes     map[string][]string
	// Grants are scopes that every token of the issuer has.
	Grants []string
}

// webTokens authenticates by JSON web tokens.
type webTokens struct {
	issuers map[string]map[string]*TokenIssuer // by header and iss
	headers []string                           // of issuers that have one of their own, in their order
	known   *verified
	now     func() time.Time
}

// newWebTokens returns an authenticator over the issuers. Its error lists all their faults.
func newWebTokens(issuers []TokenIssuer, now func() time.Time) (*webTokens, error) {
	w := &webTokens{issuers: make(map[string]map[string]*TokenIssuer), known: newVerified(), now: now}
	var faults []error
	for _, t := range issuers {
		header := http.CanonicalHeaderKey(t.Header)
		if w.issuers[header] == nil {
			w.issuers[header] = make(map[string]*TokenIssuer)
			if header != "" {
				w.headers = append(w.headers, header)
			}
		}
		iss := t.Issuer.Claim()
		if w.issuers[header][iss] != nil {
			faults = append(faults, fmt.Errorf("issuer %q: another has its iss already", t.Issuer.Name()))
		}
		w.issuers[header][iss] = &t
	}
	return w, errors.Join(faults...)
}

// isWebToken reports whether a token has the form of RFC 7515 §7.1. A static token can have it by chance; so
// static tokens are looked up first.
func isWebToken(token string) bool { return strings.Count(token, ".") == 2 }

// authenticate returns the caller that a token in the given header names.
func (w *webTokens) authenticate(ctx context.Context, header, raw string) (Principal, error) {
	sum := sha256.Sum256([]byte(header + "\n" + raw)) // a token is for one header
	if who, ok := w.known.get(sum, w.now()); ok {
		return who, nil
	}
	token, err := issuer.Parse(raw)
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	t := w.issuers[header][token.Issuer()]
	if t == nil {
		return Principal{}, fmt.Errorf("%w: its issuer is not among ours", ErrInvalidToken)
	}
	generation := t.Issuer.Generation() // before the keys are used, so that a change of them is noticed later
	claims, err := t.Issuer.Verify(ctx, token)
	if errors.Is(err, issuer.ErrUnchecked) {
		return Principal{Token: t.Issuer.Name()}, err
	}
	if claims == nil {
		return Principal{Token: t.Issuer.Name()}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	who, ambiguous := t.principal(claims)
	switch {
	case err != nil:
		return who, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	case ambiguous != nil:
		return who, fmt.Errorf("%w: %w", ErrInvalidToken, ambiguous)
	}
	w.known.Put(sum, entry{who, claims.Expires(), t.Issuer, generation})
	return who, nil
}

// principal returns the caller that the claims name. One without an organisation of ours is nobody, and gets 403.
func (t *TokenIssuer) principal(claims *issuer.Claims) (Principal, error) {
	who := Principal{Token: t.Issuer.Name(), Scopes: t.Grants}
	for _, name := range t.Claims {
		organisation := t.Organisations[strings.TrimPrefix(claims.Text(name), t.Prefix)]
		switch {
		case organisation == "" || organisation == who.Organisation:
		case who.Organisation != "":
			return Principal{Token: who.Token}, errors.New("its claims name two organisations of ours")
		default:
			who.Organisation = organisation
		}
	}
	for _, word := range claims.Words(t.ScopeClaim) {
		if ours := t.Scopes[word]; len(ours) > 0 {
			who.Scopes = append(who.Scopes[:len(who.Scopes):len(who.Scopes)], ours...)
		}
	}
	return who, nil
}
