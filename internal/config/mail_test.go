package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"straks/smtp/returnpath"
)

// keyFiles writes two keys of return paths, and a file that is none.
func keyFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"active": (returnpath.Key{ID: 1, Secret: []byte(strings.Repeat("a", 32))}).Text() + "\n",
		"former": (returnpath.Key{ID: 2, Secret: []byte(strings.Repeat("b", 32))}).Text(),
		"none":   "1.hemmelig\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// withMail is a configuration with a relay and the section.
func withMail(section string) string {
	return "api.listen = \"127.0.0.1:8080\"\nmetrics.listen = \"127.0.0.1:9090\"\njournal.path = \"/var/lib/straks/journal.db\"\n" +
		"email.default_sender = \"x@example.org\"\norganisation = [{name = \"ttd\"}]\nrelay = [{name = \"mx\", addr = \"10.0.0.6:25\"}]\n[mail]\n" + section
}

// Each mail has a return path that both keys' owners can read, and the former key's remains valid.
func TestReturnPathKeys(t *testing.T) {
	dir := keyFiles(t)
	cfg, _, found, err := parse(withMail("bounce_domain = \"Retur.Example.org\"\nreturn_path_key_file = \""+dir+"/active\"\n"+
		"former_return_path_key_file = \""+dir+"/former\"\n"), now, false)
	if err != nil || len(found) > 0 {
		t.Fatalf("%v %v", err, found)
	}
	id := uuid.New()
	paths := cfg.Mail.Paths()
	if got, err := paths.Keys.Parse(paths.Keys.Local(id)); err != nil || got != id || paths.Domain != "retur.example.org" {
		t.Errorf("%v %v in %s", got, err, paths.Domain)
	}
	former, err := returnpath.NewKeys(returnpath.Key{ID: 2, Secret: []byte(strings.Repeat("b", 32))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := paths.Keys.Parse(former.Local(id)); err != nil || got != id {
		t.Errorf("former: %v %v", got, err)
	}
}

func TestMailFaults(t *testing.T) {
	dir := keyFiles(t)
	const domain = "bounce_domain = \"retur.example.org\"\n"
	for _, test := range []struct{ section, key, want string }{
		{domain, "mail.return_path_key_file", "straks mail key retur.example.org"},
		{"bounce_domain = \"retur\"\n", "mail.bounce_domain", "must be a domain name"},
		{"return_path_key_file = \"" + dir + "/active\"\n", "mail.return_path_key_file", "without bounce_domain"},
		{domain + "return_path_key_file = \"" + dir + "/none\"\n", "mail.return_path_key_file", "is no key of a return path"},
		{domain + "return_path_key_file = \"" + dir + "/absent\"\n", "mail.return_path_key_file", "can't be read"},
		{domain + "return_path_key_file = \"" + dir + "/active\"\nformer_return_path_key_file = \"" + dir + "/active\"\n", "mail.former_return_path_key_file", "the same id"},
		{domain + "return_path_key_file = \"" + dir + "/active\"\nreturn_path = \"x@example.org\"\n", "mail.return_path", "exclude each other"},
		{"return_path = \"x\"\n", "mail.return_path", "name@domain"},
		{"return_path_key = \"1.hemmelig\"\n", "mail.return_path_key", "file of its own"},
	} {
		_, _, found, err := parse(withMail(test.section), now, false)
		text := found.Error()
		if err != nil || !strings.Contains(text, test.key) || !strings.Contains(text, test.want) || strings.Contains(text, "hemmelig") {
			t.Errorf("%s: %v\n%s", test.section, err, text)
		}
	}
}

// An operator learns that nobody reports failures.
func TestNullSenderWarning(t *testing.T) {
	for section, want := range map[string]bool{"": true, "return_path = \"x@example.org\"\n": false} {
		_, warnings, found, err := parse(withMail(section), now, false)
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v", err, found)
		}
		warned := false
		for _, w := range warnings {
			warned = warned || w.Key == "mail.bounce_domain"
		}
		if warned != want {
			t.Errorf("%q: warnings %v", section, warnings)
		}
	}
}

func TestDSNHasGone(t *testing.T) {
	_, _, found, err := parse(strings.Replace(withMail(""), "addr =", "dsn = true, addr =", 1), now, false)
	if err != nil || !strings.Contains(found.Error(), "relay[0].dsn") || !strings.Contains(found.Error(), "no_dsn") {
		t.Errorf("%v %v", err, found)
	}
}

// Where reports come back, relays are asked for them.
func TestReportsComeBack(t *testing.T) {
	dir := keyFiles(t)
	domain := "bounce_domain = \"retur.example.org\"\nreturn_path_key_file = \"" + dir + "/active\"\n"
	for section, want := range map[string]bool{
		domain: false,
		domain + "listen = \":2525\"\npostmaster = \"x@example.org\"\n":  true,
		domain + "lmtp = \"/run/straks/lmtp.sock\"\n":                    true,
		"return_path = \"x@example.org\"\n":                              false,
		"return_path = \"x@example.org\"\nlmtp = \"/run/straks/lmtp\"\n": true,
	} {
		cfg, _, found, err := parse(withMail(section), now, false)
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v", err, found)
		}
		if got := cfg.Mail.Paths().ComeBack; got != want {
			t.Errorf("%s: %v", section, got)
		}
	}
}

func TestListenerFaults(t *testing.T) {
	dir := keyFiles(t)
	domain := "bounce_domain = \"retur.example.org\"\nreturn_path_key_file = \"" + dir + "/active\"\n"
	for _, test := range []struct{ section, key, want string }{
		{"listen = \":25\"\n", "mail.listen", "no use without bounce_domain"},
		{"lmtp = \"/run/x\"\n", "mail.lmtp", "no use without"},
		{domain + "lmtp = \"x\"\n", "mail.lmtp", "absolute"},
		{domain + "listen = \"25\"\n", "mail.listen", "host:port"},
		{domain + "listen = \"127.0.0.1:8080\"\n", "mail.listen", "each listener must have its own"},
		{domain + "listen = \":25\"\npostmaster = \"ops@retur.example.org\"\n", "mail.postmaster", "would come back"},
		{domain + "listen = \":25\"\ntls_cert_file = \"" + dir + "/active\"\n", "mail.tls_key_file", "go together"},
		{domain + "max_mail = \"1KiB\"\n", "mail.max_mail", "between"},
		{domain + "max_memory = \"1MiB\"\n", "mail.max_memory", "twice max_mail"},
		{domain + "lmtp = \"/run/x\"\nlmtp_mode = \"0066\"\n", "mail.lmtp_mode", "owner"},
	} {
		_, _, found, err := parse(withMail(test.section), now, false)
		if text := found.Error(); err != nil || !strings.Contains(text, test.key) || !strings.Contains(text, test.want) {
			t.Errorf("%s: %v\n%s", test.section, err, text)
		}
	}
}
