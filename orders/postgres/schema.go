package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// schemaVersion is the present version of the schema. While nodes of version N run, those of N+1 join them: a step
// adds, and what it makes needless is dropped by the step after the next. So a program opens its own version and the
// next one.
const schemaVersion = 1

// lockKey is that of the advisory lock under which the schema is made and changed.
const lockKey = 0x73747261_6b73 // "straks"

// tables is the schema of version 1. Names and references come from outside: they may have octets that text takes
// not, so they are in records or hashed.
const tables = `
create schema if not exists straks;
set local search_path = straks;
create table meta (
	one boolean primary key default true check (one),
	id uuid not null, schema int not null, feed_start bigint not null);
create table keys (hash bytea primary key, shipment uuid not null);
create table shipments (
	id uuid primary key, key bytea not null, node int not null, epoch bigint not null, organisation text not null,
	status smallint not null, deadline timestamptz not null, claim_until timestamptz, block bytea, record bytea not null
) partition by range (id);
create index on shipments (deadline);
create table refs (
	hash bytea primary key, bound uuid, bound_part int not null, before uuid, before_part int not null,
	parked uuid, at timestamptz not null);
create index on refs (at);
create table parked (
	id uuid primary key, carrier text not null, at timestamptz not null, number text, octets int not null,
	refs bytea[] not null, record bytea not null);
create index on parked (carrier, at);
create index on parked (number) where number is not null;
create table feed (
	organisation text, seq bigint, shipment uuid, status smallint not null, at timestamptz not null,
	primary key (organisation, seq, shipment)
) partition by range (shipment);
create table feed_head (organisation text primary key, seq bigint not null) with (fillfactor = 50);
create table blocked (hash bytea primary key, gone timestamptz, suppression boolean not null, record bytea not null);
create index on blocked (gone) where gone is not null;
create table unanswered (number text, shipment uuid, until timestamptz not null, primary key (number, shipment));
create index on unanswered (until);
create table cursors (organisation text, name text, record bytea not null, primary key (organisation, name));
create table codes (kind smallint, key bytea, due timestamptz not null, record bytea not null, primary key (kind, key));
create index on codes (kind, due, key);
create table code_feed (organisation text, seq bigint, at timestamptz not null, entry bytea not null, primary key (organisation, seq));
create index on code_feed (at);
create table code_head (organisation text primary key, seq bigint not null) with (fillfactor = 50);
create table nodes (
	id int primary key, holder uuid not null, epoch bigint not null, expires timestamptz not null,
	url text not null, version text not null, up text[] not null default '{}',
	started timestamptz not null, config jsonb not null) with (fillfactor = 50);
create table slots (smsc text, n int, node int, epoch bigint, last int, primary key (smsc, n));
create table slot_users (smsc text, node int, epoch bigint not null, primary key (smsc, node));
create table fence (node int primary key, n bigint not null) with (fillfactor = 50);
create table kept (one boolean primary key default true check (one), mark timestamptz not null, low timestamptz);
insert into kept values (true, '1970-01-01T00:00:00Z');`

var (
	// ErrMissing reports a database without a journal.
	ErrMissing = errors.New("the database has no journal: \"straks init\" makes one")
	// ErrExists reports a database that has one already.
	ErrExists = errors.New("the database has a journal already")
	// ErrOutdated reports a journal of an older schema.
	ErrOutdated = errors.New("the journal is of an older version: \"straks upgrade\" brings it to this one")
	// ErrNewer reports a journal of a schema that this program does not know.
	ErrNewer = errors.New("the journal is of a newer version than this program")
)

// Create makes a journal in the database, as a whole or not at all.
func Create(ctx context.Context, opt Options) error {
	return locked(ctx, opt, func(tx pgx.Tx) error {
		if v, err := version(ctx, tx); err == nil {
			return exists(v)
		} else if !errors.Is(err, ErrMissing) {
			return err
		}
		return create(ctx, tx, schemaVersion, opt.FeedStart)
	})
}

// exists is the error of a database that has a journal already.
func exists(v int) error {
	if v == moving {
		return fmt.Errorf("%w: %w", ErrExists, ErrMoving)
	}
	return fmt.Errorf("%w, of schema version %d", ErrExists, v)
}

// create makes the schema.
func create(ctx context.Context, tx pgx.Tx, version int, feedStart uint64) error {
	if _, err := tx.Exec(ctx, tables); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "insert into straks.meta (id, schema, feed_start) values ($1, $2, $3)", [16]byte(uuid.New()), version, int64(feedStart))
	return err
}

// Upgrade brings the journal to the present schema, and reports whether that changed anything. Nodes of the version
// before may run meanwhile.
func Upgrade(ctx context.Context, opt Options) (upgraded bool, err error) {
	err = locked(ctx, opt, func(tx pgx.Tx) error {
		v, err := version(ctx, tx)
		if err == nil && (v == moving || v > schemaVersion+1) {
			err = checkVersion(v)
		}
		return err // version 1 is the first
	})
	return false, err
}

// locked runs a change of the schema in a transaction of its own, one at a time.
func locked(ctx context.Context, opt Options, change func(pgx.Tx) error) error {
	cfg, err := opt.withDefaults().config()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", lockKey); err != nil {
			return err
		}
		return change(tx)
	})
}

// querier is a connection, a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// version returns the version of the schema.
func version(ctx context.Context, q querier) (v int, err error) {
	var there bool
	if err = q.QueryRow(ctx, "select to_regclass('straks.meta') is not null").Scan(&there); err != nil {
		return 0, err
	}
	if !there {
		return 0, ErrMissing
	}
	err = q.QueryRow(ctx, "select schema from straks.meta").Scan(&v)
	return v, err
}

// checkVersion returns why this program can't use a journal of a version.
func checkVersion(v int) error {
	switch {
	case v == moving:
		return ErrMoving
	case v < schemaVersion:
		return ErrOutdated
	case v > schemaVersion+1:
		return ErrNewer
	}
	return nil
}

// closeConn closes a connection without waiting for a server that does not answer.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost with it
}

// Probe looks at the journal and changes nothing. running reports that a process runs as this node.
func Probe(ctx context.Context, opt Options) (running bool, err error) {
	opt = opt.withDefaults()
	cfg, err := opt.config()
	if err != nil {
		return false, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer closeConn(conn)
	v, err := version(ctx, conn)
	if err == nil {
		err = checkVersion(v)
	}
	if err == nil {
		err = conn.QueryRow(ctx, "select exists (select from nodes where id = $1 and expires > clock_timestamp())", opt.Node).Scan(&running)
	}
	return running, err
}
