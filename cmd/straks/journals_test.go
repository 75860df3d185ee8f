package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"straks/internal/canary"
	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// journalKind is a kind of journal that an operator may have.
type journalKind struct {
	name   string
	db     *pgcluster.Cluster // nil: it is a file
	sealed bool
}

// kindsOfJournal are all of them, those in a database in one server.
func kindsOfJournal(t *testing.T) []journalKind {
	t.Helper()
	kinds := []journalKind{{name: "file"}, {name: "sealed_file", sealed: true}}
	if err := pgcluster.Available(); err != nil {
		t.Logf("without a database: %v", err)
		return kinds
	}
	db := servers(t, pgcluster.Options{Servers: 1})
	for _, k := range []journalKind{{"database", db, false}, {"sealed_database", db, true}} {
		if err := db.Database(t.Context(), k.name); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, k)
	}
	return kinds
}

// world returns a world with an empty journal of the kind. Its daemon does not run yet.
func (k journalKind) world(t *testing.T, smsc smsctest.Profile, relay relaytest.Profile) *daemontest.World {
	t.Helper()
	w := daemontest.NewStopped(t, smsc, relay, "")
	if k.db != nil {
		w.ShareJournal(k.db.DSNOf(k.name), "id = 1\nlease = \"5s\"")
		if err := daemon.CreateJournal(w.Config(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if k.sealed {
		w.SealJournal()
	}
	return w
}

// analyze has a database learn which values its columns have, as autovacuum does now and then.
func (k journalKind) analyze(t *testing.T) {
	t.Helper()
	if k.db == nil {
		return
	}
	if _, err := k.db.Primary.SQLIn(t.Context(), k.name, "analyze"); err != nil {
		t.Fatal(err)
	}
}

// holds returns which of the words, in whatever letter case, the journal has, by where they are. Free pages and dead rows do
// not count. No daemon runs.
func (k journalKind) holds(t *testing.T, w *daemontest.World, words ...string) map[string]string {
	t.Helper()
	where := make(map[string]string)
	search := func(octets []byte) (all []string) {
		octets = bytes.ToLower(octets)
		for _, word := range words {
			if bytes.Contains(octets, []byte(strings.ToLower(word))) {
				all = append(all, word)
			}
		}
		return all
	}
	if k.db == nil {
		succeed(t, "journal", "compact", "-config", w.ConfigFile())
		text, err := os.ReadFile(w.JournalFile())
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range search(text) {
			where[word] = "the file"
		}
		return where
	}
	found, size, err := canary.Tables(t.Context(), k.db.Primary, k.name, search)
	if err != nil || size < 2000 {
		t.Fatalf("%d octets were searched, %v", size, err)
	}
	for _, f := range found {
		for _, word := range f.Words {
			where[word] += f.Where + " "
		}
	}
	return where
}
