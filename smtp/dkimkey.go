package smtp

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// DKIMKey is a private key for DKIM, and where its public half is published. Two keys of a domain
// need two selectors: a name has one record (RFC 6376 §3.6.2.2, RFC 8463 §3).
type DKIMKey struct {
	Domain   string        // of From addresses, in A-labels and lower case: see ParseDomain
	Selector string        // see ValidSelector
	Private  crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey: see ParseDKIMKey
}

// String keeps the key out of formatted text.
func (k DKIMKey) String() string { return k.Name() + " (" + k.Algorithm() + ")" }

// LogValue keeps the key out of logs.
func (k DKIMKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Name returns the name of the TXT record with the public key (RFC 6376 §3.6.2.1), without a final dot.
func (k DKIMKey) Name() string { return k.Selector + "._domainkey." + k.Domain }

// Algorithm describes the key: "rsa" with its bits, "ed25519", or "" for a key of another kind.
func (k DKIMKey) Algorithm() string {
	if bits := k.RSABits(); bits > 0 {
		return fmt.Sprintf("rsa, %d bits", bits)
	}
	if _, ok := k.Private.(ed25519.PrivateKey); ok {
		return "ed25519"
	}
	return ""
}

// RSABits returns the size of an RSA key, 0 for others.
func (k DKIMKey) RSABits() int {
	if r, ok := k.Private.(*rsa.PrivateKey); ok {
		return r.N.BitLen()
	}
	return 0
}

// Record returns the text of the TXT record (RFC 6376 §3.6.1, RFC 8463 §4). DNS takes it in strings of
// 255 octets at most.
func (k DKIMKey) Record() (string, error) {
	switch public := k.Private.Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), err
	}
	return "", errKeyKind
}

// ValidSelector reports whether s can be a selector: labels of letters, digits and hyphens
// (RFC 6376 §3.1) that leave room for the domain in a DNS name.
func ValidSelector(s, domain string) bool {
	return isHostname(s) && len(s)+len("._domainkey.")+len(domain) <= 253
}

// ParseDomain returns the domain of addresses in A-labels and lower case, as DKIMKey has it.
func ParseDomain(s string) (string, error) { return parseDomain(s) }

// Errors of ParseDKIMKey continue the sentence that begins with the file's name, and quote nothing of it.
var (
	errNoKey     = errors.New(`holds no private key in PEM ("-----BEGIN PRIVATE KEY-----")`)
	errPublic    = errors.New("holds a public key or a certificate: DKIM signs with a private key")
	errEncrypted = errors.New("holds a key with a passphrase, for which nobody can be asked: store it without one")
	errSeveral   = errors.New("holds more than one key: give each its own file")
	errDamaged   = errors.New(`holds a key that can't be read: "openssl pkey -check -noout -in FILE" may say why`)
	errKeyKind   = errors.New("holds a key that is neither RSA nor Ed25519: DKIM has no other")
)

// ParseDKIMKey reads one RSA or Ed25519 key in PEM: PKCS #8, or PKCS #1 as older tools write RSA.
func ParseDKIMKey(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errNoKey
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, errSeveral
	}
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, errEncrypted
	case strings.HasSuffix(block.Type, "PUBLIC KEY") || block.Type == "CERTIFICATE":
		return nil, errPublic
	case block.Type != "PRIVATE KEY" && block.Type != "RSA PRIVATE KEY":
		return nil, errNoKey
	}
	key, err := parsePrivateKey(block)
	if err != nil {
		return nil, errDamaged
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errKeyKind
}

func parsePrivateKey(block *pem.Block) (any, error) {
	if block.Type == "RSA PRIVATE KEY" {
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}
