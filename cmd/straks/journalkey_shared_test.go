package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/pgcluster"
	"straks/orders/journaltest"
	"straks/orders/postgres"
	"straks/orders/sealed"
)

// sharedKeys is a journal in a database, and files with keys.
type sharedKeys struct {
	*testing.T
	db       *pgcluster.Cluster
	database string
	digests  string            // the statement of rows
	names    *strings.Replacer // "A", "B" and "C" for ids of keys, "$" for the folder with their files
}

// newSharedKeys makes an empty journal.
func newSharedKeys(t *testing.T, db *pgcluster.Cluster, database string) *sharedKeys {
	t.Helper()
	must(t, db.Database(t.Context(), database))
	dir := t.TempDir()
	put(t, filepath.Join(dir, "junk"), "hemmelig\n")
	names := []string{"$", dir}
	for _, name := range []string{"A", "B", "C"} {
		key := sealed.NewKey()
		put(t, filepath.Join(dir, strings.ToLower(name)), key.Text()+"\n")
		names = append(names, name, key.ID.String())
	}
	k := &sharedKeys{T: t, db: db, database: database, names: strings.NewReplacer(names...)}
	succeed(t, "init", "-config", k.config(1, ""))
	return k
}

// config writes the configuration of a node with these keys of [journal].
func (k *sharedKeys) config(node int, keys string) (path string) {
	k.Helper()
	path = sharedConfig(k.T, k.db.DSNOf(k.database))
	text, err := os.ReadFile(path)
	must(k.T, err)
	edited := strings.Replace(string(text), "[node]\nid = 1\n", fmt.Sprintf("%s\n[node]\nid = %d\n", k.names.Replace(keys), node), 1)
	must(k.T, os.WriteFile(path, []byte(edited), 0o600))
	return path
}

// open opens the journal as a node with these keys.
func (k *sharedKeys) open(node int, keys string) *postgres.Journal {
	k.Helper()
	cfg, _, err := config.Load(k.config(node, keys))
	must(k.T, err)
	opt, err := daemon.PostgresOptions(cfg)
	must(k.T, err)
	j, err := postgres.Open(k.Context(), opt)
	must(k.T, err)
	return j
}

// rows returns a digest of each table of the journal, except for that of the nodes.
func (k *sharedKeys) rows() map[string]string {
	k.Helper()
	ask := func(sql string) string {
		out, err := k.db.Primary.SQLIn(k.Context(), k.database, sql)
		must(k.T, err)
		return out
	}
	if k.digests == "" {
		k.digests = ask(`select string_agg(format('select %L, md5(string_agg(t::text, '' '' order by t::text)) from straks.%I t', tablename, tablename), ' union all ')
			from pg_tables where schemaname = 'straks' and tablename <> 'nodes'`)
	}
	all := make(map[string]string)
	for line := range strings.Lines(ask(k.digests)) {
		table, digest, _ := strings.Cut(strings.TrimSpace(line), "|")
		all[table] = digest
	}
	return all
}

// wrongKey is what a node has for keys that it must not start with.
type wrongKey struct {
	name, keys string
	says       []string // by check and serve
}

// refuses: check and serve refuse node 1 with each of these, say what to do, quote no key, and change nothing.
func (k *sharedKeys) refuses(all []wrongKey) {
	k.Helper()
	before := k.rows()
	if len(before) < 15 || before["shipments"] == "" {
		k.Fatalf("the journal is empty: %q", before)
	}
	for _, c := range all {
		path := k.config(1, c.keys)
		for _, command := range []string{"check", "serve"} {
			code, _, stderr := straks(k.T, "", command, "-config", path)
			for _, want := range append(c.says, "journal.") {
				if want = k.names.Replace(want); code != exitFailed || !strings.Contains(stderr, want) {
					k.Errorf("%s, %s: exit %d: %s; want %q", c.name, command, code, stderr, want)
				}
			}
			if strings.Contains(stderr, "hemmelig") || strings.Contains(stderr, "straks-journal-") {
				k.Errorf("%s, %s quotes the key: %s", c.name, command, stderr)
			}
		}
		if after := k.rows(); !maps.Equal(before, after) {
			k.Fatalf("%s: the journal was changed: %q, and was %q", c.name, after, before)
		}
	}
	if n, err := k.db.Primary.SQLIn(k.Context(), k.database, "select count(*) from straks.nodes where id = 1 and expires > clock_timestamp()"); n != "0" || err != nil {
		k.Errorf("a node that was refused has kept its lease: %s, %v", n, err)
	}
}

