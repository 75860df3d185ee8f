package api

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"straks/internal/clientcert"
)

// Callers authenticates by static tokens, JSON web tokens and client certificates.
type Callers struct {
	static atomic.Pointer[Tokens]
	web    *webTokens
	certs  *clientcert.Verifier // nil: there are no client certificates
}

// NewCallers returns an authenticator over static tokens, issuers of JSON web tokens, and client certificates, if certs
// is not nil. Its error lists all faults.
func NewCallers(tokens []Token, issuers []TokenIssuer, certs *clientcert.Verifier) (*Callers, error) {
	static, err := NewTokens(tokens)
	web, webErr := newWebTokens(issuers, time.Now)
	if err := errors.Join(err, webErr); err != nil {
		return nil, err
	}
	c := &Callers{web: web, certs: certs}
	c.static.Store(static)
	return c, nil
}

// SetTokens puts static tokens in the place of those in use, which stay where the error is not nil: see NewTokens.
// When a token was last accepted is kept. Only one goroutine at a time may call it.
func (c *Callers) SetTokens(tokens []Token) error {
	static, err := NewTokens(tokens)
	if err != nil {
		return err
	}
	for organisationAndName, at := range c.static.Load().Used() {
		static.accepted(organisationAndName, at)
	}
	c.static.Store(static)
	return nil
}

// Used returns when static tokens were last accepted; see Tokens.Used.
func (c *Callers) Used() map[[2]string]time.Time { return c.static.Load().Used() }

// Authenticate implements Authenticator. A certificate that a client has shown must be good, whether or not there is a
// token: it is no matter of chance which of two callers a request is of.
func (c *Callers) Authenticate(r *http.Request) (Principal, error) {
	certificate, err := shown(r, c.certs)
	if err != nil {
		return Principal{}, err
	}
	who, err := c.byToken(r)
	switch {
	case errors.Is(err, ErrNoToken) && certificate.Certificate != "":
		return certificate, nil
	case err != nil:
		return who, err
	}
	return who.with(certificate)
}

// byToken identifies the caller by a token. A header of its own that an issuer uses decides where a request has it:
// Altinn's apps send PlatformAccessToken beside the token of a person, who is no organisation.
func (c *Callers) byToken(r *http.Request) (Principal, error) {
	for _, header := range c.web.headers {
		if values := r.Header[header]; len(values) > 0 {
			if len(values) > 1 || len(values[0]) > maxToken {
				return Principal{}, fmt.Errorf("%w: malformed %s", ErrInvalidToken, header)
			}
			return c.web.authenticate(r.Context(), header, values[0])
		}
	}
	who, err := c.static.Load().Authenticate(r)
	if !errors.Is(err, errUnknown) || len(c.web.issuers[""]) == 0 {
		return who, err
	}
	if token, bad := Bearer(r); bad == nil && isWebToken(token) {
		return c.web.authenticate(r.Context(), "", token)
	}
	return who, err
}
