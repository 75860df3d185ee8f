package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/codes"
)

// verification is a good file with a section of its own.
func verification(section string) string {
	return strings.Replace(smallest, `"telco.password"`, `""`, 1) + section
}

func TestVerification(t *testing.T) {
	dir := t.TempDir()
	keys := make(map[string]*codes.Key)
	for _, name := range []string{"new", "old"} {
		keys[name] = codes.NewKey()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(keys[name].Text()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, _, found, err := parse(verification(`
[verification]
key_file = "`+dir+`/new"
former_key_file = "`+dir+`/old"
[[verification.template]]
name = "sign"
sms = { nb = "{code} for {app}, {minutes} min", se = "{code} á" }
email = { nb = { subject = "Kode", body = "{code}" } }
`), now, false)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	c := cfg.Codes()
	if c.Keys.Active.ID() != keys["new"].ID() || c.Keys.Former.ID() != keys["old"].ID() || c.Language != "nb" || len(c.Templates) != 1 || c.Templates[0].Email["nb"].Body != "{code}" {
		t.Errorf("%+v", c)
	}
}

// TestVerificationFaults: each has its key, and all are told at once.
func TestVerificationFaults(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad"), []byte("123456"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, found, err := parse(verification(`
[verification]
key = "x"
key_file = "`+dir+`/bad"
former_key_file = "`+dir+`/none"
language = "de"
[[verification.template]]
name = "a"
sms = { de = "no placeholder", nb = "{code} {kode}", "x y" = "{code}", en = "{code} `+strings.Repeat("a", 150)+`", se = "{code} `+strings.Repeat("á", 61)+`" }
[[verification.template]]
name = "a"
email = { de = { body = "{code}", text = "" } }
[[verification.template]]
`), now, false)
	if err != nil {
		t.Fatal(err)
	}
	text := found.Error()
	for _, want := range []string{
		"verification.key does not belong here", "verification.key_file is no key of verification codes", "verification.former_key_file", "verification.language is \"de\"",
		"verification.template[0].sms.de lacks {code}", "verification.template[0].sms.nb has braces", "verification.template[0].sms.x y is not a language",
		"verification.template[0].sms.en is longer than one SMS (161 characters; 160 fit)", "verification.template[0].sms.se is longer than one SMS (72 characters; 70 fit",
		"verification.template[1].name is that of", "verification.template[1].email.de.subject is missing", "verification.template[1].email.de.text is not known",
		"verification.template[2].name is missing", "verification.template[2].sms is missing, and so is email",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "123456") {
		t.Error("a fault quotes the secret")
	}
}

// TestVerificationApp: an organisation's name that does not fit the built-in text is a fault.
func TestVerificationApp(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(codes.NewKey().Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(verification("\n[verification]\nkey_file = \""+dir+"/key\"\n"), "[[organisation]]\n", "[[organisation]]\napp = \""+strings.Repeat("A", 40)+"\"\n", 1)
	_, _, found, err := parse(text, now, false)
	if err != nil || len(found) != 1 || found[0].Key != "organisation[0].app" || !strings.Contains(found[0].Message, `in "se"`) {
		t.Errorf("%v %v", err, found)
	}
}
