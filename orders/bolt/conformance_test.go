package bolt

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"straks/codes"
	"straks/codes/codestest"
	"straks/orders"
	"straks/orders/journaltest"
	"straks/orders/sealed"
)

// TestMain runs more tests at a time than there are processors, unless the command line says how
// many: commits wait for the disk.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("6")
	}
	goleak.VerifyTestMain(m)
}

func TestJournal(t *testing.T) { conforms(t, func(bool) Options { return Options{} }) }

// TestSealedJournal: with a key, a journal does what one without does.
func TestSealedJournal(t *testing.T) {
	key := sealed.NewKey()
	conforms(t, func(bool) Options { return Options{Keys: sealed.Keys{Current: &key}} })
}

// TestJournalThatIsSealedLater: so does one that gets a key when it is opened again, for what was stored before.
func TestJournalThatIsSealedLater(t *testing.T) {
	key := sealed.NewKey()
	conforms(t, func(first bool) Options {
		if first {
			return Options{}
		}
		return Options{Keys: sealed.Keys{Current: &key}}
	})
}

// conforms runs the suite, with the options for the first and for each further time that a journal is opened.
func conforms(t *testing.T, options func(first bool) Options) {
	t.Parallel()
	var open sync.Map // by folder
	journaltest.Run(t, journaltest.Engine{
		Open: func(t *testing.T, dir string) orders.Journal {
			path := filepath.Join(dir, "journal.db")
			_, err := os.Stat(path)
			first := errors.Is(err, fs.ErrNotExist)
			if first {
				if err := Create(path, Options{}); err != nil {
					t.Fatal(err)
				}
			}
			opt := options(first)
			opt.StallAfter = time.Hour // no disk is too slow
			j, err := Open(path, opt)
			if err != nil {
				t.Fatal(err)
			}
			open.Store(dir, j)
			return j
		},
		Second: func(t *testing.T, dir string) orders.Journal {
			j, _ := open.Load(dir)
			return &handle{j.(*Journal)}
		},
		Check: func(j orders.Journal) error {
			if h, ok := j.(*handle); ok {
				j = h.Journal
			}
			return j.(*Journal).Check(context.Background())
		},
	})
}

// handle is a journal's second handle: the file can be open once only.
type handle struct{ *Journal }

func (*handle) Close() error { return nil }

// TestCodes: the journal keeps verifications.
func TestCodes(t *testing.T) {
	t.Parallel()
	codestest.Run(t, codestest.Engine{
		Open: func(t *testing.T, dir string) codes.Store {
			path := filepath.Join(dir, "journal.db")
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				if err := Create(path, Options{}); err != nil {
					t.Fatal(err)
				}
			}
			j, err := Open(path, Options{StallAfter: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			return j
		},
		Close: func(t *testing.T, s codes.Store) {
			j := s.(*Journal)
			if err := errors.Join(j.Check(context.Background()), j.Close()); err != nil {
				t.Error(err)
			}
		},
	})
}