// takes: check calls node 1 with these keys right, and serve starts it.
func (k *sharedKeys) takes(keys string) {
	k.Helper()
	path := k.config(1, keys)
	succeed(k.T, "check", "-config", path)
	if err := starts(k.T, path); err != nil {
		k.Errorf("%s: %v", k.names.Replace(keys), err)
	}
}

const (
	keyA     = `key_file = "$/a"`
	keyB     = `key_file = "$/b"`
	keyC     = `key_file = "$/c"`
	formerA  = "\nformer_" + keyA
	formerB  = "\nformer_" + keyB
	noKey    = ""
	newFirst = "give each node the new key as journal.former_key_file first"
)

// TestKeysOfSharedJournal: with a key that is missing, wrong, or not that of the other nodes, check and serve refuse a journal
// in a database and say what to do. Nothing is changed: with the right key it opens, and is sound.
func TestKeysOfSharedJournal(t *testing.T) {
	t.Parallel()
	db := servers(t, pgcluster.Options{Servers: 1})
	t.Run("alone", func(t *testing.T) {
		k := newSharedKeys(t, db, "alone")
		j := k.open(1, keyA)
		journaltest.Fill(t, j)
		j.Close()
		k.refuses([]wrongKey{
			{"no key", noKey, []string{"recipients are sealed, and there is no key", "name the file of key A as journal.key_file"}},
			{"no such file", `key_file = "$/none"`, []string{"journal.key_file can't be read"}},
			{"another secret", `key_file = "$/junk"`, []string{"journal.key_file holds what is no key of a journal"}},
			{"another key", keyB, []string{"sealed with key A, and journal.key_file holds key B", "or, if the key has been replaced, as journal.former_key_file"}},
			{"two others", keyB + "\nformer_" + keyC, []string{"sealed with key A, and journal.key_file holds key B"}},
			{"the same key twice", keyA + formerA, []string{"journal.former_key_file holds the same key as key_file"}},
			{"the former key alone", "former_" + keyA, []string{"journal.former_key_file has no use without key_file: give both, or neither"}},
		})
		for _, keys := range []string{keyB, keyA + "\n", noKey} {
			code, out, stderr := straks(t, "", "journal", "check", "-config", k.config(1, keys))
			if sound := code == exitDone && strings.Contains(out, "sound"); sound != (keys != keyB) || !sound && !strings.Contains(stderr, "journal.key_file") {
				t.Errorf("journal check with %q: exit %d: %s%s", keys, code, out, stderr)
			}
			out = succeed(t, "journal", "stats", "-config", k.config(1, keys))
			if !strings.Contains(out, k.names.Replace("A")) || !regexp.MustCompile(`node 1 +dead, epoch \d`).MatchString(out) {
				t.Errorf("stats with %q: %s", keys, out)
			}
		}
		k.takes(keyA)
	})
	t.Run("beside another node", func(t *testing.T) {
		k := newSharedKeys(t, db, "beside")
		j := k.open(2, keyA)
		defer j.Close()
		journaltest.Fill(t, j)
		k.refuses([]wrongKey{
			{"no key", noKey, []string{"node 2 encrypts recipients with key A, which is not here: name its file as journal.key_file"}},
			{"another key", keyB, []string{"node 2 encrypts recipients with key A, which is not here"}},
			{"the next key too early", keyB + formerA, []string{"node 2 has not key B, which is journal.key_file here", newFirst}},
		})
		k.takes(keyA + formerB)
		k.takes(keyA)
	})
	t.Run("beside a node without a key", func(t *testing.T) {
		k := newSharedKeys(t, db, "without")
		j := k.open(2, noKey)
		journaltest.Fill(t, j)
		k.refuses([]wrongKey{{"the first key", keyA, []string{"node 2 runs without journal.key_file: stop all nodes, and then start each with the key"}}})
		j.Close()
		k.takes(noKey)
		k.takes(keyA)
	})
}
