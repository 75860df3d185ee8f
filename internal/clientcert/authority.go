package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"slices"

	"straks/internal/pemfile"
)

// Authority is who vouches for certificates.
type Authority struct {
	Key          string   // of the table in the configuration; in logs
	Organisation string   // for which alone it vouches; empty: shared
	CAFiles      []string // its certificates, in PEM
	CRLFiles     []string // its lists of revoked certificates, in PEM or DER; none: it revokes nothing
}

func (a Authority) files() []string { return append(slices.Clone(a.CAFiles), a.CRLFiles...) }

// Bounds of files, in octets.
const (
	maxCAFile  = 1 << 20
	maxCRLFile = 64 << 20
)

// ReadCA returns the certificates in a PEM file, all of which must be readable.
func ReadCA(path string) ([]*x509.Certificate, error) {
	text, err := readFile(path, maxCAFile)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d can't be read: %w", path, len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return certs, nil
}

func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, pemfile.Reason(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, pemfile.Reason(err)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s has more than %d octets", path, most)
	}
	return text, nil
}

// keyID is the SHA-256 of a certificate's public key. An authority is its key: it may have several certificates.
type keyID [sha256.Size]byte

func keyOf(cert *x509.Certificate) keyID { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// authority is an Authority with what its files hold. It does not change.
type authority struct {
	Authority
	stamps []pemfile.Stamp // of the files, before they were read
	certs  []*x509.Certificate
	lists  []*List
}

func (a *authority) stampsNow() []pemfile.Stamp {
	files := a.files()
	stamps := make([]pemfile.Stamp, len(files))
	for i, path := range files {
		stamps[i] = pemfile.StampOf(path)
	}
	return stamps
}

// read reads the files of an authority.
func read(from Authority) (*authority, error) {
	a := &authority{Authority: from}
	a.stamps = a.stampsNow()
	for _, path := range a.CAFiles {
		certs, err := ReadCA(path)
		if err != nil {
			return nil, fmt.Errorf("%s.client_ca_files: %w", a.Key, err)
		}
		a.certs = append(a.certs, certs...)
	}
	for _, path := range a.CRLFiles {
		lists, err := ReadLists(path, a.certs)
		if err != nil {
			return nil, fmt.Errorf("%s.client_crl_files: %w", a.Key, err)
		}
		a.lists = append(a.lists, lists...)
	}
	return a, nil
}
