package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/internal/faults"
)

// smallest has the required keys only.
const smallest = `
[api]
listen = "127.0.0.1:8080"
[metrics]
listen = "127.0.0.1:9090"
[journal]
path = "/var/lib/straks/journal.db"
[[organisation]]
name = "ttd"
[[organisation.token]]
name = "backend"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
[[smsc]]
name = "telco"
addr = "10.0.0.5:2775"
system_id = "straks"
password_file = "telco.password"
[[relay]]
name = "mx"
addr = "10.0.0.6:25"
`

// now is the time at which the tests' files are read.
var now = time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)

// credentials makes a folder of credentials with the given files.
func credentials(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	return dir
}

func TestSmallest(t *testing.T) {
	dir := credentials(t, map[string]string{"telco.password": "hemlig\n"})
	byPath := strings.Replace(smallest, `"telco.password"`, `"`+filepath.Join(dir, "telco.password")+`"`, 1)
	for name, text := range map[string]string{"credential": smallest, "path": byPath} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "straks.toml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, _, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.SMSCs[0].Password != "hemlig" {
				t.Errorf("password is %q", cfg.SMSCs[0].Password)
			}
			if cfg.API.SendDeadline != 5*time.Second || cfg.Journal.Retention != 90*24*time.Hour || cfg.SMS.DefaultSender != "straks" {
				t.Errorf("defaults: %+v", cfg)
			}
			if cfg.Organisations[0].Tokens[0].SHA256[1] != 0x23 {
				t.Errorf("digest is %v", cfg.Organisations[0].Tokens[0].SHA256)
			}
		})
	}
}

// TestReadme: the configuration in the README is valid.
func TestReadme(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	text = strings.NewReplacer("…64 hex digits…", strings.Repeat("0f", 32), "/etc/straks/telco.password", "telco.password").Replace(text)
	cfg, _, found, err := parse(text, now, false)
	if err != nil || len(found) > 0 || len(cfg.SMSCs) != 1 || len(cfg.Relays) != 1 {
		t.Errorf("%v %v", found, err)
	}
}

