package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"straks/orders"
	"straks/orders/ledger"
)

// Retention is kept by the keeper, row by row, so that it is exact; partitions only give the disk back.

const (
	// refRetention is how long a reference stays bound: well beyond the time in which its message gets a receipt.
	refRetention = 7 * 24 * time.Hour
	// overdue is how long before what is old an unsettled shipment's deadline has passed that will never be kept.
	overdue = 24 * time.Hour

	dropParked = `with old as (select id from parked where at < $1 order by at limit $2),
		gone as (delete from parked p using old where p.id = old.id returning p.id, p.refs)
		select (select count(*) from gone), coalesce((select array_agg(distinct r) from gone, unnest(gone.refs) r), '{}')`
	freeRefs = `update refs set parked = null where hash = any($1::bytea[]) and bound is not null
		and not exists (select from parked p where p.id = refs.parked)`
	dropFreeRefs = `delete from refs where hash = any($1::bytea[]) and bound is null
		and not exists (select from parked p where p.id = refs.parked)`

	dropFront = "with old as (select id, key, status from shipments where id < $1" + dropOld
	dropThese = "with old as (select id, key, status from shipments where id = any($1)" + dropOld
	dropOld   = ` and (status = any($2::smallint[]) or deadline < $3) order by id limit $4 for update skip locked),
		gone as (delete from shipments s using old where s.id = old.id returning s.id, s.key, s.status),
		freed as (delete from keys k using gone where k.hash = gone.key and k.shipment = gone.id)
		select id, status from gone`
	// walkShipments returns those of organisations among the shipments that come next, and the last id of all.
	walkShipments = `with looked as (select id, organisation from shipments where id >= $1 and id < $2 order by id limit $3)
		select count(*), (select id from looked order by id desc limit 1),
			coalesce(array_agg(id) filter (where organisation = any($4)), '{}') from looked`
	dropFeed = `with front as (select seq, shipment, at from feed where organisation = $1 order by seq limit $3)
		delete from feed f using front where f.organisation = $1 and f.seq = front.seq and f.shipment = front.shipment
			and (front.at < $2 or not exists (select from shipments s where s.id = front.shipment))`
	// A row that is being written again is waited for, and looked at again by the outer conditions alone.
	dropRefs       = `delete from refs where hash = any(array(select hash from refs where at < $1 order by at limit $2)) and at < $1`
	dropBlocked    = `delete from blocked where hash = any(array(select hash from blocked where gone < $1 limit $2)) and gone < $1`
	dropUnanswered = `delete from unanswered where (number, shipment) in (select number, shipment from unanswered where until < $1 limit $2) and until < $1`
)

// Sweep implements orders.Journal. Of a node that is not the keeper nothing is old.
func (j *Journal) Sweep(ctx context.Context, now time.Time, retention orders.Retention, budget int) (swept orders.Swept, err error) {
	if err := j.refresh(ctx); err != nil || !j.lease.keeper() {
		return swept, err
	}
	var done sweep // may still be set when ctx has ended
	err = j.detached(ctx, func(ctx context.Context, conn *connection) error {
		s := sweep{j: j, ctx: ctx, conn: conn, now: now, cut: now.Add(-retention.All), retention: retention,
			walks: j.walks.Plan(retention, now), budget: budget}
		err := s.run()
		done = s
		return err
	})
	if err != nil {
		return swept, err
	}
	j.walks.Done(done.walks)
	return done.swept, nil
}

// sweep is one step of retention. Each table is a transaction of its own.
type sweep struct {
	j         *Journal
	ctx       context.Context
	conn      *connection
	now, cut  time.Time
	retention orders.Retention
	walks     []ledger.Walk
	budget    int
	swept     orders.Swept
}

func (s *sweep) run() error {
	for _, table := range []func() error{s.parked, s.shipments, s.feeds,
		s.drop(dropRefs, s.now.Add(-refRetention)), s.drop(dropBlocked, s.now), s.drop(dropUnanswered, s.now),
		s.drop(dropRetried, s.now.Add(-retriedRetention)), s.walk, s.reseal} {
		if s.budget <= 0 {
			break
		}
		if err := table(); err != nil {
			return err
		}
	}
	if s.swept.More = s.budget <= 0; s.swept.More {
		return nil
	}
	if err := s.j.weeks(s.ctx, time.Now(), time.Now().Add(week)); err != nil {
		return err
	}
	return s.j.dropWeeks(s.ctx, s.cut)
}

