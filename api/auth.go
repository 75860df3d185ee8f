package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// ScopeCreate lets its token place orders, and read what became of them. It is written in the JSON
	// web tokens that clients of Altinn Notifications have.
	ScopeCreate = "altinn:serviceowner/notifications.create"
	// ScopeRead lets its token read shipments and the feed.
	ScopeRead = "straks:read"
	// ScopeSupport lets its token look up one shipment at a time.
	ScopeSupport = "straks:support"
)

// Scopes of which a token must have one, by what the call does.
var (
	scopesToPlace  = []string{ScopeCreate}
	scopesToRead   = []string{ScopeCreate, ScopeRead}
	scopesToLookUp = []string{ScopeCreate, ScopeRead, ScopeSupport}
)

// Principal is the caller of a request.
type Principal struct {
	Organisation string   // that owns the orders and shipments; empty: may do nothing
	Token        string   // name of the token, for logs; empty: a certificate alone
	Certificate  string   // name of the client certificate, likewise
	Fingerprint  string   // of the certificate: SHA-256 in hex digits
	Scopes       []string // that the token has, or else the certificate
}

// Authenticator identifies the caller of a request. Its errors are ErrNoToken, errors that
// wrap ErrInvalidToken or ErrInvalidCertificate, and others where it can't check the token now (answered 503). It must
// be safe for concurrent use, and must never put a token into an error or a log.
type Authenticator interface {
	Authenticate(*http.Request) (Principal, error)
}

var (
	// ErrNoToken: the request has no token.
	ErrNoToken = errors.New("no bearer token")
	// ErrInvalidToken: the token is malformed, forged, unknown or expired.
	ErrInvalidToken = errors.New("invalid token")
)

// errUnknown is the error of a token that is none of the static ones.
var errUnknown = fmt.Errorf("%w: unknown", ErrInvalidToken)

// maxToken bounds the token that is hashed for an unknown caller, in octets.
const maxToken = 8 << 10

// Bearer returns the token of the request (RFC 6750 §2.1). The other two ways
// of RFC 6750, in the body and in the URL, are not accepted: URLs are logged.
func Bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", ErrNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	switch {
	case len(values) > 1:
		return "", fmt.Errorf("%w: more than one Authorization header", ErrInvalidToken)
	case !strings.EqualFold(scheme, "Bearer"):
		return "", ErrNoToken
	case token == "" || len(token) > maxToken:
		return "", fmt.Errorf("%w: malformed", ErrInvalidToken)
	}
	return token, nil
}

// Token is a static token, of which only the SHA-256 is known.
type Token struct {
	Organisation string
	Name         string    // appears in logs; unique within the organisation
	SHA256       string    // of the token, 64 hex digits
	Expires      time.Time // zero: never
	Scopes       []string  // nil: ScopeCreate
}

// Tokens authenticates by static tokens.
type Tokens struct {
	tokens []Token
	sums   [][sha256.Size]byte // of tokens, in their order
	used   []atomic.Int64      // when each was last accepted, in unix µs; 0: not yet
	now    func() time.Time
}

// NewTokens returns an authenticator over the given tokens. Its error lists all their
// faults.
func NewTokens(tokens []Token) (*Tokens, error) {
	t := &Tokens{now: time.Now}
	var faults []error
	for _, token := range tokens {
		sum, err := parseSum(token.SHA256)
		name := fmt.Sprintf("token %q of organisation %q", token.Name, token.Organisation)
		switch {
		case token.Organisation == "":
			faults = append(faults, fmt.Errorf("token %q has no organisation", token.Name))
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		case slices.Contains(t.sums, sum):
			faults = append(faults, fmt.Errorf("%s: sha256 is that of another token", name))
		}
		if token.Scopes == nil {
			token.Scopes = []string{ScopeCreate}
		}
		t.tokens, t.sums = append(t.tokens, token), append(t.sums, sum)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	t.used = make([]atomic.Int64, len(t.tokens))
	return t, nil
}

// Used returns when tokens were last accepted, by organisation and name. Those that were not since the start are
// absent.
func (t *Tokens) Used() map[[2]string]time.Time {
	used := make(map[[2]string]time.Time)
	for i, token := range t.tokens {
		if at := t.used[i].Load(); at != 0 {
			used[[2]string{token.Organisation, token.Name}] = time.UnixMicro(at)
		}
	}
	return used
}

// accepted notes when a token was accepted, if there is one with that organisation and name.
func (t *Tokens) accepted(organisationAndName [2]string, at time.Time) {
	for i, token := range t.tokens {
		if organisationAndName == [2]string{token.Organisation, token.Name} {
			t.used[i].Store(at.UnixMicro())
		}
	}
}

func parseSum(s string) (sum [sha256.Size]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(sum) {
		return sum, errors.New("sha256 must be 64 hex digits")
	}
	return [sha256.Size]byte(b), nil
}

// Authenticate looks the token up. It compares with every token,
// so that its time reveals nothing about any of them.
func (t *Tokens) Authenticate(r *http.Request) (Principal, error) {
	token, err := Bearer(r)
	if err != nil {
		return Principal{}, err
	}
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range t.sums {
		same := subtle.ConstantTimeCompare(sum[:], t.sums[i][:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Principal{}, errUnknown
	}
	known := t.tokens[found]
	who := Principal{Organisation: known.Organisation, Token: known.Name, Scopes: known.Scopes}
	if !known.Expires.IsZero() && !t.now().Before(known.Expires) {
		return who, fmt.Errorf("%w: expired at %s", ErrInvalidToken, known.Expires.Format(time.RFC3339))
	}
	t.used[found].Store(t.now().UnixMicro())
	return who, nil
}

// authorize returns the caller, or the answer to a caller without permission. The token needs one of
// the scopes.
func (a *api) authorize(r *http.Request, scopes []string) (Principal, error) {
	who, err := a.auth.Authenticate(r)
	switch {
	case errors.Is(err, ErrNoToken):
		return who, unauthorized("Bearer", "Send a token: Authorization: Bearer TOKEN.")
	case errors.Is(err, ErrInvalidToken):
		a.denials.Write(who.Organisation+"/"+who.Token, levelDenied, "token refused", callerAttrs(r, who, err)...)
		return who, errFailed{unauthorized(`Bearer error="invalid_token"`, "The token is unknown, malformed, or expired: get a new one from the operator of this service.")}
	case errors.Is(err, ErrInvalidCertificate):
		a.denials.Write(refusalKind(err), levelDenied, "client certificate refused", callerAttrs(r, who, err)...)
		return who, errFailed{unauthorized("Bearer", "The client certificate is unknown, revoked, or not valid now: get a new one from the operator of this service, or connect without one and send a token.")}
	case err != nil:
		a.denials.Write("not checked", levelDenied, "token not checked", callerAttrs(r, who, err)...)
		return who, unavailable("unavailable", "Tokens can't be checked now.", retryStore)
	case who.Organisation == "":
		return who, newProblem(http.StatusForbidden, "The token belongs to no organisation: get one that does from the operator of this service.")
	case !slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(who.Scopes, scope) }):
		p := newProblem(http.StatusForbidden, "The "+who.credential()+" lacks the scope "+strings.Join(scopes, " or ")+".")
		p.header = [2]string{"WWW-Authenticate", `Bearer error="insufficient_scope", scope="` + scopes[0] + `"`}
		return who, p
	}
	return who, nil
}

func unauthorized(challenge, detail string) *problem {
	p := newProblem(http.StatusUnauthorized, detail)
	p.header, p.outcome = [2]string{"WWW-Authenticate", challenge}, "unauthorized"
	return p
}