// TestFaults puts each fault alone into a valid configuration.
func TestFaults(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig", "empty": "\n", "long": strings.Repeat("x", 5000),
		"marked": "\ufeffhemlig\n", "wide": "\xff\xfeh\x00\n\x00", "two": "hemlig\r\nnot\r\n", "second": "\nhemlig"})
	for _, tt := range []struct{ old, replacement, key, message string }{
		{`[api]`, "[api]\nlisen = 1", "api.lisen", `did you mean "listen"?`},
		{`[api]`, "[api]\nunheard_of = 1", "api.unheard_of", "known are: auth_failure_burst, "},
		{`[api]`, "[aip]", "aip", `did you mean "api"?`},
		{`listen = "127.0.0.1:8080"`, `listen = 8080`, "api.listen", "is an integer, must be a string"},
		{`listen = "127.0.0.1:8080"`, ``, "api.listen", "is missing"},
		{`listen = "127.0.0.1:8080"`, `listen = "8080"`, "api.listen", "not host:port"},
		{`listen = "127.0.0.1:9090"`, `listen = "127.0.0.1:8080"`, "metrics.listen", "is that of api"},
		{`[api]`, "[api]\nsend_deadline = 5", "api.send_deadline", `write a duration with its unit`},
		{`[api]`, "[api]\nsend_deadline = \"5 s\"", "api.send_deadline", "not a duration"},
		{`[api]`, "[api]\nsend_deadline = \"1h\"", "api.send_deadline", "between 100ms and 1m0s"},
		{`[api]`, "[api]\nbase_path = \"x/\"", "api.base_path", "starts with '/'"},
		{`[api]`, "[api]\ntls_cert_file = \"/nonexistent\"", "api.tls_cert_file", "can't be read"},
		{`[journal]`, "[journal]\nmax_size = \"5 elephants\"", "journal.max_size", "not a size"},
		{`[journal]`, "[journal]\nfeed_final_only = true", "journal.feed_final_only", "has gone"},
		{`[journal]`, "[journal]\nretention = \"1d\"", "journal.retention", "is 1d, must be between 3d and 3650d"},
		{`name = "ttd"`, ``, "organisation[0].name", "is missing"},
		{`name = "ttd"`, `name = "tt/d"`, "organisation[0].name", "letters, digits"},
		{`sha256 = "0123`, "scopes = [\"write\"]\nsha256 = \"0123", "organisation[0].token[0].scopes[0]", `must be one of "create", "read", "support"`},
		{`sha256 = "0123`, "scopes = []\nsha256 = \"0123", "organisation[0].token[0].scopes", "may do nothing"},
		{`sha256 = "0123`, `sha256 = "xy`, "organisation[0].token[0].sha256", "64 hexadecimal digits"},
		{`[[organisation.token]]`, "[[organisation]]\nname = \"ttd\"\n[[organisation.token]]", "organisation[1].name", `is that of organisation[0].name already`},
		{`[[organisation.token]]`, "inbound_numbers = [\"+4759440000\", \"004759440000\"]\n[[organisation.token]]", "organisation[0].inbound_numbers[1]", "already"},
		{`[[organisation.token]]`, "inbound_numbers = [\"2077\", \"+47 5944\"]\n[[organisation.token]]", "organisation[0].inbound_numbers[1]", "must be digits"},
		{`[[organisation.token]]`, "rate = inf\n[[organisation.token]]", "organisation[0].rate", "1000000 at most"},
		{`[[organisation.token]]`, "rate = nan\n[[organisation.token]]", "organisation[0].rate", "1000000 at most"},
		{`[[organisation.token]]`, "rate = 1e7\n[[organisation.token]]", "organisation[0].rate", "1000000 at most"},
		{`[[organisation.token]]`, "burst = 5\n[[organisation.token]]", "organisation[0].rate", "both are positive"},
		{`[[organisation.token]]`, "[organisation.token]", "organisation[0].token", "[[organisation.token]], with two brackets"},
		{`[[relay]]`, "tls = true\n[[relay]]", "smsc[0].tls", "as a table, [smsc.tls]"},
		{`[[relay]]`, "errors = 13\n[[relay]]", "smsc[0].errors", "as a table, [smsc.errors]"},
		{`[[smsc]]`, "[[organisation.token]]\nname = \"other\"\nsha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n[[smsc]]",
			"organisation[0].token[1].sha256", "is that of organisation[0].token[0].sha256"},
		{`[[smsc]]`, "expires = \"2027-01-31\"\n[[smsc]]", "organisation[0].token[0].expires", "without quotes"},
		{`[[smsc]]`, "expires = 2027-01-31T00:00:00\n[[smsc]]", "organisation[0].token[0].expires", "no time zone"},
		{`"telco.password"`, `"absent"`, "smsc[0].password_file", "no such file"},
		{`"telco.password"`, `"empty"`, "smsc[0].password_file", "is empty"},
		{`"telco.password"`, `"long"`, "smsc[0].password_file", "at most 4096 octets"},
		{`"telco.password"`, `"marked"`, "smsc[0].password_file", "byte order mark: save it without one"},
		{`"telco.password"`, `"wide"`, "smsc[0].password_file", "byte order mark"},
		{`"telco.password"`, `"two"`, "smsc[0].password_file", "has several lines"},
		{`"telco.password"`, `"second"`, "smsc[0].password_file", "has several lines"},
		{`name = "mx"`, "name = \"mx\"\nusername = \"u\"\npassword_file = \"marked\"", "relay[0].password_file", "byte order mark"},
		{`password_file`, `password`, "smsc[0].password", "password_file"},
		{`system_id = "straks"`, ``, "smsc[0].system_id", "is missing"},
		{`name = "mx"`, "name = \"mx\"\nusername = \"u\"", "relay[0].password_file", "go together"},
		{`name = "mx"`, "name = \"mx\"\npassword = \"u\"", "relay[0].password", "password_file"},
		{`name = "mx"`, "name = \"mx\"\ntls = \"yes\"", "relay[0].tls", "opportunistic"},
		{`addr = "10.0.0.6:25"`, "addr = \"10.0.0.6:25\"\nsettle_after = \"49h\"", "relay[0].settle_after", "48h"},
		{`addr = "10.0.0.6:25"`, "addr = \"10.0.0.6:25\"\nsettle_after = \"0s\"", "relay[0].settle_after", "1m"},
		{`addr = "10.0.0.6:25"`, "addr = \"10.0.0.6:25\"\nno_report = \"failed\"", "relay[0].no_report", "failed_ttl"},
		{`[[relay]]`, "receipt_ids = \"octal\"\n[[relay]]", "smsc[0].receipt_ids", "decimal"},
		{`[[relay]]`, "[smsc.errors]\n13 = \"busy\"\n[[relay]]", "smsc[0].errors.13", "unknown-subscriber"},
		{`[[relay]]`, "[smsc.errors]\n13 = \"busy\"\n\"1 3\" = \"barred\"\n[[relay]]", "smsc[0].errors.1 3", "letters, digits"},
		{`[[relay]]`, "[smsc.errors]\n13 = \"barred\"\n013 = \"absent\"\n[[relay]]", "smsc[0].errors.13", `is the same code as "013"`},
		{`[[relay]]`, "[smsc.states]\n0 = \"sent\"\n[[relay]]", "smsc[0].states.0", "invalid_recipient"},
		{`[[relay]]`, "[smsc.states]\nDND_REJECTED = \"rejected\"\ndnd-rejected = \"failed\"\n[[relay]]", "smsc[0].states.dnd-rejected", `is the same state as "DND_REJECTED"`},
		{`[[relay]]`, "[smsc.states]\n\"stat:0\" = \"delivered\"\n[[relay]]", "smsc[0].states.stat:0", "one word or number"},
		{`[[relay]]`, "[smsc.status]\nESME_RBAR = \"failed\"\nESME_RFOO = \"failed\"\n[[relay]]", "smsc[0].status.ESME_RFOO", "neither a status"},
		{`[[relay]]`, "[smsc.status]\nesme_rok = \"failed\"\n[[relay]]", "smsc[0].status.esme_rok", "is success"},
		{`[[relay]]`, "[smsc.tls]\nmode = \"on\"\nca_file = \"/nonexistent\"\n[[relay]]", "smsc[0].tls.ca_file", "no such file"},
		{`[[relay]]`, "[smsc.address.short_code]\nton = 9\nnpi = 1\n[[relay]]", "smsc[0].address.short_code.ton", "between 0 and 6"},
		{`[[relay]]`, "window = 0\n[[relay]]", "smsc[0].window", "stands for the default, 32"},
		{`[[relay]]`, "min_rest = \"0s\"\n[[relay]]", "smsc[0].min_rest", "stands for the default, 1s"},
		{`name = "mx"`, "name = \"mx\"\nkeep_alive = \"0s\"", "relay[0].keep_alive", "stands for the default, 30s"},
		{`[[relay]]`, "[sms]\ndrain_time = \"0s\"\n[[relay]]", "sms.drain_time", "between 1ms"},
		{`[api]`, "[sms]\nstop_words = [\"STOP\", \" \"]\n[api]", "sms.stop_words[1]", "is blank"},
		{`[api]`, "[sms]\nstop_words = [\" start\"]\n[api]", "sms.stop_words[0]", "among start_words"},
		{`[[relay]]`, "data_coding = 300\n[[relay]]", "smsc[0].data_coding", "255"},
		{`[[relay]]`, "[[route]]\nsmscs = [\"telco\", \"other\"]\n[[relay]]", "route[0].smscs[1]", "no smsc has that name"},
		{`[[relay]]`, "[[route]]\nsmscs = [\"telco\"]\norganisations = [\"tdd\"]\n[[relay]]", "route[0].organisations[0]", "no organisation has that name"},
		{`[[relay]]`, "[[route]]\nname = \"no\"\nsmscs = [\"telco\"]\n[[route]]\nname = \"no\"\nsmscs = [\"telco\"]\n[[relay]]",
			"route[1].name", "is that of route[0].name already"},
		{`[[relay]]`, "[[route]]\nsmscs = [1]\n[[relay]]", "route[0].smscs[0]", "must be a string"},
		{`[api]`, "[sms]\ndrain_time = \"1h\"\n[api]", "sms.drain_time", "5m"},
		{`addr = "10.0.0.6:25"`, `addr = ":25"`, "relay[0].addr", "host"},
		{`name = "mx"`, "name = \"mx\"\naddr = \"10.0.0.7:25\"\n[[relay]]\nname = \"mx\"", "relay[1].name", "relay[0]"},
	} {
		text := strings.Replace(smallest, tt.old, tt.replacement, 1)
		_, _, found, err := parse(text, now, false)
		if err != nil {
			t.Errorf("%s: %v", tt.replacement, err)
		}
		if !slices.ContainsFunc(found, func(f faults.Fault) bool { return f.Key == tt.key && strings.Contains(f.Message, tt.message) }) {
			t.Errorf("%s: want %s … %s, got %v", tt.replacement, tt.key, tt.message, found)
		}
	}
}

