package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/pemfile"
)

// Config is an issuer. Exactly one of KeysFile, JWKSURL and neither of them is used: without
// both, the discovery document at Issuer names the JWKS URL.
type Config struct {
	Name      string   // in logs and metrics
	Issuer    string   // the claim iss of its tokens, octet for octet
	JWKSURL   string   // where its keys are (RFC 7517 §5)
	KeysFile  string   // PEM (public keys or certificates) or JWKS
	Audiences []string // of which aud must have one; none: aud does not matter
	Leeway    time.Duration
	SavedKeys string // path of a file that keeps the keys over a restart; "": none
	CAFile    string // PEM certificates that vouch for its server; "": the system's
}

// Issuer verifies the tokens of one issuer. It is safe for concurrent use.
type Issuer struct {
	cfg  Config
	keys *keyring
	now  func() time.Time
}

// ErrUnchecked is wrapped by errors of Verify where the keys are not known now: the token may be good.
var ErrUnchecked = errors.New("the issuer's keys are not known")

// New returns the issuer. Its keys are read by Run, except those that an earlier process saved.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Issuer, error) {
	var roots *x509.CertPool
	if cfg.CAFile != "" {
		var err error
		if roots, err = pemfile.Pool(cfg.CAFile); err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
	}
	i := &Issuer{cfg: cfg, now: time.Now, keys: newKeyring(cfg, roots, log)}
	i.keys.register(reg)
	return i, nil
}

// Name returns the issuer's name in the configuration.
func (i *Issuer) Name() string { return i.cfg.Name }

// Claim returns the claim iss that its tokens have.
func (i *Issuer) Claim() string { return i.cfg.Issuer }

// Generation changes whenever the keys do: a token that was verified in an earlier generation must be verified again.
func (i *Issuer) Generation() uint64 { return i.keys.generation() }

// algorithms are the signatures that are accepted (RFC 7518 §3.1, RFC 8037 §3.1).
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// Token is a token whose form is right and whose signature is not verified yet.
type Token struct {
	token  *jwt.JSONWebToken
	issuer string
}

// Parse reads the form of a token. Its errors never quote the token.
func Parse(raw string) (*Token, error) {
	token, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		return nil, errors.New("no JSON web token that is signed by RS256, PS256, ES256 or EdDSA")
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return nil, errors.New("its claims are no JSON object, or iss is no string")
	}
	return &Token{token, claims.Issuer}, nil
}

// Issuer returns the claim iss. It is not verified: it only says which issuer to ask.
func (t *Token) Issuer() string { return t.issuer }

// Verify returns the claims of a token of this issuer. Its error says what is wrong with the
// token, without a word of the token's, or wraps ErrUnchecked.
func (i *Issuer) Verify(ctx context.Context, t *Token) (*Claims, error) {
	header := t.token.Headers[0]
	if t.issuer != i.cfg.Issuer {
		return nil, errors.New("iss is not the issuer")
	}
	keys, err := i.keys.find(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		claims := new(Claims)
		switch err := t.token.Claims(key, &claims.registered, &claims.all); {
		case err == nil:
			return claims, i.check(claims)
		case !errors.Is(err, jose.ErrCryptoFailure):
			return nil, errors.New("a header or claim of RFC 7515 or RFC 7519 is not as it should be")
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key of the issuer has its kid and its algorithm")
	}
	return nil, errors.New("its signature is not by the issuer")
}

// check checks the registered claims (RFC 7519 §4.1).
func (i *Issuer) check(c *Claims) error {
	now, r := i.now(), c.registered
	switch {
	case r.Expiry == nil:
		return errors.New("exp is missing")
	case !now.Before(c.Expires().Add(i.cfg.Leeway)):
		return fmt.Errorf("expired at %s", c.Expires().UTC().Format(time.RFC3339))
	case r.NotBefore != nil && now.Add(i.cfg.Leeway).Before(r.NotBefore.Time()):
		return fmt.Errorf("not valid before %s", r.NotBefore.Time().UTC().Format(time.RFC3339))
	case r.IssuedAt != nil && now.Add(i.cfg.Leeway).Before(r.IssuedAt.Time()):
		return errors.New("iat is in the future")
	case len(i.cfg.Audiences) > 0 && !anyOf(r.Audience, i.cfg.Audiences):
		return errors.New("aud has none of our audiences")
	}
	return nil
}

func anyOf(audience jwt.Audience, ours []string) bool {
	for _, a := range ours {
		if audience.Contains(a) {
			return true
		}
	}
	return false
}
