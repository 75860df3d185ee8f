package postgres

import (
	"errors"
	"log/slog"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"straks/orders"
	"straks/orders/sealed"
)

// Options of a journal. Zero values have the defaults named.
type Options struct {
	DSN      string // as libpq has it: "host=a,b dbname=straks target_session_attrs=read-write"
	Password string // of the database's user; empty: what a pgpass file says, or a certificate

	Node    int                      // 1 to 999, unlike any other node's; 1
	URL     string                   // where other nodes reach this one; empty: nowhere
	Version string                   // of the program, for operators
	Up      func() []string          // the SMSCs and relays that this node can send over now, for the others; nil: none. Must not block
	Alike   func() map[string]string // a hash of each part of the configuration that must be the same on all nodes; nil: none. Must not block
	Binds   func() map[string]int    // how many binds each SMSC's account has, for a metric; nil: none. Must not block
	Lease   time.Duration            // how long other nodes wait for one that does not renew its lease; 8 s

	MaxParked       int   // receipts of a carrier that wait for their answer; 100,000
	MaxParkedOctets int64 // the same for the octets of their records; 32 MiB
	MaxSuppressions int   // mail addresses that are suppressed or were lately; 1,000,000
	Queue           int   // orders that wait for their writer, orders.DefaultQueue; and four times as many facts. Beyond it: orders.ErrBusy
	MaxBatch        int   // calls in one transaction; 512
	Readers         int   // connections for reading; 8

	Keys sealed.Keys // of recipients; none: they are in the clear. A journal that has had keys needs them

	FeedStart uint64 // of Create only: the number above which the numbers of each feed begin

	Carriers   []string              // of SMS, whose parked receipts have a metric also while there are none
	Log        *slog.Logger          // slog.Default()
	Registerer prometheus.Registerer // nil: metrics are kept, but not exported

	// callersTime: the times of calls have nothing to do with the database's, as in tests whose clock stands still.
	callersTime bool
	// steps are those of another version of the schema, as in tests of programs of two versions; nil: this one's.
	steps []string
}

const (
	maxNode = 999

	defaultLease           = 8 * time.Second
	defaultMaxParked       = 100_000
	defaultMaxParkedOctets = 32 << 20
	defaultMaxSuppressions = 1_000_000
	defaultMaxBatch        = 512
	defaultReaders         = 8

	connectTime = 2 * time.Second  // with one address, unless the DSN has connect_timeout; without TLS, where the DSN has both tried, is another one
	writeTime   = 30 * time.Second // of one write: nobody cancels it before
)

func orDefault[T comparable](v *T, or T) {
	var zero T
	if *v == zero {
		*v = or
	}
}

func (o Options) withDefaults() Options {
	orDefault(&o.Node, 1)
	orDefault(&o.Lease, defaultLease)
	orDefault(&o.MaxParked, defaultMaxParked)
	orDefault(&o.MaxParkedOctets, defaultMaxParkedOctets)
	orDefault(&o.MaxSuppressions, defaultMaxSuppressions)
	orDefault(&o.Queue, orders.DefaultQueue)
	orDefault(&o.MaxBatch, defaultMaxBatch)
	orDefault(&o.Readers, defaultReaders)
	orDefault(&o.Log, slog.Default())
	return o
}

var passwordIn = regexp.MustCompile(`(?i)(\bpassword\s*=|^postgres(ql)?://[^/@]*:[^/@]*@)`)

// CheckDSN returns what is wrong with a DSN. The error has nothing of the DSN, which may hold a password.
func CheckDSN(dsn string) error {
	if passwordIn.MatchString(dsn) {
		return errors.New("must not hold the password: put it in a file of its own and name that file as password_file")
	}
	if _, err := pgx.ParseConfig(dsn); err != nil {
		return errors.New("is no connection string of PostgreSQL, like \"host=10.0.0.5 dbname=straks user=straks\"")
	}
	return nil
}

// session are the settings that each session has. A plan is made once, for any values; one that was made while a
// table was empty must stay good, so it may use indexes only. (A scan of a small table then seems to cost so much that
// it would be compiled first: jit.)
var session = map[string]string{
	"application_name": "straks", "search_path": "straks", "synchronous_commit": "on", "timezone": "UTC",
	"default_transaction_isolation": "read committed", "plan_cache_mode": "force_generic_plan",
	"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off",
	"idle_in_transaction_session_timeout": "10s", "tcp_user_timeout": "5s", "statement_timeout": "0", "lock_timeout": "0",
}

// ConnConfig returns how the journal connects.
func ConnConfig(o Options) (*pgx.ConnConfig, error) { return o.withDefaults().config() }

// Sessions returns how many sessions a node takes at the most: for reading, for its two writers, the lease, the
// barrier, and calls beside them.
func Sessions(o Options) int { return o.withDefaults().Readers + 4 + maxBeside }

// config returns how connections are made.
func (o Options) config() (*pgx.ConnConfig, error) {
	if err := CheckDSN(o.DSN); err != nil {
		return nil, err
	}
	cfg, err := pgx.ParseConfig(o.DSN)
	if err != nil {
		return nil, err
	}
	if o.Password != "" {
		cfg.Password = o.Password
	}
	for name, value := range session {
		cfg.RuntimeParams[name] = value
	}
	if cfg.ConnectTimeout == 0 || cfg.ConnectTimeout >= 2*time.Minute { // not said: pgx has two minutes then
		cfg.ConnectTimeout = connectTime
	}
	return cfg, nil
}
