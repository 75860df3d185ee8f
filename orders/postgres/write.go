package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// What the rules have put, and the commit, go to the server in one trip. Each statement has the rows of all calls.

const (
	insertShipments = `insert into shipments (id, key, node, epoch, organisation, status, deadline, claim_until, record)
		select * from unnest($1::uuid[], $2::bytea[], $3::int[], $4::bigint[], $5::text[], $6::smallint[], $7::timestamptz[], $8::timestamptz[], $9::bytea[])`
	updateShipments = `update shipments s set node = u.node, epoch = u.epoch, status = u.status, deadline = u.deadline,
			claim_until = u.claim_until, record = u.record
		from unnest($1::uuid[], $2::int[], $3::bigint[], $4::smallint[], $5::timestamptz[], $6::timestamptz[], $7::bytea[])
			as u (id, node, epoch, status, deadline, claim_until, record) where s.id = u.id`
	updateKeys = `update keys k set shipment = u.id from unnest($1::bytea[], $2::uuid[]) as u (hash, id) where k.hash = u.hash`

	insertRefs = `insert into refs (hash, bound, bound_part, before, before_part, parked, at)
		select * from unnest($1::bytea[], $2::uuid[], $3::int[], $4::uuid[], $5::int[], $6::uuid[], $7::timestamptz[])`
	updateRefs = `update refs r set bound = u.bound, bound_part = u.bound_part, before = u.before, before_part = u.before_part, parked = u.parked, at = u.at
		from unnest($1::bytea[], $2::uuid[], $3::int[], $4::uuid[], $5::int[], $6::uuid[], $7::timestamptz[])
			as u (hash, bound, bound_part, before, before_part, parked, at) where r.hash = u.hash`
	deleteRefs = `delete from refs where hash = any($1::bytea[])`

	insertParked = `insert into parked (id, carrier, at, number, octets, refs, record) values ($1, $2, $3, $4, $5, $6, $7)`
	deleteParked = `delete from parked where id = any($1::uuid[])`

	addListed  = `insert into unanswered (number, shipment, until) values ($1, $2, $3) on conflict (number, shipment) do update set until = excluded.until`
	dropListed = `delete from unanswered where number = any($1::bytea[]) and shipment = $2`

	moveBlocked = `update blocked set hash = $2 where hash = $1`
	putBlocked  = `insert into blocked (hash, gone, suppression, record) values ($1, $2, $3, $4)
		on conflict (hash) do update set gone = excluded.gone, suppression = excluded.suppression, record = excluded.record`

	lowerMark = `update kept set low = least(low, $1)`

	// A feed's numbers are taken and used in one transaction, which holds the feed's head until it is committed. So
	// they are dense, and no lower number appears after a higher one was readable.
	newHeads  = `insert into feed_head (organisation, seq) select o, (select feed_start from meta) from unnest($1::text[]) as o order by o on conflict do nothing`
	lockHeads = `select from feed_head where organisation = any($1::text[]) order by organisation for update`
	appendTo  = `with head as (
			update feed_head f set seq = f.seq + u.n from unnest($1::text[], $2::bigint[]) as u (organisation, n)
			where f.organisation = u.organisation returning f.organisation, f.seq - u.n as before)
		insert into feed (organisation, seq, shipment, status, at)
		select e.organisation, head.before + e.n, e.shipment, e.status, e.at
		from unnest($3::text[], $4::bigint[], $5::uuid[], $6::smallint[], $7::timestamptz[]) as e (organisation, n, shipment, status, at)
			left join head on head.organisation = e.organisation` // one without a head fails, so that no entry is left out
)

// commit writes what was put, and commits.
func (w *work) commit(ctx context.Context) error {
	b := &pgx.Batch{}
	w.writeParked(b)
	w.writeRefs(b)
	w.writeShipments(b)
	w.writeRetried(b)
	w.writeLists(b)
	w.writeBlocks(b)
	if !w.low.IsZero() {
		b.Queue(lowerMark, w.low)
	}
	w.writeFeed(b)
	b.Queue("commit")
	err := w.conn.send(ctx, b)
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == noNumber {
		w.j.heads.forget()
	}
	return err
}

