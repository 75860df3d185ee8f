package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestAlike: each key that must be the same on all nodes changes its part and no other one; those that need not, and
// defaults that are written, change none.
func TestAlike(t *testing.T) {
	t.Parallel()
	text := strings.Replace(smallest, "password_file = \"telco.password\"\n", "", 1)
	alike := func(text string) map[string]string {
		t.Helper()
		cfg, _, found, err := parse(text, now, false)
		if err != nil || len(found) > 0 {
			t.Fatal(err, found)
		}
		return cfg.Alike()
	}
	was := alike(text)
	after := func(old, more string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in it", old)
		}
		return strings.Replace(text, old, old+more, 1)
	}
	const smsc, journal = "system_id = \"straks\"\n", "[journal]\n"
	for name, c := range map[string]struct{ text, parts string }{
		"binds":         {after(smsc, "binds = 2\n"), "smsc.telco.binds"},
		"one bind":      {after(smsc, "binds = 1\n"), ""},
		"answers":       {after(smsc, "answer_ids = \"hex\"\n"), "smsc.telco.dialect"},
		"as they are":   {after(smsc, "answer_ids = \"as-is\"\nsettle_by_recipient = true\n"), ""},
		"receipts":      {after(smsc, "receipt_ids = \"decimal\"\n"), "smsc.telco.dialect"},
		"one receipt":   {after(smsc, "one_receipt = true\n"), "smsc.telco.dialect"},
		"final":         {after(smsc, "accepted_is_final = true\n"), "smsc.telco.dialect"},
		"left":          {after(smsc, "settle_by_recipient = false\n"), "smsc.telco.dialect"},
		"errors":        {after(smsc, "errors = {001 = \"absent\"}\n"), "smsc.telco.dialect"},
		"states":        {after(smsc, "states = {GONE = \"failed\"}\n"), "smsc.telco.dialect"},
		"a window":      {after(smsc, "window = 7\n"), ""},
		"retention":     {after(journal, "retention = \"30d\"\n"), "journal.retention"},
		"an SMSC":       {text + "\n[[smsc]]\nname = \"b\"\naddr = \"b.example.org:2775\"\nsystem_id = \"b\"\n", "smsc smsc.b.binds smsc.b.dialect"},
		"a new name":    {strings.Replace(text, "name = \"telco\"", "name = \"other\"", 1), "smsc smsc.other.binds smsc.other.dialect smsc.telco.binds smsc.telco.dialect"},
		"organisations": {text + "\n[[organisation]]\nname = \"skd\"\n[[organisation.token]]\nname = \"t\"\nsha256 = \"" + strings.Repeat("0a", 32) + "\"\n", "organisation"},
	} {
		is, changed := alike(c.text), make(map[string]bool)
		for part := range is {
			changed[part] = is[part] != was[part]
		}
		for part := range was {
			changed[part] = is[part] != was[part]
		}
		maps.DeleteFunc(changed, func(_ string, yes bool) bool { return !yes })
		if got := strings.Join(slices.Sorted(maps.Keys(changed)), " "); got != c.parts {
			t.Errorf("%s: %q, want %q", name, got, c.parts)
		}
	}
}
