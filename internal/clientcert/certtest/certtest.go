// Package certtest is a certificate authority for tests of client certificates.
package certtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is an authority.
type CA struct {
	Cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	chain [][]byte // of an authority below another, which its clients send along
}

// New returns an authority that signs itself.
func New(name string) *CA {
	ca := &CA{key: newKey()}
	ca.Cert = sign(caForm(name), nil, ca.key, ca.key)
	return ca
}

// Below returns an authority that the authority has signed.
func (ca *CA) Below(name string) *CA {
	below := &CA{key: newKey()}
	below.Cert = sign(caForm(name), ca.Cert, below.key, ca.key)
	below.chain = append([][]byte{below.Cert.Raw}, ca.chain...)
	return below
}

// Cross returns the authority with a certificate that another has signed for the same key.
func (ca *CA) Cross(by *CA) *CA {
	crossed := &CA{key: ca.key, Cert: sign(caForm(ca.Cert.Subject.CommonName), by.Cert, ca.key, by.key)}
	crossed.chain = [][]byte{crossed.Cert.Raw}
	return crossed
}

// Client returns a client of the authority that signs as if it were one.
func (ca *CA) Client(name string) *CA {
	client := &CA{key: newKey()}
	client.Cert = sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true}, ca.Cert, client.key, ca.key)
	client.chain = [][]byte{client.Cert.Raw}
	return client
}

// Self returns the certificate of the authority, to be revoked.
func (ca *CA) Self() tls.Certificate { return tls.Certificate{Leaf: ca.Cert} }

func caForm(name string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
}

// Issue returns a certificate for a client, with the name and with changes.
func (ca *CA) Issue(name string, changes ...func(*x509.Certificate)) tls.Certificate {
	form := &x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, change := range changes {
		change(form)
	}
	key := newKey()
	leaf := sign(form, ca.Cert, key, ca.key)
	return tls.Certificate{Certificate: append([][]byte{leaf.Raw}, ca.chain...), PrivateKey: key, Leaf: leaf}
}

// CRL returns a list in DER that is out of date at a time and revokes certificates.
func (ca *CA) CRL(until time.Time, revoked ...tls.Certificate) []byte {
	return ca.list(&x509.RevocationList{NextUpdate: until}, revoked)
}

// PartialCRL returns a list that says that it is not the whole (RFC 5280 §5.2.5).
func (ca *CA) PartialCRL() []byte {
	return ca.list(&x509.RevocationList{NextUpdate: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0x03, 0x81, 0x01, 0xff}}}}, nil)
}

func (ca *CA) list(form *x509.RevocationList, revoked []tls.Certificate) []byte {
	form.Number, form.ThisUpdate = serial(), form.NextUpdate.Add(-time.Hour)
	for _, c := range revoked {
		form.RevokedCertificateEntries = append(form.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: form.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, form, ca.Cert, ca.key)
	if err != nil {
		panic(err)
	}
	return der
}

// serial returns a number that no other certificate has.
func serial() *big.Int { return new(big.Int).SetBytes([]byte(rand.Text()[:16])) }

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// sign fills in what the form lacks, and signs it; without an issuer, by itself.
func sign(form, issuer *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	if form.SerialNumber == nil {
		form.SerialNumber = serial()
	}
	if form.NotAfter.IsZero() {
		form.NotBefore, form.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	if issuer == nil {
		issuer = form
	}
	der, err := x509.CreateCertificate(rand.Reader, form, issuer, &key.PublicKey, by)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// PEM returns blocks of a type.
func PEM(kind string, blocks ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range blocks {
		if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// File writes the certificates of authorities into a new file, and returns its path.
func File(t testing.TB, authorities ...*CA) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	Replace(t, path, Certificates(authorities...))
	return path
}

// Certificates returns the certificates of authorities in PEM.
func Certificates(authorities ...*CA) (text []byte) {
	for _, ca := range authorities {
		text = append(text, PEM("CERTIFICATE", ca.Cert.Raw)...)
	}
	return text
}

// Replace puts a file in the place of another in one step, as renewals do.
func Replace(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// Files writes a certificate and its key into new files, and returns their paths.
func Files(t testing.TB, c tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	Replace(t, certFile, PEM("CERTIFICATE", c.Certificate...))
	Replace(t, keyFile, PEM("PRIVATE KEY", key))
	return certFile, keyFile
}

// Node is the change of a certificate that makes it one for a server on this machine and for a client.
func Node(form *x509.Certificate) {
	form.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	form.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}