func (w *work) writeParked(b *pgx.Batch) {
	var gone []uuid.UUID
	for _, key := range slices.Sorted(maps.Keys(w.parked)) {
		r, id := w.parked[key], uuid.UUID([]byte(key))
		switch {
		case r.gone && !r.fresh:
			gone = append(gone, id)
		case r.fresh && !r.gone:
			refs := make([][]byte, len(r.Refs))
			for i, ref := range r.Refs { // where they are, so that the report is found by them
				h, _ := w.ref(r.Carrier, ref)
				refs[i] = h[:]
			}
			b.Queue(insertParked, [16]byte(id), r.Carrier, r.At, numberOf(w.box, &r.Report), r.octets, refs, r.record)
		}
	}
	if len(gone) > 0 {
		b.Queue(deleteParked, ids(gone))
	}
}

// refColumns are rows of refs.
type refColumns struct {
	hashes                  [][]byte
	bound, before, parked   []*[16]byte
	boundParts, beforeParts []int32
	at                      []time.Time
}

func (c *refColumns) add(h hash, r *refRow) {
	c.hashes = append(c.hashes, h[:])
	c.bound, c.boundParts = append(c.bound, orNull(r.Bound.Shipment)), append(c.boundParts, int32(r.Bound.Part))
	c.before, c.beforeParts = append(c.before, orNull(r.Before.Shipment)), append(c.beforeParts, int32(r.Before.Part))
	var parked *[16]byte
	if r.Parked != "" {
		parked = (*[16]byte)([]byte(r.Parked))
	}
	c.parked, c.at = append(c.parked, parked), append(c.at, r.at)
}

func (c *refColumns) queue(b *pgx.Batch, sql string) {
	if len(c.hashes) > 0 {
		b.Queue(sql, c.hashes, c.bound, c.boundParts, c.before, c.beforeParts, c.parked, c.at)
	}
}

func orNull(id uuid.UUID) *[16]byte {
	if id == uuid.Nil {
		return nil
	}
	v := [16]byte(id)
	return &v
}

func (w *work) writeRefs(b *pgx.Batch) {
	var fresh, changed refColumns
	var gone [][]byte
	// In order: of two nodes that insert the same references, one waits for the other, and then does its batch again. In
	// any order each would wait for the other, until the server finds that after a second.
	for _, h := range slices.SortedFunc(maps.Keys(w.refs), compareHashes) {
		switch r := w.refs[h]; {
		case !r.changed:
		case !r.Stored && r.there:
			gone = append(gone, h[:])
		case !r.Stored:
		case r.there:
			changed.add(h, r)
		default:
			fresh.add(h, r)
		}
	}
	fresh.queue(b, insertRefs)
	changed.queue(b, updateRefs)
	if len(gone) > 0 {
		b.Queue(deleteRefs, gone)
	}
}

// shipmentColumns are rows of shipments.
type shipmentColumns struct {
	box           *sealed.Box
	ids           [][16]byte
	keys          [][]byte
	nodes         []int32
	epochs        []int64
	organisations []string
	statuses      []int16
	deadlines     []time.Time
	claims        []*time.Time
	records       [][]byte
}

func (c *shipmentColumns) add(r *shipmentRow) {
	s := &r.Shipment
	c.ids, c.keys = append(c.ids, s.ID), append(c.keys, r.key[:])
	c.nodes, c.epochs = append(c.nodes, int32(r.node)), append(c.epochs, r.epoch)
	c.organisations = append(c.organisations, s.Organisation)
	c.statuses, c.deadlines = append(c.statuses, int16(s.Status)), append(c.deadlines, s.Deadline)
	var claim *time.Time
	if !s.ClaimUntil.IsZero() {
		claim = &s.ClaimUntil
	}
	c.claims = append(c.claims, claim)
	c.records = append(c.records, encodeShipment(c.box, s, r.newer))
}