// TestAllAtOnce: a fault in one place hides none in another.
func TestAllAtOnce(t *testing.T) {
	credentials(t, nil)
	_, _, found, err := parse(`
[api]
listen = 1
colour = "red"
[admin]
listen = "nowhere"
[organisation]
name = "ttd"
[[smsc]]
addr = "nowhere"
password_file = "absent"
`, now, false)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, f := range found {
		keys = append(keys, f.Key)
	}
	for _, want := range []string{"admin.listen", "api.colour", "api.listen", "journal.path", "organisation",
		"smsc[0].addr", "smsc[0].name", "smsc[0].password_file", "smsc[0].system_id"} {
		if !slices.Contains(keys, want) {
			t.Errorf("%s is not among %q", want, keys)
		}
	}
	if !slices.IsSorted(keys) {
		t.Errorf("the faults are in no order: %q", keys)
	}
}

func TestWarnings(t *testing.T) {
	dir := credentials(t, map[string]string{"telco.password": "hemlig", "open": "hemlig", "long": "et svært langt passord"})
	if err := os.Chmod(filepath.Join(dir, "open"), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, replacement, key, message string }{
		{`[[smsc]]`, "expires = 2026-02-01\n[[smsc]]", "organisation[0].token[0].expires", "has passed"},
		{`[[smsc]]`, "expires = 2026-02-17\n[[smsc]]", "organisation[0].token[0].expires", "is soon"},
		{`127.0.0.1:9090`, "0.0.0.0:9090", "metrics.listen", "no authentication"},
		{`[[organisation.token]]`, "[[organisation]]\nname=\"x\"\n[[organisation.token]]", "organisation[0].token", "there is none"},
		{`"telco.password"`, `"open"`, "smsc[0].password_file", "everybody on this machine"},
		{`"telco.password"`, `"long"`, "smsc[0].password_file", "SMPP 3.4 has 8"},
		{``, ``, "email.default_sender", "is not set"},
		{``, ``, "sms.default_sender", "is not set"},
	} {
		_, warnings, found, err := parse(strings.Replace(smallest, tt.old, tt.replacement, 1), now, false)
		if err != nil || len(found) > 0 {
			t.Errorf("%s: %v %v", tt.replacement, found, err)
		}
		if !slices.ContainsFunc(warnings, func(f faults.Fault) bool { return f.Key == tt.key && strings.Contains(f.Message, tt.message) }) {
			t.Errorf("%s: want %s … %s, got %v", tt.replacement, tt.key, tt.message, warnings)
		}
	}
}

