package issuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"straks/internal/pemfile"
	"straks/internal/tlsfault"
)

// Bounds of one attempt to read keys.
const (
	maxDocument  = 256 << 10 // octets of a document or file
	fetchTimeout = 10 * time.Second
)

// newClient returns the client for an issuer's server. It follows no redirect: keys come from
// the URL that the operator, or the issuer's own document, names.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 32 << 10,
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch reads the keys from wherever they are.
func (r *keyring) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	if r.cfg.KeysFile != "" {
		return ReadKeys(r.cfg.KeysFile)
	}
	from := r.cfg.JWKSURL
	if from == "" {
		var err error
		if from, err = r.discover(ctx); err != nil {
			return nil, err
		}
	}
	text, err := r.get(ctx, from)
	if err != nil {
		return nil, err
	}
	return parseSet(text)
}

// wellKnown are the places of discovery documents: OpenID Connect Discovery 1.0 §4, and RFC 8414 §3 as the
// Norwegian issuers write it, with the suffix at the end.
var wellKnown = []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"}

// discover returns the JWKS URL of the issuer's discovery document.
func (r *keyring) discover(ctx context.Context) (string, error) {
	var failed error
	for _, suffix := range wellKnown {
		text, err := r.get(ctx, strings.TrimSuffix(r.cfg.Issuer, "/")+suffix)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		var doc struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		switch err := json.Unmarshal(text, &doc); {
		case err != nil:
			return "", fmt.Errorf("the discovery document %s is no JSON object", suffix)
		case doc.Issuer != r.cfg.Issuer: // RFC 8414 §3.3
			return "", fmt.Errorf("the discovery document %s is of another issuer, %.100q", suffix, doc.Issuer)
		}
		if err := CheckURL(doc.JWKSURI); err != nil {
			return "", fmt.Errorf("jwks_uri in the discovery document %s %w", suffix, err)
		}
		return doc.JWKSURI, nil
	}
	return "", failed
}

// CheckURL checks a URL that keys are read from. Plain HTTP is for this machine only: a party that can change an
// answer on the way can sign tokens. The error continues the sentence that begins with the key.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("must be a URL like https://issuer.example.org/jwk")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return errors.New("must begin with https://")
	}
	return nil
}

// get returns the document at a URL. Its error names the URL's host and path only.
func (r *keyring) get(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, errors.New("a URL of the issuer is malformed")
	}
	req.Header.Set("Accept", "application/json")
	place := req.URL.Host + req.URL.Path
	answer, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, fault(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", place, answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", place, fault(err))
	case len(text) > maxDocument:
		return nil, fmt.Errorf("%s answers with more than %d octets", place, maxDocument)
	}
	return text, nil
}

// parseSet reads a JWK set. Keys of kinds that are not known are left out (RFC 7517 §5).
func parseSet(text []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		return nil, errors.New(`the keys are no JWK set: {"keys": [...]}`)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(raw); err == nil && k.IsPublic() {
			keys = append(keys, k)
		}
	}
	return usable(keys)
}

// ReadKeys reads a file with a JWK set, or with PEM blocks of public keys and certificates.
func ReadKeys(path string) ([]jose.JSONWebKey, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("can't be read: %w", pemfile.Reason(err))
	case !info.Mode().IsRegular() || info.Size() > maxDocument:
		return nil, fmt.Errorf("names %s, which is no file of at most %d octets", path, maxDocument)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", pemfile.Reason(err))
	}
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		return parseSet(text)
	}
	var keys []jose.JSONWebKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		key, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		keys = append(keys, jose.JSONWebKey{Key: key})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("names %s, which has neither a JWK set nor PEM blocks", path)
	}
	return usable(keys)
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("has a certificate that can't be read")
		}
		return cert.PublicKey, nil
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("has a public key that can't be read")
		}
		return key, nil
	}
	return nil, errors.New("has a PEM block that is neither PUBLIC KEY nor CERTIFICATE: private keys do not belong there")
}

// fault returns an HTTP client's error without the URL, and without words of the peer's.
func fault(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return tlsfault.Plain(err)
}
