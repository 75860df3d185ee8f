package clientcert

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// List is a list of the certificates that an authority has revoked (RFC 5280 §5).
type List struct {
	Until time.Time // nextUpdate: it is out of date from then on

	crl     *x509.RevocationList // without its entries
	revoked map[string]struct{}  // serial numbers, as octets
}

// ReadLists returns the lists in a file, in PEM or one in DER. A list of one of the given authorities must have its
// signature; that of another is looked at when that authority occurs in a chain.
func ReadLists(path string, authorities []*x509.Certificate) ([]*List, error) {
	text, err := readFile(path, maxCRLFile)
	if err != nil {
		return nil, err
	}
	var lists []*List
	for rest, der := text, []byte(nil); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if der = block.Bytes; block.Type != "X509 CRL" {
			continue
		}
		list, err := parseList(der, authorities)
		if err != nil {
			return nil, fmt.Errorf("%s: list %d %w", path, len(lists)+1, err)
		}
		lists = append(lists, list)
	}
	if len(lists) > 0 {
		return lists, nil
	}
	list, err := parseList(text, authorities)
	if err != nil {
		return nil, fmt.Errorf("%s holds no list of revoked certificates (X509 CRL) in PEM, and as DER %w", path, err)
	}
	return []*List{list}, nil
}

// parseList reads a list. Its error continues the sentence that begins with the list.
func parseList(der []byte, authorities []*x509.Certificate) (*List, error) {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	for _, e := range crl.Extensions {
		if e.Critical { // RFC 5280 §5.2: such a list must not be used. It is partial in some way
			return nil, fmt.Errorf("has the critical extension %v: give a full list of the authority, not a partitioned, indirect or delta list", e.Id)
		}
	}
	if crl.NextUpdate.IsZero() {
		return nil, errors.New("does not say when the next one comes (nextUpdate, RFC 5280 §5.1.2.5)")
	}
	l := &List{crl.NextUpdate, crl, make(map[string]struct{}, len(crl.RevokedCertificateEntries))}
	for _, e := range crl.RevokedCertificateEntries {
		l.revoked[serial(e.SerialNumber)] = struct{}{}
	}
	crl.RevokedCertificateEntries = nil
	named, signed := false, false
	for _, ca := range authorities {
		named = named || l.names(ca)
		signed = signed || l.of(ca)
	}
	if named && !signed {
		return nil, errors.New("does not have the signature of the authority that it names: it was forged, or is of another key")
	}
	return l, nil
}

func serial(n *big.Int) string { return n.Text(62) }

func (l *List) names(ca *x509.Certificate) bool { return bytes.Equal(l.crl.RawIssuer, ca.RawSubject) }

// of reports whether the list is of the authority: it has its name and its signature.
func (l *List) of(ca *x509.Certificate) bool {
	return l.names(ca) && l.crl.CheckSignatureFrom(ca) == nil
}

// Errors of certificates that lists keep out.
var (
	errRevoked = errors.New("it was revoked")
	errNoList  = errors.New("there is no list of revoked certificates of the authority that issued it")
)

// checkRevoked returns why a certificate is refused by the lists of its issuer, and until when it is good for them: zero for
// ever. A certificate that must have a list is refused where there is none.
func checkRevoked(cert, issuer *x509.Certificate, lists []*List, must bool, grace time.Duration, now time.Time) (until time.Time, err error) {
	var newest *List
	for _, l := range lists {
		if !l.of(issuer) {
			continue
		}
		if _, revoked := l.revoked[serial(cert.SerialNumber)]; revoked {
			return until, errRevoked
		}
		if newest == nil || l.Until.After(newest.Until) {
			newest = l
		}
	}
	switch {
	case newest == nil && must:
		return until, errNoList
	case newest == nil:
		return until, nil
	}
	if until = newest.Until.Add(grace); !now.Before(until) {
		return until, fmt.Errorf("the list of revoked certificates of its authority is out of date since %s", newest.Until.UTC().Format(time.RFC3339))
	}
	return until, nil
}
