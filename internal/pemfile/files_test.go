package pemfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// written writes a new certificate of that name and its key.
func written(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	replace(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// replace puts a new file in the place of another, as renewals do.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A new certificate is in use as soon as it is whole. One that can't be used changes nothing, and is reported
// once.
func TestFilesFollow(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := Open(cert, cert, key); err == nil {
		t.Error("opened without files")
	}
	written(t, cert, key, "first")
	f, err := Open(cert, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var reported []string
	f.Report = func(err error) { reported = append(reported, err.Error()) }
	name := func() string {
		roots, own := f.Current()
		if _, err := own[0].Leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
			return "an untrusted " + own[0].Leaf.Subject.CommonName
		}
		if f.Own().Leaf != own[0].Leaf {
			return "two certificates"
		}
		return own[0].Leaf.Subject.CommonName
	}
	for _, step := range []struct {
		change func()
		want   string
		faults int
	}{
		{func() {}, "first", 0},
		{func() { written(t, cert, key, "second") }, "second", 0},
		{func() { written(t, cert, filepath.Join(dir, "other.pem"), "half") }, "second", 1},
		{func() {}, "second", 1},
		{func() { os.Rename(filepath.Join(dir, "other.pem"), key) }, "half", 1},
		{func() { os.Remove(cert) }, "half", 2},
		{func() { replace(t, cert, []byte("no PEM")) }, "half", 3},
		{func() { written(t, cert, key, "last") }, "last", 3},
	} {
		step.change()
		if got := name(); got != step.want || len(reported) != step.faults {
			t.Errorf("%q is in use, want %q; reported %q", got, step.want, reported)
		}
	}
	if text := strings.Join(reported, " "); strings.Contains(text, "PRIVATE KEY") {
		t.Errorf("reported %q", text)
	}
}

func TestNoFiles(t *testing.T) {
	f, err := Open("", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if roots, own := f.Current(); roots != nil || own != nil || f.Own() != nil {
		t.Errorf("got %v, %v", roots, own)
	}
}

func TestFilesAtOnce(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	written(t, cert, key, "first")
	f, err := Open(cert, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if f.Own() == nil {
					t.Error("no certificate")
				}
			}
		})
	}
	written(t, cert, key, "second")
	wg.Wait()
}
