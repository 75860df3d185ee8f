package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/limits"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/postgres"
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

// openJournal opens the configuration's journal. A file of an older schema is migrated first; a database is not, since
// other nodes may run. Those learn what tell has.
func openJournal(ctx context.Context, cfg *config.Config, tell toOthers, log *slog.Logger, reg prometheus.Registerer) (engine, error) {
	if cfg.Journal.Shared() {
		return openShared(ctx, cfg, tell, log, reg)
	}
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

func openShared(ctx context.Context, cfg *config.Config, tell toOthers, log *slog.Logger, reg prometheus.Registerer) (engine, error) {
	options, err := postgresOptions(cfg, log, reg)
	if err != nil {
		return nil, err
	}
	options.Up, options.Alike, options.Binds = tell.up, tell.alike, tell.binds
	j, err := postgres.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return postgresEngine{j}, nil
}

// CreateJournal creates the configuration's journal, in which the numbers of each feed begin above feedStart.
// It fails where there is one.
func CreateJournal(cfg *config.Config, feedStart uint64) error {
	if cfg.Journal.Shared() {
		options, err := postgresOptions(cfg, slog.Default(), nil)
		if err != nil {
			return err
		}
		options.FeedStart = feedStart
		return postgres.Create(context.Background(), options)
	}
	options := boltOptions(cfg, slog.Default(), nil)
	options.FeedStart = feedStart
	return bolt.Create(cfg.Journal.Path, options)
}

// postgresEngine is the journal in a database.
type postgresEngine struct{ *postgres.Journal }

func (e postgresEngine) Levels() any { return e.Journal.Levels() }

// Damaged returns a channel on which nothing comes: what can't go on is found out again and again.
func (postgresEngine) Damaged() <-chan error { return nil }

// UpgradeJournal brings a journal in a database to the present schema, and reports whether that changed anything.
func UpgradeJournal(ctx context.Context, cfg *config.Config) (bool, error) {
	options, err := postgresOptions(cfg, slog.Default(), nil)
	if err != nil {
		return false, err
	}
	return postgres.Upgrade(ctx, options)
}

// PostgresOptions returns how the configuration's database is reached, for operators' commands.
func PostgresOptions(cfg *config.Config) (postgres.Options, error) {
	return postgresOptions(cfg, slog.Default(), nil)
}

func postgresOptions(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) (postgres.Options, error) {
	j := &cfg.Journal
	password, err := j.Password()
	program, _, _ := Version()
	return postgres.Options{DSN: j.Postgres, Password: password, Node: cfg.Node.ID, URL: cfg.Node.URL, Version: program, Lease: cfg.Node.Lease,
		Queue: j.MaxQueue, Carriers: reporting(cfg), Keys: j.Keys(), Log: log, Registerer: reg}, err
}

func boltOptions(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) bolt.Options {
	return bolt.Options{MaxSize: int64(cfg.Journal.MaxSize), Queue: cfg.Journal.MaxQueue, StallAfter: cfg.Journal.StallAfter,
		Carriers: reporting(cfg), Keys: cfg.Journal.Keys(), Log: log, Registerer: reg}
}

// reporting returns whose reports may wait in the journal.
func reporting(cfg *config.Config) []string {
	var carriers []string
	for _, s := range cfg.SMSCs {
		carriers = append(carriers, s.Name)
	}
	if len(cfg.Relays) > 0 {
		carriers = append(carriers, orders.MailReports)
	}
	return carriers
}
