package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/orders/sealed"
)

// withJournal is a configuration with these lines in its section of the journal.
func withJournal(lines string) string {
	return strings.Replace(withMail(""), "[mail]\n", "[journal]\n"+lines, 1)
}

// TestJournalKeys: both keys are read, from paths and credentials; without secrets they are not.
func TestJournalKeys(t *testing.T) {
	active, former := sealed.NewKey(), sealed.NewKey()
	dir := credentials(t, map[string]string{"journal.key": active.Text() + "\n", "former": former.Text()})
	text := withJournal("key_file = \"journal.key\"\nformer_key_file = \"" + filepath.Join(dir, "former") + "\"\n")
	text = strings.Replace(text, "journal.path =", "#", 1) + "path = \"/var/lib/straks/journal.db\"\n"
	cfg, warnings, found, err := parse(text, now, false)
	if err != nil || len(found) > 0 {
		t.Fatalf("%v %v", err, found)
	}
	keys := cfg.Journal.Keys()
	if keys.Current == nil || !keys.Current.Equal(active) || keys.Former == nil || !keys.Former.Equal(former) {
		t.Errorf("keys %v, warnings %v", keys, warnings)
	}
	shared := strings.Replace(text, "path = \"/var/lib/straks/journal.db\"", "engine = \"postgres\"\npostgres = \"host=db\"\n[node]\nid = 1", 1)
	if cfg, _, found, err := parse(shared, now, false); err != nil || len(found) > 0 || cfg.Journal.Keys().Current == nil {
		t.Errorf("in a database: %v %v", err, found)
	}
	cfg, _, found, err = parse(text, now, true)
	if err != nil || len(found) > 0 || cfg.Journal.Keys() != (sealed.Keys{}) {
		t.Errorf("without secrets: %v %v %v", err, found, cfg.Journal.Keys())
	}
}

// TestJournalKeyFaults: each fault has its key, and none quotes what a file holds.
func TestJournalKeyFaults(t *testing.T) {
	key := sealed.NewKey()
	dir := credentials(t, map[string]string{"key": key.Text(), "same": key.Text() + "\n", "short": key.Text()[:40], "other": "whsec_hemmelig"})
	if err := os.Chmod(filepath.Join(dir, "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[string]string{
		`key_file = "absent"`: "journal.key_file can't be read",
		`key_file = "short"`:  "journal.key_file holds what is no key of a journal",
		`key_file = "other"`:  `"straks journal key" makes one`,
		`key_file = "key"` + "\n" + `former_key_file = "same"`: "journal.former_key_file holds the same key as key_file",
		`former_key_file = "key"`:                              "journal.former_key_file has no use without key_file",
		`key = "` + key.Text() + `"`:                           "journal.key does not belong here",
	} {
		text := strings.Replace(withJournal(lines+"\n"), "journal.path =", "#", 1) + "path = \"/var/lib/straks/journal.db\"\n"
		_, _, found, err := parse(text, now, false)
		if err != nil || len(found) != 1 || !strings.Contains(fmt.Sprint(found[0]), want) {
			t.Errorf("%s: %v %v", lines, err, found)
		}
		for _, f := range found {
			if strings.Contains(fmt.Sprint(f), key.Text()[15:40]) || strings.Contains(fmt.Sprint(f), "hemmelig") {
				t.Errorf("%s: the fault quotes the file: %v", lines, f)
			}
		}
	}
}
