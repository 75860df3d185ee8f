package pgcluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// leastVersion is the oldest version of PostgreSQL that straks takes.
const leastVersion = 15

// programs are those that this package runs.
var programs = []string{"postgres", "initdb", "pg_basebackup", "psql"}

// folders are where distributions put versions of PostgreSQL that they don't put into the path.
var folders = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"}

// ErrMissing reports that PostgreSQL's programs are not installed, or can't run.
var ErrMissing = errors.New("no PostgreSQL of version 15 or later that could be started here")

// Available returns nil where servers can be started, and otherwise ErrMissing with the reason.
func Available() error {
	if _, err := binaries(); err != nil {
		return err
	}
	_, err := serverUser()
	return err
}

// binaries returns the folder with the programs of the newest version.
func binaries() (string, error) {
	var found []string
	for _, pattern := range folders {
		matches, _ := filepath.Glob(pattern) // the patterns are right
		found = append(found, matches...)
	}
	slices.SortFunc(found, func(a, b string) int { return numberIn(b) - numberIn(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			found = append(found, filepath.Dir(path))
		}
	}
	lacking := "initdb is not in the path"
	for _, dir := range found {
		if lacking = lacks(dir); lacking == "" {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%w: %s (on Debian: apt-get install postgresql)", ErrMissing, lacking)
}

// lacks returns what a folder lacks, empty for nothing.
func lacks(dir string) string {
	for _, name := range programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return filepath.Join(dir, name) + " is not there"
		}
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return fmt.Sprintf("%s does not run: %v", filepath.Join(dir, "postgres"), err)
	}
	if numberIn(string(out)) < leastVersion {
		return strings.TrimSpace(string(out)) + " is too old"
	}
	return ""
}

// numberIn returns the first number in a text, 0 where there is none.
func numberIn(s string) int {
	digits := func(r rune) bool { return r >= '0' && r <= '9' }
	start := strings.IndexFunc(s, digits)
	if start < 0 {
		return 0
	}
	s = s[start:]
	if end := strings.IndexFunc(s, func(r rune) bool { return !digits(r) }); end >= 0 {
		s = s[:end]
	}
	n, _ := strconv.Atoi(s) // of digits only
	return n
}
