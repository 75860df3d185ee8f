package smtp

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func pemOf(t *testing.T, kind string, key any) string {
	t.Helper()
	var der []byte
	var err error
	switch kind {
	case "RSA PRIVATE KEY":
		der = x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))
	case "PRIVATE KEY":
		der, err = x509.MarshalPKCS8PrivateKey(key)
	case "PUBLIC KEY":
		der, err = x509.MarshalPKIXPublicKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParseDKIMKey(t *testing.T) {
	keys := dkimKeys(t, "example.org")
	rsaKey := keys[0].Private.(*rsa.PrivateKey)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	whole := pemOf(t, "PRIVATE KEY", rsaKey)
	for _, tt := range []struct {
		name, text string
		err        error
	}{
		{"PKCS #8, RSA", whole, nil},
		{"PKCS #8, Ed25519", pemOf(t, "PRIVATE KEY", keys[1].Private), nil},
		{"PKCS #1", pemOf(t, "RSA PRIVATE KEY", rsaKey), nil},
		{"text before it", "# for example.org\n" + whole, nil},
		{"CRLF", strings.ReplaceAll(whole, "\n", "\r\n"), nil},
		{"empty", "", errNoKey},
		{"a password", "hemlig", errNoKey},
		{"cut short", whole[:200], errNoKey},
		{"damaged", strings.Replace(whole, whole[40:60], strings.Repeat("A", 20), 1), errDamaged},
		{"wrong label", strings.ReplaceAll(pemOf(t, "RSA PRIVATE KEY", rsaKey), "RSA ", ""), errDamaged},
		{"two keys", whole + whole, errSeveral},
		{"public", pemOf(t, "PUBLIC KEY", rsaKey.Public()), errPublic},
		{"certificate", strings.ReplaceAll(whole, "PRIVATE KEY", "CERTIFICATE"), errPublic},
		{"passphrase", strings.ReplaceAll(whole, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), errEncrypted},
		{"old passphrase", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", errEncrypted},
		{"ECDSA", pemOf(t, "PRIVATE KEY", ecKey), errKeyKind},
	} {
		key, err := ParseDKIMKey([]byte(tt.text))
		if err != tt.err || (key != nil) != (err == nil) {
			t.Errorf("%s: %T, %v; want %v", tt.name, key, err, tt.err)
		}
	}
}

// TestDKIMKeyIsNotShown: neither a log nor formatted text has the private key.
func TestDKIMKeyIsNotShown(t *testing.T) {
	var log strings.Builder
	for _, k := range dkimKeys(t, "example.org") {
		log.Reset()
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "key", k)
		told := fmt.Sprint(k) + fmt.Sprintf("%v %+v %s", k, []DKIMKey{k}, &k) + log.String()
		secret := fmt.Sprint(k.Private)
		if private, ok := k.Private.(ed25519.PrivateKey); ok {
			secret = fmt.Sprint([]byte(private[:8]))
		}
		if strings.Contains(told, strings.Trim(secret, "[]&{}")) || len(told) > 400 {
			t.Errorf("shown: %s", told)
		}
		if !strings.Contains(told, k.Name()) {
			t.Errorf("%s does not name the key", told)
		}
	}
}

func TestValidSelector(t *testing.T) {
	for s, want := range map[string]bool{
		"s1": true, "2026.mail": true, "": false, "a_b": false, "a b": false, ".a": false, strings.Repeat("a", 64): false,
		strings.Repeat("long.", 45) + "x": false, "æ": false, "a;": false,
	} {
		if ValidSelector(s, "mail.example.org") != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}
