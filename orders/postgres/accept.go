package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// liveEpoch reports whether this node is the one that it takes itself for: that no other has declared it dead.
const liveEpoch = `select exists (select from nodes where id = $1 and epoch = $2)`

// errDeclaredDead refuses the orders of a node that was declared dead: their claims would be those of a process that has
// ended, so that a repeat elsewhere would be told that the message may have left. Not stored, they are sent there.
var errDeclaredDead = fmt.Errorf("%w: %w: another node has declared this one dead", orders.ErrUnavailable, orders.ErrNotStored)

// acceptNew stores orders with new keys to recipients who are on no block list: a claim is nothing but what the order
// says, so one statement does it. It returns the shipments that it has stored. The others are for the rules.
const acceptNew = `with
	orders as (select * from unnest($1::bytea[], $2::uuid[], $3::text[], $4::smallint[], $5::timestamptz[], $6::timestamptz[], $7::bytea[], $8::bytea[], $9::bytea[])
		as u (key, id, organisation, status, deadline, claim_until, record, listed, plain)),
	fresh as (insert into keys (hash, shipment)
		select key, id from orders o where exists (select from nodes where id = $10 and epoch = $11)
			and not exists (select from blocked b where b.hash in (o.listed, o.plain)) order by key
		on conflict do nothing returning hash, shipment)
	insert into shipments (id, key, node, epoch, organisation, status, deadline, claim_until, record)
	select o.id, o.key, $10, $11, o.organisation, o.status, o.deadline, o.claim_until, o.record
	from orders o join fresh f on f.hash = o.key and f.shipment = o.id returning id`

// accept stores the orders of a batch: those that are new in one trip, then what that left.
func (j *Journal) accept(ctx context.Context, conn *connection, batch []*request) error {
	stored, live, err := j.acceptNew(ctx, conn, batch)
	if err != nil {
		return err
	}
	for _, s := range stored {
		j.due.near.brought(s.Deadline)
	}
	var rest []*request
	for _, r := range batch {
		// An order that came twice has one row, and so one owner: the rules see which.
		if s, ok := stored[r.order.Shipment]; ok && s.Claim == r.order.Claim {
			r.shipment, r.claimed, r.failed = s, true, nil
			delete(stored, r.order.Shipment)
			continue
		}
		if r.failed = nil; !live {
			r.failed = errDeclaredDead
			continue
		}
		rest = append(rest, r)
	}
	for len(rest) > 0 {
		var now []*request
		if now, rest = distinct(rest); len(now) > 0 {
			if err := j.acceptByRules(ctx, conn, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// acceptNew returns the shipments that it has stored, and whether this node may store the others.
func (j *Journal) acceptNew(ctx context.Context, conn *connection, batch []*request) (stored map[uuid.UUID]orders.Shipment, live bool, err error) {
	claims := make(map[uuid.UUID]orders.Shipment, len(batch))
	c := shipmentColumns{box: j.box()}
	var listed, plain [][]byte // where a recipient may be on a block list; nil: not there
	for _, r := range batch {
		if _, twice := claims[r.order.Shipment]; twice {
			continue
		}
		s := orders.Claim(*r.order)
		claims[s.ID] = s
		c.add(&shipmentRow{Shipment: s, key: hashOf(r.order.Organisation, r.order.Key)})
		all := blockForms(c.box, s.Organisation, s.Channel, orders.BlockForm(s.Channel, s.Recipient))
		listed, plain = append(listed, all[0][:]), append(plain, nil)
		if len(all) > 1 {
			plain[len(plain)-1] = all[1][:]
		}
	}
	stored = make(map[uuid.UUID]orders.Shipment, len(batch))
	epoch := j.lease.epochNow()
	b := &pgx.Batch{}
	b.Queue(acceptNew, c.keys, c.ids, c.organisations, c.statuses, c.deadlines, c.claims, c.records, listed, plain,
		j.opt.Node, epoch).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id [16]byte
			if err := rows.Scan(&id); err != nil {
				return err
			}
			stored[id] = claims[id]
		}
		return rows.Err()
	})
	// Last: an epoch that is over stays over, so that nothing is left to the rules which was not stored for that.
	b.Queue(liveEpoch, j.opt.Node, epoch).QueryRow(func(row pgx.Row) error { return row.Scan(&live) })
	return stored, live, conn.send(ctx, b)
}

// distinct returns the first order of each key and shipment, and the rest.
func distinct(all []*request) (first, rest []*request) {
	keys, shipments := make(map[hash]bool), make(map[uuid.UUID]bool)
	for _, r := range all {
		h := hashOf(r.order.Organisation, r.order.Key)
		if keys[h] || shipments[r.order.Shipment] {
			rest = append(rest, r)
			continue
		}
		keys[h], shipments[r.order.Shipment] = true, true
		first = append(first, r)
	}
	return first, rest
}

// acceptByRules stores orders whose keys are known, or whose recipients are blocked, as the rules say.
func (j *Journal) acceptByRules(ctx context.Context, conn *connection, batch []*request) error {
	in := make([]*orders.AcceptRequest, len(batch))
	for i, r := range batch {
		in[i] = r.order
	}
	w := j.newWork(conn)
	if err := w.loadKeys(ctx, in); err != nil {
		return err
	}
	w.claiming = true
	l := w.ledger()
	for _, r := range batch {
		var err error
		if r.shipment, r.claimed, err = l.Accept(r.order); err != nil {
			return &callError{err}
		}
		if !r.claimed && r.shipment.Claimed() {
			r.shipment.Held = r.shipment.Held || w.ownerLives(r.shipment.ID)
		}
	}
	if err := w.commit(ctx); err != nil {
		return err
	}
	w.done()
	return nil
}
