package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders/postgres/reason"
)

// steps are what makes the schema. The first makes version 1, and each further one brings the version before it to its
// own: a step that was released is not changed any more. While nodes of version N run, those of N+1 join them. So a
// step adds, and what it makes needless is dropped by the step after the next; a program opens its own version and the
// next one.
//
// Nodes wait while a step has its locks. So it must take milliseconds, however many rows there are: tables, and columns
// that are null or have a constant default; indexes on new tables only.
var steps = []string{tables}

// lockKey is that of the advisory lock under which the schema is made and changed.
const lockKey = 0x73747261_6b73 // "straks"

// tables is the schema of version 1. Names and references come from outside: they may have octets that text takes
// not, so they are in records or hashed.
const tables = `
create schema if not exists straks;
set local search_path = straks;
create table meta (
	one boolean primary key default true check (one),
	id uuid not null, schema int not null, feed_start bigint not null,
	origin uuid not null, sealing bytea);
create table keys (hash bytea primary key, shipment uuid not null);
create table shipments (
	id uuid primary key, key bytea not null, node int not null, epoch bigint not null, organisation text not null,
	status smallint not null, deadline timestamptz not null, claim_until timestamptz, record bytea not null
) partition by range (id);
create index on shipments (deadline);
create table refs (
	hash bytea primary key, bound uuid, bound_part int not null, before uuid, before_part int not null,
	parked uuid, at timestamptz not null);
create index on refs (at);
create table parked (
	id uuid primary key, carrier text not null, at timestamptz not null, number bytea, octets int not null,
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
create table unanswered (number bytea, shipment uuid, until timestamptz not null, primary key (number, shipment));
create index on unanswered (until);
create table retried (at timestamptz, claim uuid, shipment uuid not null, node int not null, primary key (at, claim));
create table cursors (organisation text, name text, record bytea not null, primary key (organisation, name));
create table codes (kind smallint, key bytea, due timestamptz not null, record bytea not null, primary key (kind, key));
create index on codes (kind, due, key);
create table code_feed (organisation text, seq bigint, at timestamptz not null, entry bytea not null, primary key (organisation, seq));
create index on code_feed (at);
create table code_head (organisation text primary key, seq bigint not null) with (fillfactor = 50);
create table nodes (
	id int primary key, holder uuid not null, epoch bigint not null, expires timestamptz not null,
	url text not null, version text not null, up text[] not null default '{}',
	started timestamptz not null, config jsonb not null, schema int not null, keys bytea[] not null) with (fillfactor = 50);
create table slots (smsc text, n int, node int, epoch bigint, last int, primary key (smsc, n));
create table slot_users (smsc text, node int, epoch bigint not null, primary key (smsc, node));
create table fence (node int primary key, n bigint not null) with (fillfactor = 50);
create table kept (one boolean primary key default true check (one), mark timestamptz not null, low timestamptz);
insert into kept values (true, '1970-01-01T00:00:00Z');
alter table shipments ` + unlearned + `;
alter table refs alter hash set statistics 0;
alter table parked alter number set statistics 0, alter refs set statistics 0, alter record set statistics 0;
alter table blocked alter hash set statistics 0, alter record set statistics 0;
alter table unanswered alter number set statistics 0;`

// unlearned keeps the records of shipments out of the statistics of the database, as the last lines of tables do with what
// else follows from a recipient: the values of rows that were changed or deleted stay there. No plan needs them.
const unlearned = "alter record set statistics 0"

var (
	// ErrMissing reports a database without a journal.
	ErrMissing = errors.New("the database has no journal: \"straks init\" makes one")
	// ErrExists reports a database that has one already.
	ErrExists = errors.New("the database has a journal already")
	// ErrOutdated reports a journal of an older schema.
	ErrOutdated = errors.New("the journal is of an older version: \"straks upgrade\" brings it to this one")
	// ErrNewer reports a journal of a schema that this program does not know.
	ErrNewer = errors.New("the journal is of a newer version than this program: use a newer one")
)

// Create makes a journal in the database, as a whole or not at all.
func Create(ctx context.Context, opt Options) error {
	return locked(ctx, opt, func(tx pgx.Tx) error {
		if v, err := version(ctx, tx); err == nil {
			return exists(v)
		} else if !errors.Is(err, ErrMissing) {
			return err
		}
		return create(ctx, tx, opt, len(opt.schema()))
	})
}

// exists is the error of a database that has a journal already.
func exists(v int) error {
	if v < 0 {
		return fmt.Errorf("%w: %w", ErrExists, ErrMoving)
	}
	return fmt.Errorf("%w, of schema version %d", ErrExists, v)
}

// create makes the schema, whose version is noted as one.
func create(ctx context.Context, tx pgx.Tx, opt Options, noted int) error {
	for _, step := range opt.schema() {
		if _, err := tx.Exec(ctx, step); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "insert into straks.meta (id, schema, feed_start, origin) values ($1, $2, $3, $1)", [16]byte(uuid.New()), noted, int64(opt.FeedStart))
	return err
}

// locked runs a change of the schema in a transaction of its own, one at a time.
func locked(ctx context.Context, opt Options, change func(pgx.Tx) error) error {
	cfg, err := opt.withDefaults().config()
	if err != nil {
		return err
	}
	conn, err := dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	return reason.Explain(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", lockKey); err != nil {
			return err
		}
		return change(tx)
	}))
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

// schema returns what makes this program's schema. Its length is the version.
func (o *Options) schema() []string {
	if o.steps != nil {
		return o.steps
	}
	return steps
}

// SchemaVersion returns the version of the schema that this program makes.
func SchemaVersion() int { return len(steps) }

// usable returns nil if this program can use the journal, else the reason why not.
func (o *Options) usable(ctx context.Context, q querier) error {
	v, err := version(ctx, q)
	if err != nil {
		return err
	}
	own := len(o.schema())
	switch {
	case v < 0:
		return ErrMoving
	case v < own:
		err = ErrOutdated
	case v > own+1:
		err = ErrNewer
	default:
		return nil
	}
	return fmt.Errorf("%w (its schema has version %d, the program's %d)", err, v, own)
}

// closeConn closes a connection without waiting for a server that does not answer.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost with it
}

// Probe looks at the journal and changes nothing: it returns what Open would refuse. running reports that a process runs as
// this node, also where there is an error about keys of recipients.
func Probe(ctx context.Context, opt Options) (running bool, err error) {
	opt = opt.withDefaults()
	cfg, err := opt.config()
	if err != nil {
		return false, err
	}
	conn, err := dial(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer closeConn(conn)
	if err = opt.usable(ctx, conn); err == nil {
		err = conn.QueryRow(ctx, "select exists (select from nodes where id = $1 and expires > clock_timestamp())", opt.Node).Scan(&running)
	}
	if err == nil {
		err = agreed(ctx, conn, &opt)
	}
	if err == nil {
		_, _, _, err = attached(ctx, conn, opt.Keys)
	}
	return running, reason.Explain(err)
}
