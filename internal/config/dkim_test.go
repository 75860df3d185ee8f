package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dkimFiles adds a folder of credentials with keys, of which that of 1024 bits can be read by everybody.
func dkimFiles(t *testing.T) (dir string) {
	t.Helper()
	files := map[string]string{"telco.password": "hemlig", "junk": "hunter2!Zwiebel", "small": smallKey}
	add := func(name string, key any) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	for name, bits := range map[string]int{"weak": 1024, "rsa": 2048, "rsa2": 2048} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		add(name, key)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	add("ed", key)
	dir = credentials(t, files)
	if err := os.Chmod(filepath.Join(dir, "weak"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// smallKey is an RSA key of 512 bits, which Go makes no more.
const smallKey = `-----BEGIN PRIVATE KEY-----
MIIBUwIBADANBgkqhkiG9w0BAQEFAASCAT0wggE5AgEAAkEA7R01S/JbED+or2QW
7Jcaj1UrmKKoYKnyLhb825gemoR/2LBQNEnaB4Yk+Kuv1dPubj2GaTR5GLo296c5
yPOk4QIDAQABAkBEvgsNkZ3FAC+vaZ0bylLw6whQoBegrqR/qDp2j4uPz/s6nz77
hC+K0dVvrUGmN2DpyGDCtMoZpVouXxm2MMABAiEA/FzQ08N+StWBrwFxII0N2KSx
Am8Thxn7xeeul+Ku16ECIQDwiCCtVv2j54QwGQnSLLwSibhaAWIzccM9mL0hqqDF
QQIgDV6dcZqZxj0pcawR4jeW1DNlbUuVLUMjI4jypvlLagECIHYHZnmIqVfngG8V
qkMPHo6+M88+xJBX76VnMM+3acLBAiBYU1f8e0O6LxPKz5umQWlywMRssLq3naNE
36T1r7nc3A==
-----END PRIVATE KEY-----
`

const stanza = "\n[[dkim]]\ndomain = \"Mail.Example.ORG\"\nselector = \"s1\"\n"

func TestDKIM(t *testing.T) {
	dir := dkimFiles(t)
	text := smallest + stanza + "rsa_key_file = \"rsa\"\ned25519_key_file = \"" + dir + "/ed\"\n[dkim.next]\nselector = \"s2\"\nrsa_key_file = \"rsa2\"\n"
	cfg, warnings, found, err := parse(text, now, false)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	for _, w := range warnings {
		if strings.HasPrefix(w.Key, "dkim") {
			t.Errorf("nothing to warn of: %s", w)
		}
	}
	var signing []string
	for _, k := range cfg.SigningKeys() {
		signing = append(signing, k.String())
	}
	if got, want := strings.Join(signing, "; "), "s1._domainkey.mail.example.org (rsa, 2048 bits); s1-ed25519._domainkey.mail.example.org (ed25519)"; got != want {
		t.Errorf("signs with %s, want %s", got, want)
	}
	sealed, _, found, err := parse(text, now, true)
	if err != nil || len(found) > 0 || len(sealed.SigningKeys()) > 0 {
		t.Fatalf("%v, %v, keys %v", err, found, sealed.SigningKeys())
	}
	published, err := sealed.PublishedKeys("straks.toml")
	if err != nil || len(published) != 3 || published[0].Next || published[1].Next || !published[2].Next || published[2].Selector != "s2" {
		t.Errorf("%v, %v", published, err)
	}
}

func TestDKIMFaults(t *testing.T) {
	dir := dkimFiles(t)
	for _, tt := range []struct{ lines, faults, warnings string }{
		{"[[dkim]]", `dkim[0].domain is missing
dkim[0].rsa_key_file is missing, and so is ed25519_key_file
dkim[0].selector is missing`, ""},
		{"[[dkim]]\ndomain = \"localhost\"\nselector = \"a_b\"\nrsa_key_file = \"rsa\"", `dkim[0].domain must be a domain name
dkim[0].selector must be letters`, ""},
		{stanza + "rsa_key_file = \"rsa\"" + strings.Replace(stanza, "Mail.Example.ORG", "mail.example.org", 1) + "rsa_key_file = \"rsa\"",
			`dkim[1].domain (dkim "mail.example.org") is that of dkim[0].domain already`, ""},
		{stanza + "rsa_key_file = \"ed\"\ned25519_key_file = \"rsa\"", `dkim[0].ed25519_key_file (dkim "mail.example.org") names a file with an RSA key
dkim[0].rsa_key_file (dkim "mail.example.org") names a file with an Ed25519 key`, ""},
		{stanza + "rsa_key_file = \"missing\"\ned25519_key_file = \"junk\"", `dkim[0].ed25519_key_file (dkim "mail.example.org") names a file that holds no private key
dkim[0].rsa_key_file (dkim "mail.example.org") can't be read: no such file`, ""},
		{stanza + "rsa_key_file = \"" + dir + "\"", `dkim[0].rsa_key_file (dkim "mail.example.org") names DIR, which is no file`, ""},
		{stanza + "rsa_key_file = \"rsa\"\n[dkim.next]\nselector = \"S1\"\nrsa_key_file = \"small\"",
			`dkim[0].next.rsa_key_file (dkim "mail.example.org") names a file with a key of 512 bits
dkim[0].next.selector (dkim "mail.example.org") is that of dkim[0].selector already`, ""},
		{stanza + "ed25519_key_file = \"ed\"\ned25519_selector = \"s1\"", `dkim[0].ed25519_selector (dkim "mail.example.org") is that of dkim[0].selector already`, "dkim[0].rsa_key_file"},
		{stanza + "rsa_key_file = \"rsa\"\n[dkim.next]\nrsa_key_file = \"rsa2\"", `dkim[0].next.selector (dkim "mail.example.org") is missing`, ""},
		{stanza + "rsa_key = \"hunter2!Zwiebel\"\nrsa_key_file = \"rsa\"", `dkim[0].rsa_key (dkim "mail.example.org") does not belong here`, ""},
		{stanza + "rsa_key_file = \"weak\"", "", `dkim[0].rsa_key_file (dkim "mail.example.org") names DIR/weak, which everybody on this machine can read
dkim[0].rsa_key_file (dkim "mail.example.org") names a file with a key of 1024 bits`},
		{stanza + "ed25519_key_file = \"ed\"", "", `dkim[0].rsa_key_file (dkim "mail.example.org") is missing: receivers`},
		{stanza + "rsa_key_file = \"rsa\"", "", `email.default_sender has a domain for which there is no [[dkim]]`},
	} {
		_, warnings, found, err := parse(smallest+tt.lines+"\n", now, false)
		if err != nil {
			t.Fatal(err)
		}
		told := found.Error()
		count := 0
		for want := range strings.Lines(tt.faults) {
			count++
			if !strings.Contains(told, strings.ReplaceAll(strings.TrimSpace(want), "DIR", dir)) {
				t.Errorf("%s\nlacks %s in\n%s", tt.lines, want, told)
			}
		}
		if len(found) != count {
			t.Errorf("%s\n%d faults instead of %d:\n%s", tt.lines, len(found), count, told)
		}
		var warned strings.Builder
		for _, w := range warnings {
			warned.WriteString(w.String() + "\n")
		}
		for want := range strings.Lines(tt.warnings) {
			if !strings.Contains(warned.String(), strings.ReplaceAll(strings.TrimSpace(want), "DIR", dir)) {
				t.Errorf("%s\nlacks the warning %s in\n%s", tt.lines, want, warned.String())
			}
		}
		if all := told + warned.String(); strings.Contains(all, "Zwiebel") {
			t.Errorf("quotes a secret: %s", all)
		}
	}
}

// TestDKIMWarnsOfUnsignedSenders: of default senders only, by the rule that signs (a domain above counts), and only
// where straks signs at all.
func TestDKIMWarnsOfUnsignedSenders(t *testing.T) {
	dkimFiles(t)
	for _, tt := range []struct{ domain, sender, own, warned string }{
		{"example.org", "x@example.org", "", ""},
		{"example.org", "x@varsel.Example.org", "", ""},
		{"example.org", "x@example.com", "", "email.default_sender"},
		{"varsel.example.org", "x@example.org", "", "email.default_sender"},
		{"example.org", "x@example.com", "x@example.org", ""},
		{"example.org", "x@example.com", "x@example.net", "organisation[0].email_sender"},
		{"blåbær.example", "x@blåbær.example", "", ""},
		{"", "x@example.com", "", ""},
	} {
		text := smallest + "[email]\ndefault_sender = \"" + tt.sender + "\"\n"
		if tt.own != "" {
			text = strings.Replace(text, "name = \"ttd\"", "name = \"ttd\"\nemail_sender = \""+tt.own+"\"", 1)
		}
		if tt.domain != "" {
			text += "[[dkim]]\ndomain = \"" + tt.domain + "\"\nselector = \"s1\"\nrsa_key_file = \"rsa\"\n"
		}
		_, warnings, found, err := parse(text, now, false)
		if err != nil || len(found) > 0 {
			t.Fatal(err, found)
		}
		var warned []string
		for _, w := range warnings {
			if strings.Contains(w.Message, "not signed") {
				warned = append(warned, w.Key)
			}
		}
		if got := strings.Join(warned, " "); got != tt.warned {
			t.Errorf("%+v: warned of %q", tt, got)
		}
	}
}