func (w *work) writeShipments(b *pgx.Batch) {
	fresh, changed := shipmentColumns{box: w.box}, shipmentColumns{box: w.box}
	for _, r := range w.rows {
		switch {
		case r.changed && r.fresh:
			fresh.add(r)
		case r.changed:
			changed.add(r)
		}
	}
	var keys [][]byte
	var of []uuid.UUID
	for h, k := range w.keys {
		if k.changed {
			keys, of = append(keys, h[:]), append(of, k.shipment)
		}
	}
	if len(keys) > 0 {
		b.Queue(updateKeys, keys, ids(of))
	}
	if c := &fresh; len(c.ids) > 0 {
		b.Queue(insertShipments, c.ids, c.keys, c.nodes, c.epochs, c.organisations, c.statuses, c.deadlines, c.claims, c.records)
	}
	if c := &changed; len(c.ids) > 0 {
		b.Queue(updateShipments, c.ids, c.nodes, c.epochs, c.statuses, c.deadlines, c.claims, c.records)
	}
}

func (w *work) writeLists(b *pgx.Batch) {
	for _, l := range w.lists {
		if l.until.IsZero() {
			b.Queue(dropListed, numberForms(w.box, l.number), [16]byte(l.id))
		} else {
			b.Queue(addListed, []byte(w.form(l.number)), [16]byte(l.id), l.until)
		}
	}
}

// liftedRetention is how long a lifted block is kept (orders.Block).
const liftedRetention = 24 * time.Hour

// goneAt returns when retention may remove an entry of a block list; nil for one that stays.
func goneAt(b *orders.Block) *time.Time {
	var at time.Time
	switch {
	case b.Off:
		at = b.At.Add(liftedRetention)
	case b.Suppression():
		at = b.Until.Add(ledger.SuppressionMemory)
	default:
		return nil
	}
	return &at
}

func (w *work) writeBlocks(b *pgx.Batch) {
	for _, h := range slices.SortedFunc(maps.Keys(w.blocks), compareHashes) {
		r := w.blocks[h]
		if !r.changed {
			continue
		}
		if r.was != h && r.was != (hash{}) { // in place, for those who wait for its lock
			b.Queue(moveBlocked, r.was[:], h[:])
		}
		b.Queue(putBlocked, h[:], goneAt(&r.Block), r.Suppression(), encodeBlock(w.box, h, &r.Block, r.newer))
	}
}

func (w *work) writeFeed(b *pgx.Batch) {
	if len(w.feed) == 0 {
		return
	}
	counts := make(map[string]int64)
	n := len(w.feed)
	organisations, numbers := make([]string, n), make([]int64, n)
	shipments, statuses, at := make([][16]byte, n), make([]int16, n), make([]time.Time, n)
	for i, f := range w.feed {
		counts[f.organisation]++
		organisations[i], numbers[i] = f.organisation, counts[f.organisation]
		shipments[i], statuses[i], at[i] = f.shipment, int16(f.status), f.at
	}
	names := slices.Sorted(maps.Keys(counts))
	each := make([]int64, len(names))
	for i, name := range names {
		each[i] = counts[name]
	}
	if unknown := w.j.heads.unknown(names); len(unknown) > 0 {
		b.Queue(newHeads, unknown)
	}
	if len(names) > 1 {
		b.Queue(lockHeads, names)
	}
	b.Queue(appendTo, names, each, organisations, numbers, shipments, statuses, at)
}

// numberOf returns by what a report that waits is found: what stands for its recipient's number, nil where it names none.
func numberOf(box *sealed.Box, r *orders.Report) []byte {
	if all := numberForms(box, r.Recipient.Number()); len(all) > 0 {
		return all[0]
	}
	return nil
}
