package bolt

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"straks/orders"
	"straks/orders/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJournal(t *testing.T) {
	journaltest.Run(t, journaltest.Engine{
		Open: func(t *testing.T, dir string) orders.Journal {
			path := filepath.Join(dir, "journal.db")
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				if err := Create(path, Options{}); err != nil {
					t.Fatal(err)
				}
			}
			j, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return j
		},
		Check: func(j orders.Journal) error { return j.(*Journal).Check(context.Background()) },
	})
}
