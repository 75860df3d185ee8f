package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"straks/smtp"
)

// example reads configs/straks.toml: as it is, and with every key uncommented.
func example(t *testing.T) (asIs, uncommented string) {
	t.Helper()
	text, err := os.ReadFile("../../configs/straks.toml")
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`(?m)^#([a-z\[])`)
	return string(text), commented.ReplaceAllString(string(text), "$1")
}

// TestExampleShowsTheDefaults: each key in a comment has its default value, so removing the
// comment changes nothing.
func TestExampleShowsTheDefaults(t *testing.T) {
	dir := dkimFiles(t)
	for name, key := range map[string]string{"s1.rsa": "rsa", "s1.ed25519": "ed", "s2.rsa": "rsa2", "s2.ed25519": "ed"} {
		if err := os.Link(filepath.Join(dir, key), filepath.Join(dir, "example.org."+name+".pem")); err != nil {
			t.Fatal(err)
		}
	}
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	if err := os.WriteFile(filepath.Join(dir, "ttd.crm.secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	var resolved []string
	for _, text := range first(example(t)) {
		cfg, _, found, err := parse(text, now, false)
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v", err, found)
		}
		resolved = append(resolved, withDefaults(t, cfg))
	}
	if resolved[0] != resolved[1] {
		t.Errorf("a commented key is not the default:\nas it is     %s\nuncommented  %s", resolved[0], resolved[1])
	}
}

func first(a, b string) []string { return []string{a, b} }

// withDefaults writes the configuration as the daemon sees it.
func withDefaults(t *testing.T, cfg *Config) string {
	t.Helper()
	relays := cfg.SMTP().WithDefaults().Relays
	seen := *cfg
	seen.Organisations = slices.Clone(cfg.Organisations)
	seen.SMSCs, seen.Routes, seen.Relays, seen.MailRoutes, seen.Prices = nil, nil, nil, nil, nil
	seen.DKIM, seen.Issuers, seen.Organisations[0].Identities, seen.Organisations[0].Webhooks, seen.Organisations[0].PrefixLimits = nil, nil, nil, nil, nil // every key of them is an example
	seen.Organisations[0].Certificates = nil                                                                                                                // likewise
	seen.Verification.Templates = nil                                                                                                                       // likewise
	seen.Console = Console{}                                                                                                                                // likewise
	text, err := json.MarshalIndent(struct {
		Config  any
		Gateway any
		Relays  []smtp.Relay
	}{seen, cfg.Gateway().WithDefaults(), relays}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range cfg.SMSCs {
		text = append(text, s.dialect.Answer.String()+s.dialect.Receipt.String()...)
	}
	return string(text)
}

// TestExampleHasEveryKey: unknown keys are found by the strict parser.
func TestExampleHasEveryKey(t *testing.T) {
	_, text := example(t)
	var top map[string]any
	if _, err := toml.Decode(text, &top); err != nil {
		t.Fatal(err)
	}
	var inFile []string
	keysIn("", top, &inFile)
	var inStructs []string
	keysOf("", reflect.TypeFor[Config](), &inStructs)
	if len(inStructs) < 80 {
		t.Fatalf("found only %d keys", len(inStructs))
	}
	for _, key := range inStructs {
		if !slices.Contains(inFile, key) {
			t.Errorf("configs/straks.toml lacks %s", key)
		}
	}
}

// keysIn lists the dotted keys of a file, array elements as one.
func keysIn(prefix string, table map[string]any, keys *[]string) {
	for name, v := range table {
		*keys = append(*keys, prefix+name)
		items, ok := asList(v)
		if !ok {
			items = []any{v}
		}
		for _, item := range items {
			if inner, ok := item.(map[string]any); ok {
				keysIn(prefix+name+".", inner, keys)
			}
		}
	}
}

// keysOf lists the dotted keys that the structs have.
func keysOf(prefix string, t reflect.Type, keys *[]string) {
	reserved := map[string]string{}
	if k, ok := reflect.New(t).Interface().(reserver); ok {
		reserved = k.reserved()
	}
	for _, f := range fieldsOf(t) {
		if reserved[f.name] != "" {
			continue
		}
		*keys = append(*keys, prefix+f.name)
		inner := t.FieldByIndex(f.index).Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if isTable(inner) {
			keysOf(prefix+f.name+".", inner, keys)
		}
	}
}

// TestExampleIsReadable: lines fit a terminal.
func TestExampleIsReadable(t *testing.T) {
	asIs, _ := example(t)
	for i, l := range strings.Split(asIs, "\n") {
		if n := len([]rune(l)); n > 100 {
			t.Errorf("line %d has %d characters", i+1, n)
		}
	}
}
