package reason

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestOneLine: whatever is explained is in one line, and is still the error that it was.
func TestOneLine(t *testing.T) {
	cause := errors.New("cause")
	said := &pgconn.PgError{Code: "P0001", Message: "first\n\tsecond"}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.Join(cause, errors.New("and another")), "cause; and another"},
		{errors.Join(cause, fmt.Errorf("%w", said)), "the database says: first; second (SQLSTATE P0001)"},
		{errors.Join(cause, Explain(said)), "cause; the database says: first; second (SQLSTATE P0001)"},
		{cause, "cause"},
	} {
		got := Explain(c.err)
		if got.Error() != c.want || !errors.Is(got, cause) {
			t.Errorf("%q: %q", c.err, got)
		}
	}
	if Explain(nil) != nil {
		t.Error("nothing is explained")
	}
}
