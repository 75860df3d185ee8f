package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/internal/faults"
)

// certificate writes name.crt and name.key, which go together, to dir. The certificate is valid for
// 30 days.
func certificate(t *testing.T, dir, name string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-30 * day), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The check finds certificates with which the daemon would not start or peers would not
// talk to it.
func TestCertificates(t *testing.T) {
	dir := credentials(t, map[string]string{"telco.password": "hemlig", "junk": "junk"})
	certificate(t, dir, "good", now.Add(14*day))
	certificate(t, dir, "other", now.Add(14*day))
	certificate(t, dir, "open", now.Add(14*day))
	certificate(t, dir, "old", now.Add(-time.Hour))
	certificate(t, dir, "ending", now.Add(14*day-time.Hour))
	certificate(t, dir, "early", now.Add(30*day+time.Hour))
	if err := os.Chmod(filepath.Join(dir, "open.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	api := func(cert, key string) string {
		return strings.Replace(smallest, "[api]", "[api]\ntls_cert_file = \""+dir+"/"+cert+"\"\ntls_key_file = \""+dir+"/"+key+"\"", 1)
	}
	smsc := func(lines string) string {
		return strings.Replace(smallest, "[[relay]]", "[smsc.tls]\nmode = \"on\"\n"+strings.ReplaceAll(lines, "DIR", dir)+"\n[[relay]]", 1)
	}
	for _, tt := range []struct{ text, fault, warning, message string }{
		{api("good.crt", "good.key"), "", "", ""},
		{api("good.crt", "other.key"), "api.tls_cert_file", "", "does not match"},
		{api("junk", "good.key"), "api.tls_cert_file", "", "PEM"},
		{api("old.crt", "old.key"), "", "api.tls_cert_file", "expired on 2026-02-04T11:00:00Z"},
		{api("ending.crt", "ending.key"), "", "api.tls_cert_file", "expires on 2026-02-18T11:00:00Z"},
		{api("early.crt", "early.key"), "", "api.tls_cert_file", "not valid before 2026-02-04T13:00:00Z"},
		{api("open.crt", "open.key"), "", "api.tls_key_file", "everybody on this machine"},
		{smsc(`ca_file = "DIR/good.crt"`), "", "", ""},
		{smsc(`ca_file = "DIR/junk"`), "smsc[0].tls.ca_file", "", "no certificate in PEM"},
		{smsc("cert_file = \"DIR/good.crt\"\nkey_file = \"DIR/other.key\""), "smsc[0].tls.cert_file", "", "does not match"},
		{smsc("cert_file = \"DIR/ending.crt\"\nkey_file = \"DIR/ending.key\""), "", "smsc[0].tls.cert_file", "expires on "},
	} {
		_, warnings, found, err := parse(tt.text, now, false)
		has := func(all []faults.Fault, key string) bool {
			return slices.ContainsFunc(all, func(f faults.Fault) bool { return f.Key == key && strings.Contains(f.Message, tt.message) })
		}
		if tt.warning == "" && slices.ContainsFunc(warnings, func(f faults.Fault) bool { return strings.Contains(f.Message, "certificate") }) {
			t.Errorf("nothing to warn of: %v", warnings)
		}
		if err != nil || (tt.fault == "") != (len(found) == 0) || tt.fault != "" && !has(found, tt.fault) || tt.warning != "" && !has(warnings, tt.warning) {
			t.Errorf("want %s%s … %s, got %v, %v, %v", tt.fault, tt.warning, tt.message, found, warnings, err)
		}
	}
}