// TestPassword: only the line ends at the end are not part of a password.
func TestPassword(t *testing.T) {
	for text, want := range map[string]string{"hemlig": "hemlig", "hemlig\n": "hemlig", "hemlig\r\n": "hemlig", "hemlig\n\n": "hemlig", " hem\tlig ": " hem\tlig "} {
		if got, err := ParsePassword([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestSyntaxErrorHasItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"[api]\nlisten = \n":            "line 2, column 10: expected value",
		"[api]\nlisten = \"127.0.0.1\\": "line 2, column 20: ",
		"\"a\\":                         "line 1, column 3: ",
		"[api]\nlisten = 1\nlisten = 2": "line 3, column 1: ",
		"[api]\n\n[api]\n":              "line 3, column 2: ",
	} {
		_, _, _, err := parse(text, now, false)
		if got := fmt.Sprint(err); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s; want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(smallest)
	f.Add("[api]\nlisten = [1, {x = 2}]\n[[smsc]]\nname = {}\n[smsc.y]")
	f.Add("\"a\\") // ends too early, in the first line
	f.Fuzz(func(_ *testing.T, text string) {
		parse(text, now, false)
	})
}

// TestSealed: without reading secrets, none is missing.
func TestSealed(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	text := smallest + "username = \"u\"\npassword_file = \"absent\"\nclient_cert = \"absent.pem\"\nclient_key = \"absent\"\n"
	if _, _, found, err := parse(text, now, true); err != nil || len(found) > 0 {
		t.Errorf("sealed: %v %v", found, err)
	}
	if _, _, found, _ := parse(text, now, false); len(found) < 3 {
		t.Errorf("not sealed: only %v", found)
	}
}