// drop returns a step that deletes what is older than a time.
func (s *sweep) drop(sql string, cut time.Time) func() error {
	return func() error { return s.exec(sql, cut, s.budget) }
}

// exec deletes, and takes what was deleted from the budget.
func (s *sweep) exec(sql string, args ...any) error {
	b := &pgx.Batch{}
	b.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		s.budget -= int(tag.RowsAffected())
		return nil
	})
	return s.conn.send(s.ctx, b)
}

func (s *sweep) parked() error {
	var refs [][]byte
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(dropParked, s.now.Add(-ledger.ParkedRetention), s.budget).QueryRow(func(row pgx.Row) error {
		return row.Scan(&s.swept.Parked, &refs)
	})
	if err := s.conn.send(s.ctx, b); err != nil {
		return err
	}
	b = &pgx.Batch{}
	if len(refs) > 0 {
		b.Queue(freeRefs, refs)
		b.Queue(dropFreeRefs, refs)
	}
	b.Queue("commit")
	s.budget -= s.swept.Parked
	return s.conn.send(s.ctx, b)
}

func (s *sweep) shipments() error {
	n, err := s.dropShipments(dropFront, [16]byte(firstID(s.cut)), s.cut, s.budget)
	s.budget -= n
	return err
}

// dropShipments deletes n at most of these shipments, which are older than the cut.
func (s *sweep) dropShipments(sql string, these any, cut time.Time, n int) (dropped int, err error) {
	settled := []int16{}
	for _, st := range orders.Statuses() {
		if st.Final() || st.Free() {
			settled = append(settled, int16(st))
		}
	}
	b := &pgx.Batch{}
	b.Queue(sql, these, settled, cut.Add(-overdue), n).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id [16]byte
			var status int16
			if err := rows.Scan(&id, &status); err != nil {
				return err
			}
			dropped++
			if st := orders.Status(status); !st.Final() && !st.Free() {
				s.j.log.Error("shipment removed unsettled: its deadline was not kept", "shipment", uuid.UUID(id))
			}
		}
		return rows.Err()
	})
	err = s.conn.send(s.ctx, b)
	s.swept.Shipments += dropped
	return dropped, err
}

// walk goes on with each walk.
func (s *sweep) walk() error {
	for i := range s.walks {
		if s.budget <= 0 {
			break
		}
		if err := s.walkOne(&s.walks[i]); err != nil {
			return err
		}
	}
	return nil
}

// walkOne looks at the shipments that come next. It looks at them again where one may not leave yet, or is locked.
func (s *sweep) walkOne(walk *ledger.Walk) error {
	cut := s.now.Add(-walk.Retention)
	var looked int
	var last *[16]byte
	var theirs [][16]byte
	b := &pgx.Batch{}
	b.Queue(walkShipments, [16]byte(walk.Next), [16]byte(firstID(cut)), s.budget, walk.Organisations).QueryRow(func(row pgx.Row) error {
		return row.Scan(&looked, &last, &theirs)
	})
	if err := s.conn.send(s.ctx, b); err != nil || last == nil {
		return err
	}
	dropped := 0
	if len(theirs) > 0 {
		var err error
		if dropped, err = s.dropShipments(dropThese, theirs, cut, len(theirs)); err != nil {
			return err
		}
	}
	if dropped == len(theirs) {
		walk.Next = ledger.After(*last)
		s.budget -= looked
	} else {
		s.budget -= dropped
	}
	return nil
}

func (s *sweep) feeds() error {
	rows, err := s.conn.Query(s.ctx, "select organisation from feed_head order by organisation")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		if err == nil && s.budget > 0 {
			err = s.exec(dropFeed, name, s.now.Add(-s.retention.Of(name)), s.budget)
		}
	}
	return err
}
