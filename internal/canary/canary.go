// Package canary looks through files and databases for words that must not be in them: numbers, addresses, texts, codes.
// It is for tests.
//
//	canary.go  files and databases
//	log.go     logs, and what a daemon shows
package canary

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"straks/internal/pgcluster"
)

// Search names what it finds in some octets.
type Search func(octets []byte) []string

// Found is what was found in one place.
type Found struct {
	Words []string
	Where string
}

// Files looks through all files below a folder. files is how many were
// read. A file that is deleted meanwhile counts as read.
func Files(dir string, search Search) (found []Found, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		octets, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		files++
		if words := search(octets); words != nil {
			found = append(found, Found{words, path})
		}
		return nil
	})
	return found, files, err
}

// leastID is how long an id in hexadecimal is at least: that of a trace is 32 digits, a hash has more.
const leastID = 32

// longestDigits is how many digits an id may have by chance: those of a number or a code. More, as of a word in hexadecimal, it
// has not.
const longestDigits = 10

// Find returns the first match of a pattern, or nil. What may be digits of an id is none.
func Find(octets []byte, pattern *regexp.Regexp) []byte {
	for _, m := range pattern.FindAllIndex(octets, -1) {
		if m[1]-m[0] > longestDigits || !inID(octets, m[0], m[1]) {
			return octets[m[0]:m[1]]
		}
	}
	return nil
}

// inID reports whether octets[from:to] are within an id or a hash in hexadecimal, which may have any digits.
func inID(octets []byte, from, to int) bool {
	const of = "0123456789abcdef-"
	for from > 0 && strings.IndexByte(of, octets[from-1]) >= 0 {
		from--
	}
	for to < len(octets) && strings.IndexByte(of, octets[to]) >= 0 {
		to++
	}
	return to-from >= leastID
}

// leastTables is how many tables a journal has at least: fewer are an error of the search.
const leastTables = 15

// Statistics is what a server knows of the values in those tables.
const Statistics = "pg_statistic where starelid in (select oid from pg_class where relnamespace = 'straks'::regnamespace)"

// Tables looks through all rows of a database's tables that are alive, and through the statistics of their values. size is how many octets were read.
func Tables(ctx context.Context, s *pgcluster.Server, database string, search Search) (found []Found, size int, err error) {
	names, err := s.SQLIn(ctx, database, `select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables where schemaname = 'straks' order by 1`)
	if err != nil {
		return nil, 0, err
	}
	all := strings.Split(names, "\n")
	if len(all) < leastTables {
		return nil, 0, fmt.Errorf("database %s has only the tables %q", database, all)
	}
	for _, name := range append(all, Statistics) {
		octets, err := s.SQLIn(ctx, database, "copy (select * from "+name+") to stdout (format binary)")
		if err != nil {
			return found, size, err
		}
		size += len(octets)
		if words := search([]byte(octets)); words != nil {
			found = append(found, Found{words, name})
		}
	}
	return found, size, nil
}

// leastFiles is how many files a server has at least.
const leastFiles = 100

// Server looks through all files of a server: its tables with rows that are dead, its WAL, and its log.
func Server(ctx context.Context, s *pgcluster.Server, search Search) (found []Found, err error) {
	if _, err := s.SQL(ctx, "checkpoint"); err != nil {
		return nil, err
	}
	found, files, err := Files(s.Host(), search)
	if err == nil && files < leastFiles {
		err = fmt.Errorf("server %s has only %d files", s.Name, files)
	}
	return found, err
}
