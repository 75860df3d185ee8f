package daemon_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp"
	"straks/smtp/relaytest"
)

// writeKey writes a private key in PEM, and returns its file.
func writeKey(t *testing.T, dir, name string, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMailsAreSigned: by both keys of the configuration, and by the next ones when the configuration says so.
func TestMailsAreSigned(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	known := make(map[string]string)
	var stanzas []string
	for _, selector := range []string{"s1", "s2"} {
		rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		_, edKey, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []smtp.DKIMKey{{Domain: "example.org", Selector: selector, Private: rsaKey}, {Domain: "example.org", Selector: selector + "-ed25519", Private: edKey}} {
			if known[k.Name()], err = k.Record(); err != nil {
				t.Fatal(err)
			}
		}
		stanzas = append(stanzas, fmt.Sprintf("selector = %q\nrsa_key_file = %q\ned25519_key_file = %q\n",
			selector, writeKey(t, w.Dir, selector+".rsa", rsaKey), writeKey(t, w.Dir, selector+".ed25519", edKey)))
	}
	before := "[[dkim]]\ndomain = \"example.org\"\n" + stanzas[0] + "[dkim.next]\n" + stanzas[1]
	after := "[[dkim]]\ndomain = \"example.org\"\n" + stanzas[1]
	w.EditConfig("[[relay]]\n", before+"[[relay]]\n")
	w.Configure("[[organisation]]", "email_sender = \"varsel@mail.example.org\"")
	w.Start()
	send := func(key, selector string) {
		t.Helper()
		if _, err := w.Client.SendEmail(t.Context(), daemontest.Mail(key, "kari@example.com")); err != nil {
			t.Fatal(err)
		}
		mails := w.Relay.Messages()
		all, err := dkim.VerifyWithOptions(bytes.NewReader(mails[len(mails)-1].Data), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			if !strings.HasPrefix(name, selector) {
				t.Errorf("signed by %s", name)
			}
			return []string{known[name]}, nil
		}})
		if err != nil || len(all) != 2 || all[0].Err != nil || all[1].Err != nil {
			t.Errorf("%+v, %v", all, err)
		}
	}
	send("k1", "s1")
	w.Stop()
	w.EditConfig(before, after)
	w.Start()
	send("k2", "s2")
}
