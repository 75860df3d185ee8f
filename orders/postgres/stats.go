package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders/sealed"
)

// Stats is what is in a journal. The database estimates the numbers of records, as of its last analyze.
type Stats struct {
	ID      uuid.UUID
	Schema  int
	Tables  []TableStats // in the order of their names; partitions count for their table
	Feeds   int          // organisations that have one
	Kept    time.Time    // deadlines are kept up to here
	Nodes   []NodeStats
	Primary bool // false: a standby was asked

	Keys  []sealed.KeyID // that recipients may be sealed with; none: they are in the clear
	Plain bool           // with keys: recipients may be in the clear still
}

// TableStats are those of a table with its partitions.
type TableStats struct {
	Name       string
	Records    int64 // about; -1: not known yet
	Octets     int64 // with indexes
	Partitions int
}

// NodeStats is a node that has a lease, or had one.
type NodeStats struct {
	ID      int
	Epoch   int64
	Live    bool
	Left    time.Duration // of its lease
	URL     string
	Version string
}

const statsQuery = `select p.relname::text, count(i.inhrelid), sum(coalesce(c.reltuples, p.reltuples))::bigint,
	sum(pg_total_relation_size(coalesce(c.oid, p.oid)))::bigint
	from pg_class p join pg_namespace n on n.oid = p.relnamespace left join pg_inherits i on i.inhparent = p.oid left join pg_class c on c.oid = i.inhrelid
	where n.nspname = 'straks' and p.relkind in ('r', 'p') and not p.relispartition group by p.relname order by 1`

// statsOfNodes does not subtract from the time of a lease that was given back, which is infinite.
const statsOfNodes = `select id, epoch, expires > now(), case when expires > now() then extract(epoch from expires - now()) else 0 end::float8, url, version
	from nodes order by id`

// ReadStats reads them, without locks. It may be asked of a standby.
func ReadStats(ctx context.Context, opt Options) (s Stats, err error) {
	err = look(ctx, opt, func(tx pgx.Tx) error {
		var id [16]byte
		var recovery bool
		var sealing []byte
		err := tx.QueryRow(ctx, `select m.id, m.schema, (select count(*) from feed_head), (select mark from kept), pg_is_in_recovery(), m.sealing from meta m`).
			Scan(&id, &s.Schema, &s.Feeds, &s.Kept, &recovery, &sealing)
		if err != nil {
			return err
		}
		s.ID, s.Primary = id, !recovery
		if sealing != nil {
			if s.Keys, s.Plain, err = sealed.Needed(sealing); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, statsQuery)
		if err != nil {
			return err
		}
		if s.Tables, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t TableStats, err error) {
			err = row.Scan(&t.Name, &t.Partitions, &t.Records, &t.Octets)
			t.Records = max(t.Records, -1)
			return t, err
		}); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, statsOfNodes); err != nil {
			return err
		}
		s.Nodes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n NodeStats, err error) {
			var left float64
			err = row.Scan(&n.ID, &n.Epoch, &n.Live, &left, &n.URL, &n.Version)
			n.Left = time.Duration(left * float64(time.Second))
			return n, err
		})
		return err
	})
	return s, err
}

// maxSeqJSON is the highest number that is exact in the JSON of every client.
const maxSeqJSON = 1<<53 - 1

// Jump has each feed go on 1,000,000 numbers later, and gives the journal a new id: after a database has forgotten
// what readers of feeds may have read, as after the restore of a copy. No node may run.
func Jump(ctx context.Context, opt Options) (feeds int, err error) {
	err = locked(ctx, opt, func(tx pgx.Tx) error {
		if err := opt.usable(ctx, tx); err != nil {
			return err
		}
		var live, beyond int
		if err := tx.QueryRow(ctx, `select (select count(*) from straks.nodes where expires > now()),
			(select count(*) from straks.feed_head where seq > $1)`, int64(maxSeqJSON-2*jumped)).Scan(&live, &beyond); err != nil {
			return err
		}
		if live > 0 {
			return fmt.Errorf("%d nodes run: stop them first (a killed one counts until its lease has expired)", live)
		}
		if beyond > 0 {
			return fmt.Errorf("the numbers of %d feeds are near the highest that clients can read", beyond)
		}
		tag, err := tx.Exec(ctx, "update straks.feed_head set seq = seq + $1", int64(jumped))
		if err != nil {
			return err
		}
		feeds = int(tag.RowsAffected())
		if _, err := tx.Exec(ctx, "update straks.code_head set seq = seq + $1", int64(jumped)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "update straks.meta set id = $1, feed_start = feed_start + $2", [16]byte(uuid.New()), int64(jumped))
		return err
	})
	return feeds, err
}
