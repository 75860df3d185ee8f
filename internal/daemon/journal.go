package daemon

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/limits"
	"straks/orders"
	"straks/orders/bolt"
)

// engine is what the daemon needs of a journal beyond orders.Journal. An engine
// may also be a backuper.
type engine interface {
	orders.Journal
	orders.Cursors
	limits.History

	// Ready returns nil when an order could be stored now, else the reason why not.
	Ready() error

	// Damaged returns the channel that receives an error when the journal can't go on: the
	// process must end with it.
	Damaged() <-chan error

	// Levels returns sizes and counts for /status, as JSON has them. It reads nothing
	// from disk.
	Levels() any
}

// backuper is an engine that can make a consistent copy of itself while it is in use.
type backuper interface {
	// Copy makes the copy; progress is called with the octets that are copied, and their number.
	Copy(ctx context.Context, progress func(done, all int64)) (*bolt.Copy, error)
}

// boltEngine is the journal in one file.
type boltEngine struct{ *bolt.Journal }

func (e boltEngine) Levels() any { return e.Journal.Levels() }

// openJournal opens the configuration's journal. One of an older schema is
// migrated first.
func openJournal(ctx context.Context, cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) (engine, error) {
	path, options := cfg.Journal.Path, boltOptions(cfg, log, reg)
	j, err := bolt.Open(path, options)
	if errors.Is(err, bolt.ErrOutdated) {
		if err = bolt.Migrate(ctx, path, boltOptions(cfg, log, nil)); err == nil {
			j, err = bolt.Open(path, options)
		}
	}
	if err != nil {
		return nil, err
	}
	return boltEngine{j}, nil
}

// CreateJournal creates the configuration's journal, in which the numbers of each feed begin above feedStart.
// It fails where there is one.
func CreateJournal(cfg *config.Config, feedStart uint64) error {
	options := boltOptions(cfg, slog.Default(), nil)
	options.FeedStart = feedStart
	return bolt.Create(cfg.Journal.Path, options)
}

func boltOptions(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) bolt.Options {
	var carriers []string
	for _, s := range cfg.SMSCs {
		carriers = append(carriers, s.Name)
	}
	if len(cfg.Relays) > 0 {
		carriers = append(carriers, orders.MailReports)
	}
	return bolt.Options{MaxSize: int64(cfg.Journal.MaxSize), Queue: cfg.Journal.MaxQueue, Carriers: carriers, Log: log, Registerer: reg}
}
