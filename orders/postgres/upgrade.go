package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// While a step waits for its locks, all that nodes ask for next waits behind it. So an attempt waits for a short time, and
// is repeated. The long attempts are for a vacuum that the server started by itself: it makes room only for those that have waited
// longer than deadlock_timeout, 1 s.
const (
	stepAttempts = 60
	stepPause    = time.Second
	lockTime     = 200 * time.Millisecond
	longLockTime = 1500 * time.Millisecond
	longEvery    = 10
	stepTime     = 5 * time.Second // of each statement
)

var (
	// ErrSkipped reports a journal that is more than one version behind the program.
	ErrSkipped = errors.New("the journal is more than one version behind this program: upgrade it, and all nodes, to each version between first")
	// ErrOldNode reports a live node that can't use the next version.
	ErrOldNode = errors.New("runs a program that can't use the next version: replace it first")
	// errLocked reports a step that got no lock in all of its attempts.
	errLocked = errors.New("the tables are in use by others, as by a backup or a long query; nothing was changed: try again")
)

// Upgrade brings the journal of the version before to the present schema, as a whole or not at all, and reports whether
// that changed anything. Nodes of the version before may run meanwhile. It may be repeated after any error, and waits
// a minute or two at the most for locks.
func Upgrade(ctx context.Context, opt Options) (upgraded bool, err error) {
	for attempt := 1; ; attempt++ {
		lock := lockTime
		if attempt%longEvery == 0 {
			lock = longLockTime
		}
		upgraded = false
		err = locked(ctx, opt, func(tx pgx.Tx) (err error) {
			upgraded, err = step(ctx, tx, opt, lock)
			return err
		})
		switch {
		case err == nil:
			return upgraded, nil
		case !lost(err):
			return false, err
		case attempt == stepAttempts:
			return false, fmt.Errorf("%w (%w)", errLocked, err)
		}
		select {
		case <-time.After(stepPause):
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// lost reports whether a step got no lock (55P03), or a deadlock (40P01) ended it.
func lost(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "40P01")
}

// step takes the last step, if it has not been taken.
func step(ctx context.Context, tx pgx.Tx, opt Options, lock time.Duration) (taken bool, err error) {
	own := len(opt.schema())
	if _, err := version(ctx, tx); err != nil {
		return false, err
	}
	for name, limit := range map[string]time.Duration{"lock_timeout": lock, "statement_timeout": stepTime} {
		if _, err := tx.Exec(ctx, fmt.Sprintf("set local %s = %d", name, limit.Milliseconds())); err != nil {
			return false, err
		}
	}
	var v int // locked: no node takes its lease until this has ended
	if err := tx.QueryRow(ctx, "select schema from straks.meta for update").Scan(&v); err != nil {
		return false, err
	}
	switch {
	case v < 0 || v >= own:
		err := opt.usable(ctx, tx)
		return false, err
	case v < own-1:
		return false, fmt.Errorf("%w (its schema has version %d, the program's %d)", ErrSkipped, v, own)
	}
	var old int
	err = tx.QueryRow(ctx, "select id from straks.nodes where expires > clock_timestamp() and schema < $1 order by id limit 1", v).Scan(&old)
	if err == nil {
		return false, fmt.Errorf("node %d %w", old, ErrOldNode)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	if _, err := tx.Exec(ctx, opt.schema()[own-1]); err != nil {
		return false, fmt.Errorf("the step to version %d: %w", own, err)
	}
	_, err = tx.Exec(ctx, "update straks.meta set schema = $1", own)
	return err == nil, err
}
