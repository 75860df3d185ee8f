package postgres

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"straks/codes"
	"straks/codes/codestest"
	"straks/internal/pgcluster"
	"straks/orders"
	"straks/orders/journaltest"
	"straks/orders/sealed"
)

// server is the PostgreSQL server that the tests share.
var server struct {
	sync.Once
	cluster   *pgcluster.Cluster
	err       error
	databases atomic.Int64
}

// suite runs the tests, and then ends the server.
type suite struct{ *testing.M }

func (s suite) Run() int {
	code := s.M.Run()
	if server.cluster != nil {
		_ = server.cluster.Close()
	}
	return code
}

// TestMain runs more tests at a time than there are processors, unless the command line says how many: commits
// wait for the disk.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("6")
	}
	goleak.VerifyTestMain(suite{m})
}

// database makes a database, and returns its DSN.
func database(t testing.TB) string {
	t.Helper()
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	server.Do(func() {
		server.cluster, server.err = pgcluster.Start(context.Background(), pgcluster.Options{Servers: 1, Settings: map[string]string{"max_connections": "400"}})
	})
	if server.err != nil {
		t.Fatal(server.err)
	}
	name := fmt.Sprintf("test%d", server.databases.Add(1))
	conn, err := pgx.Connect(context.Background(), server.cluster.DSN())
	if err == nil {
		_, err = conn.Exec(context.Background(), "create database "+name)
		closeConn(conn)
	}
	if err != nil {
		t.Fatal(err)
	}
	return server.cluster.DSNOf(name)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// made makes a journal, and returns how it is opened by tests whose clock stands still. Its leases outlast a test: no node is
// declared dead because the machine is slow.
func made(t testing.TB) Options {
	t.Helper()
	opt := Options{DSN: database(t), callersTime: true, Readers: 2, Lease: time.Hour}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	return opt
}

func open(t testing.TB, opt Options) *Journal {
	t.Helper()
	j, err := Open(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// openIn opens the journal that stands for a suite's folder, and makes it the first time. then is what it is opened with
// the next time.
func openIn(t *testing.T, stores *sync.Map, dir string, first, then sealed.Keys) *Journal {
	t.Helper()
	opt, ok := stores.Load(dir)
	if !ok {
		o := made(t)
		o.Keys = first
		opt = o
	}
	o := opt.(Options)
	j := open(t, o)
	o.Keys = then
	stores.Store(dir, o)
	return j
}

func TestJournal(t *testing.T) { conforms(t, sealed.Keys{}, sealed.Keys{}) }

// TestSealedJournal: with a key, a journal does what one without does.
func TestSealedJournal(t *testing.T) {
	keys := newKeys()
	conforms(t, keys, keys)
}

// TestJournalThatIsSealedLater: so does one that gets a key when it is opened again, for what was stored before.
func TestJournalThatIsSealedLater(t *testing.T) { conforms(t, sealed.Keys{}, newKeys()) }

func newKeys() sealed.Keys {
	key := sealed.NewKey()
	return sealed.Keys{Current: &key}
}

// conforms runs the suite, with the keys for the first and for each further time that a journal is opened.
func conforms(t *testing.T, first, then sealed.Keys) {
	t.Parallel()
	var stores sync.Map // by folder
	journaltest.Run(t, journaltest.Engine{
		Open: func(t *testing.T, dir string) orders.Journal { return openIn(t, &stores, dir, first, then) },
		Second: func(t *testing.T, dir string) orders.Journal {
			opt, _ := stores.Load(dir)
			second := opt.(Options)
			second.Node, second.Keys = 2, first
			return open(t, second)
		},
	})
}

func TestVerifications(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by folder
	codestest.Run(t, codestest.Engine{
		Open: func(t *testing.T, dir string) codes.Store {
			return openIn(t, &stores, dir, sealed.Keys{}, sealed.Keys{})
		},
		Close: func(t *testing.T, s codes.Store) { _ = s.(*Journal).Close() },
	})
}
