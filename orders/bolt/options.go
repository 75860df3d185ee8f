package bolt

import (
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"

	"straks/orders"
	"straks/orders/sealed"
)

// Options of a journal. Zero values have the defaults named.
type Options struct {
	MaxSize   int64 // octets in use at which orders are refused; 0: no limit. Facts about stored orders are still taken
	MapSize   int   // octets of address space for the file, no memory; 64 GiB. Growing beyond it costs a pause
	MaxParked int   // receipts of a carrier that wait for their answer; 100,000. Beyond it that carrier's oldest is dropped
	// MaxParkedOctets is the same for the octets of their records: 32 MiB.
	MaxParkedOctets int64
	MaxSuppressions int // mail addresses that are suppressed or were lately; 1,000,000. Beyond it no more are suppressed
	Queue           int // orders that wait for the writer, orders.DefaultQueue; and four times as many facts. Beyond it: orders.ErrBusy
	MaxBatch        int // calls in one transaction; 512
	// StallAfter is how long a transaction may take; orders.DefaultStallAfter. From then on calls that write are refused, and the
	// journal is not ready until one was faster.
	StallAfter time.Duration

	// Keys seal recipients, and the hashes by which they are looked up. Once a journal is sealed it needs them: Open fails
	// without. A ReadOnly without keys leaves recipients out.
	Keys sealed.Keys

	FeedStart uint64 // of Create only: the number above which the numbers of each feed begin, MaxFeedStart at most; 0

	// Progress is called often by Migrate, and by Check of a ReadOnly: with how many records are done, and about
	// how many there are. nil: not, and Check does not count them first.
	Progress func(done, total int64)

	Carriers   []string              // of SMS, whose parked receipts have a metric also while there are none
	Log        *slog.Logger          // slog.Default()
	Registerer prometheus.Registerer // nil: metrics are kept, but not exported

	// What tests put between the journal and its file.
	openFile    func(string, int, os.FileMode) (*os.File, error)
	commit      func(*bbolt.Tx) error
	probe       time.Duration // first interval between attempts after a failure
	migrateStep int           // records that one transaction of a migration moves
}

// MaxFeedStart bounds a feed start. Above it there is room for as many numbers again that a JSON reader with
// floating-point numbers holds exactly (RFC 8259 §6: up to 2^53 - 1).
const MaxFeedStart = 1 << 52

const (
	defaultMapSize         = 64 << 30
	defaultMaxParked       = 100_000
	defaultMaxParkedOctets = 32 << 20
	defaultMaxSuppressions = 1_000_000
	defaultMaxBatch        = 512
	defaultProbe           = 250 * time.Millisecond
)

func (o Options) withDefaults() Options {
	if o.MapSize == 0 {
		o.MapSize = defaultMapSize
	}
	if o.MaxParked == 0 {
		o.MaxParked = defaultMaxParked
	}
	if o.MaxParkedOctets == 0 {
		o.MaxParkedOctets = defaultMaxParkedOctets
	}
	if o.MaxSuppressions == 0 {
		o.MaxSuppressions = defaultMaxSuppressions
	}
	if o.Queue == 0 {
		o.Queue = orders.DefaultQueue
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = defaultMaxBatch
	}
	if o.StallAfter == 0 {
		o.StallAfter = orders.DefaultStallAfter
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.openFile == nil {
		o.openFile = os.OpenFile
	}
	if o.commit == nil {
		o.commit = (*bbolt.Tx).Commit
	}
	if o.probe == 0 {
		o.probe = defaultProbe
	}
	if o.migrateStep == 0 {
		o.migrateStep = migrateStep
	}
	return o
}
