package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"straks/internal/bounded"
)

// ErrStranger: no authority of ours has signed the certificate, or it is not valid now, or not for clients.
var ErrStranger = errors.New("it is none of ours")

// Identity is for whom a certificate stands.
type Identity struct {
	Organisation string
	Name         string // of the rule
	Fingerprint  string // SHA-256 of the certificate, in hex digits
	Scopes       []string
}

// snapshot is what the files held at one time. It does not change, except for the outcomes that it keeps.
type snapshot struct {
	grace       time.Duration
	authorities []*authority
	owners      map[keyID]*authority
	pool        *x509.CertPool
	rules       map[string][]Rule // by organisation; those of organisations without an authority of their own by ""
	outcomes    *outcomes
}

// newSnapshot returns an error where two authorities share a key: for whom would it vouch?
func newSnapshot(authorities []*authority, rules []Rule, grace time.Duration) (*snapshot, error) {
	s := &snapshot{grace: grace, authorities: authorities, owners: make(map[keyID]*authority), pool: x509.NewCertPool(), rules: make(map[string][]Rule),
		outcomes: bounded.New[[sha256.Size]byte, outcome](maxOutcomes)}
	own := make(map[string]bool)
	for _, a := range authorities {
		own[a.Organisation] = true
		for _, cert := range a.certs {
			if first := s.owners[keyOf(cert)]; first != nil && first != a {
				return nil, fmt.Errorf("%s.client_ca_files and %s.client_ca_files have a certificate in common, or one key: an authority vouches for one organisation, or is shared", first.Key, a.Key)
			}
			s.owners[keyOf(cert)] = a
			s.pool.AddCert(cert)
		}
	}
	for _, r := range rules {
		vouches := r.Organisation
		if !own[vouches] {
			vouches = ""
		}
		s.rules[vouches] = append(s.rules[vouches], r)
	}
	return s, nil
}

// maxChain bounds the certificates that a client may send.
const maxChain = 10

// identify returns for whom the first of the certificates stands, and until when that is so. The others lead to an authority.
// The error tells nothing of a certificate that no authority has signed.
func (s *snapshot) identify(certs []*x509.Certificate, now time.Time) (who Identity, until time.Time, err error) {
	if len(certs) > maxChain {
		return who, until, fmt.Errorf("%d certificates were sent, %d at most are looked at", len(certs), maxChain)
	}
	leaf, between := certs[0], x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: s.pool, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return who, until, fmt.Errorf("%w: %w", ErrStranger, reason(err))
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return who, until, errors.New("its key is not for signatures (key usage)")
	}
	for _, chain := range chains {
		if who, until, err = s.accept(chain, now); err == nil {
			return who, until, nil
		}
	}
	return who, until, err
}

// accept checks a chain whose signatures and times are good.
func (s *snapshot) accept(chain []*x509.Certificate, now time.Time) (who Identity, until time.Time, err error) {
	a := s.owners[keyOf(chain[len(chain)-1])]
	for _, cert := range chain {
		if owner := s.owners[keyOf(cert)]; owner != nil && owner != a {
			return who, until, errors.New("its chain has authorities of two organisations")
		}
	}
	for i, cert := range chain {
		if until.IsZero() || cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
		if i+1 == len(chain) || len(a.lists) == 0 {
			continue
		}
		listed, err := checkRevoked(cert, chain[i+1], a.lists, i == 0, s.grace, now)
		if err != nil {
			return who, until, err
		}
		if !listed.IsZero() && listed.Before(until) {
			until = listed
		}
	}
	who, err = s.match(a, chain[0])
	return who, until, err
}

// match finds the rule for a certificate of the authority.
func (s *snapshot) match(a *authority, cert *x509.Certificate) (who Identity, err error) {
	n, err := namesOf(cert)
	if err != nil {
		return who, err
	}
	for _, r := range s.rules[a.Organisation] {
		switch {
		case !r.matches(&n) || r.Organisation == who.Organisation:
		case who.Organisation != "":
			return Identity{}, errors.New("its names are those of two organisations")
		default:
			sum := sha256.Sum256(cert.Raw)
			who = Identity{r.Organisation, r.Name, hex.EncodeToString(sum[:]), r.Scopes}
		}
	}
	if who.Organisation == "" {
		return who, fmt.Errorf("it stands for no organisation; its subject is %.200s", n.subject)
	}
	return who, nil
}

// reason returns why a chain is refused, in words without what the certificate says.
func reason(err error) error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) {
		return errors.New("no authority of ours has signed it")
	}
	switch cert := invalid.Cert; invalid.Reason {
	case x509.Expired:
		return fmt.Errorf("it, or an authority of its chain, is not valid now, but from %s to %s",
			cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
	case x509.IncompatibleUsage:
		return errors.New("it is not for clients (extended key usage)")
	case x509.NotAuthorizedToSign:
		return errors.New("what has signed it is no authority")
	}
	return errors.New("its chain breaks a rule of RFC 5280, as for the length of its path or the names allowed in it")
}
