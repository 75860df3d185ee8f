// Package reason says in one line why a database refused or could not be reached, and what to do about it.
package reason

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// advice is what to do about an error of the server, by its SQLSTATE (PostgreSQL, appendix A).
var advice = map[string]string{
	"28P01": "check the user in journal.postgres, and journal.password_file",
	"28000": "check the user in journal.postgres, and pg_hba.conf of the server",
	"3D000": "check dbname in journal.postgres, or make the database as docs/cluster.md shows",
	"42501": "the user in journal.postgres must own the database: see docs/cluster.md",
	"53300": "raise max_connections of the server: straks doctor says how many sessions a node takes",
	"25006": "the server is a standby: name all servers in journal.postgres, with target_session_attrs=read-write",
	"57P03": "the server is starting or stopping: try again",
}

// Of returns why, in one line. It has no password.
func Of(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		text := fmt.Sprintf("%s (SQLSTATE %s)", Line(said.Message), said.Code)
		if do := advice[said.Code]; do != "" {
			text += ": " + do
		}
		return text
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) && connect.Unwrap() != nil {
		err = connect.Unwrap()
	}
	return Line(err.Error())
}

// Line returns a text in one line. A line that is there twice is left out: one for each address that was tried, with TLS
// and without.
func Line(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// failure is an error with its reason in place of its text.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// Explain returns an error of the database with its reason as text, and any other one as it is, but in one line.
func Explain(err error) error {
	var connect *pgconn.ConnectError
	var said *pgconn.PgError
	var done *failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &done):
	case errors.As(err, &connect):
		return &failure{"the database can't be reached: " + Of(err), err}
	case errors.As(err, &said):
		return &failure{"the database says: " + Of(err), err}
	}
	if strings.Contains(err.Error(), "\n") {
		return &failure{Line(err.Error()), err}
	}
	return err
}
