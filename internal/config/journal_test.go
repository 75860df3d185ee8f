package config

import (
	"strings"
	"testing"
)

// TestSharedJournal: what a journal in a database needs, and what it has not.
func TestSharedJournal(t *testing.T) {
	t.Parallel()
	const shared = "engine = \"postgres\"\npostgres = \"host=db dbname=straks user=straks\"\n"
	for name, c := range map[string]struct {
		journal, node string
		key, says     string // empty: it is good
	}{
		"good":               {shared, "[node]\nid = 2\nlease = \"5s\"\n", "", ""},
		"a URL":              {"engine = \"postgres\"\npostgres = \"postgres://straks@db/straks\"\n", "[node]\nid = 999\n", "", ""},
		"no id":              {shared, "", "node.id", "a number of its own"},
		"id too high":        {shared, "[node]\nid = 1000\n", "node.id", "999"},
		"short lease":        {shared, "[node]\nid = 1\nlease = \"1s\"\n", "node.lease", "between 2s and 1m"},
		"another engine":     {"engine = \"mysql\"\n", "", "journal.engine", "postgres"},
		"no database":        {"engine = \"postgres\"\n", "[node]\nid = 1\n", "journal.postgres", "is missing"},
		"no DSN":             {"engine = \"postgres\"\npostgres = \"host\"\n", "[node]\nid = 1\n", "journal.postgres", "connection string"},
		"a password":         {"engine = \"postgres\"\npostgres = \"host=db password=secret\"\n", "[node]\nid = 1\n", "journal.postgres", "password_file"},
		"a password in URL":  {"engine = \"postgres\"\npostgres = \"postgres://u:secret@db/x\"\n", "[node]\nid = 1\n", "journal.postgres", "password_file"},
		"a path too":         {shared + "path = \"/x/journal.db\"\n", "[node]\nid = 1\n", "journal.path", "in the database"},
		"a size":             {shared + "max_size = \"1GiB\"\n", "[node]\nid = 1\n", "journal.max_size", "disk"},
		"a password as key":  {shared + "password = \"x\"\n", "[node]\nid = 1\n", "journal.password", "password_file"},
		"bolt, a database":   {"path = \"/x/journal.db\"\npostgres = \"host=db\"\n", "", "journal.postgres", "path"},
		"a listener":         {shared, "[node]\nid = 1\nlisten = \"127.0.0.1:8443\"\n", "node.tls_ca_file", "is missing"},
		"no listener":        {shared, "[node]\nid = 1\nurl = \"https://10.0.0.1:8443\"\n", "node.listen", "is missing"},
		"a URL with a path":  {shared, "[node]\nid = 1\nurl = \"https://10.0.0.1:8443/x\"\n", "node.url", "https://host:port"},
		"a plain URL":        {shared, "[node]\nid = 1\nurl = \"http://10.0.0.1:8443\"\n", "node.url", "https://host:port"},
		"no port":            {shared, "[node]\nid = 1\nlisten = \"10.0.0.1\"\n", "node.listen", "not host:port"},
		"the API's address":  {shared, "[node]\nid = 1\nlisten = \"127.0.0.1:8080\"\n", "node.listen", "is that of api"},
		"no authority":       {shared, "[node]\nid = 1\ntls_ca_file = \"/nowhere/ca\"\n", "node.tls_ca_file", "can't be used"},
		"bolt, a listener":   {"path = \"/x/journal.db\"\n", "[node]\nlisten = \"127.0.0.1:8443\"\n", "node.listen", "no other node"},
		"bolt, a node":       {"path = \"/x/journal.db\"\n", "[node]\nid = 1\n", "node.id", "one node"},
		"no key there":       {shared + "key_file = \"/nowhere/absent\"\n", "[node]\nid = 1\n", "journal.key_file", "no such file"},
		"the file is absent": {shared + "password_file = \"/nowhere/absent\"\n", "[node]\nid = 1\n", "journal.password_file", "no such file"},
	} {
		head, rest, _ := strings.Cut(strings.Replace(smallest, "password_file = \"telco.password\"\n", "", 1), "[journal]\n")
		_, rest, _ = strings.Cut(rest, "\n[")
		_, _, found, err := parse(head+"[journal]\n"+c.journal+c.node+"["+rest, now, false)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := found.Error(); (c.key == "") != (len(found) == 0) || c.key != "" && (!strings.Contains(got, c.key) || !strings.Contains(got, c.says)) || strings.Contains(got, "secret") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
