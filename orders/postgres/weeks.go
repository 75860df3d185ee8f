package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Shipments lie in a partition for each week of their ids, and feed entries in that of their shipment. So what is
// written and asked for lies together, and a week that retention has emptied gives its disk back at once.

const week = 7 * 24 * time.Hour

// weekOf returns when the week of a time begins.
func weekOf(at time.Time) time.Time { return at.UTC().Truncate(week) } // a Monday: the zero time is one

// idTime returns the time in a UUIDv7, in ms (RFC 9562 §5.7).
func idTime(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// weeks makes the partitions of these times, if they are not there.
func (j *Journal) weeks(ctx context.Context, times ...time.Time) error {
	for _, at := range times {
		begin := weekOf(at)
		name := begin.Format("20060102")
		var there bool
		if err := j.pool.QueryRow(ctx, "select to_regclass('straks.feed_' || $1) is not null", name).Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		if err := pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) error { return makeWeek(ctx, tx, begin) }); err != nil {
			return fmt.Errorf("the tables of the week of %s can't be made: %w", begin.Format(time.DateOnly), err)
		}
	}
	return nil
}

// tableThere reports whether a table is there. to_regclass would say what the session has kept of an earlier look: that there is
// none, though another node has made it while this one waited for the lock.
const tableThere = `select exists (select from pg_class where relname = $1 and relnamespace = 'straks'::regnamespace)`

// makeWeek makes the partitions of a week. Attaching one locks out no reader and no writer, unlike making it in place.
func makeWeek(ctx context.Context, tx pgx.Tx, begin time.Time) error {
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", lockKey); err != nil {
		return err
	}
	name := begin.Format("20060102")
	for table, settings := range map[string]string{"shipments": "set (fillfactor = 60), " + unlearned, "feed": "set (fillfactor = 100)"} {
		var there bool
		if err := tx.QueryRow(ctx, tableThere, table+"_"+name).Scan(&there); err != nil || there {
			return err
		}
		part := pgx.Identifier{"straks", table + "_" + name}.Sanitize()
		for _, sql := range []string{
			"create table " + part + " (like straks." + table + " including all)", // all but such settings
			"alter table " + part + " " + settings,
			fmt.Sprintf("alter table straks.%s attach partition %s for values from ('%s') to ('%s')", table, part, firstID(begin), firstID(begin.Add(week))),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

// weeksOf makes the partitions that the orders of a batch need.
func (j *Journal) weeksOf(batch []*request) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	for _, r := range batch {
		if r.order != nil {
			if err := j.weeks(ctx, idTime(r.order.Shipment)); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropWeeks drops the partitions that ended before the cut and that retention has emptied. It does not wait for a
// lock: Sweep comes again.
func (j *Journal) dropWeeks(ctx context.Context, cut time.Time) error {
	rows, err := j.pool.Query(ctx, `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'straks.shipments'::regclass order by c.relname`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		var day string
		if _, err := fmt.Sscanf(name, "shipments_%s", &day); err != nil {
			continue
		}
		begin, err := time.Parse("20060102", day)
		if err != nil || !begin.Add(week).Before(cut) || !begin.Add(2*week).Before(time.Now()) {
			continue
		}
		if err := j.dropWeek(ctx, day); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) dropWeek(ctx context.Context, day string) error {
	return pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) error {
		shipments, feed := pgx.Identifier{"straks", "shipments_" + day}.Sanitize(), pgx.Identifier{"straks", "feed_" + day}.Sanitize()
		if _, err := tx.Exec(ctx, "set local lock_timeout = '200ms'"); err != nil {
			return err
		}
		var used bool
		if err := tx.QueryRow(ctx, "select exists (select from "+shipments+") or exists (select from "+feed+")").Scan(&used); err != nil || used {
			return err
		}
		_, err := tx.Exec(ctx, "drop table "+shipments+", "+feed)
		return err
	})
}
