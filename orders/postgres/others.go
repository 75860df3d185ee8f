package postgres

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/internal/handover"
	"straks/orders"
)

// Limits count over all nodes (package limits). Each node counts its own orders itself, and learns of those of others from
// their rows: by the ids of the last seconds, which have the time in them, and, where a key was tried again and kept
// its old id, from the table retried.
//
// A row appears later than its id says: an order that leaves is stored within 2 s, and clocks differ by 2 s at the
// most (an order that takes longer to be stored comes to nothing). So each look begins othersOverlap before the time of
// the last one, and skips what it has seen.

const (
	othersOverlap = 5 * time.Second
	// othersBack is how far before its start a node leaves the orders of others to Read: a claim of before has ended, so
	// its outcome is known.
	othersBack = claimsBack
	// othersLate is how long after its end a claim is looked at for its answer. One without an answer counts as it is.
	othersLate = time.Minute
	// retriedRetention is for how long a node that can't reach the database may miss no order.
	retriedRetention = time.Hour

	lookForOthers   = `select clock_timestamp(), coalesce(bool_and(expires < clock_timestamp()), true), coalesce(sum(epoch)::bigint, 0) from nodes where id <> $1`
	idsOfOthers     = `select id from shipments where id > $1 and node <> $2 order by id limit $3`
	retriedOfOthers = `select at, claim, shipment from retried where (at, claim) > ($1, $2) and node <> $3 order by at, claim limit $4`
	readOfOthers    = `select id, node, record from shipments where id = any($1::uuid[]) and node <> $2`
	readAnswered    = `select id, node, record from shipments where id = any($1::uuid[]) and (claim_until is null or node = $2)`
	readAccepted    = `select id, node, record from shipments where id > $1 order by id limit $2`

	insertRetried = `insert into retried (at, claim, shipment, node)
		select clock_timestamp(), u.claim, u.shipment, $3 from unnest($1::uuid[], $2::uuid[]) as u (claim, shipment)`
	dropRetried = `delete from retried where (at, claim) in (select at, claim from retried where at < $1 order by at, claim limit $2)`
)

// Others tells of the orders that other nodes accept. It implements limits.Others, and is for one goroutine, except for
// Accepted.
type Others struct {
	j     *Journal
	since time.Time // what others accepted from then on Read tells of; Accepted has the rest
	at    time.Time // how far Read has come, by the database's clock
	last  glance    // when Read came to the present; zero: it has not

	seen map[uuid.UUID]time.Time       // ids and claims that were read; before this time, no look begins
	open map[uuid.UUID]orders.Shipment // by id: those whose claim was unanswered
}

// Others returns what tells of the orders that other nodes accept from now on. Those of the last two minutes are among
// them, since their outcome may not be known.
func (j *Journal) Others(ctx context.Context) (*Others, error) {
	o := &Others{j: j, seen: make(map[uuid.UUID]time.Time), open: make(map[uuid.UUID]orders.Shipment)}
	l, err := o.look(ctx)
	o.since = l.now.Add(-othersBack)
	o.at = o.since
	return o, err
}

// glance is what a look begins with.
type glance struct {
	now    time.Time // by the database's clock
	alone  bool      // no other node is alive
	epochs int64     // their sum: it is another one when a node has begun or ended
}

func (o *Others) look(ctx context.Context) (l glance, err error) {
	if err = o.j.pool.QueryRow(ctx, lookForOthers, o.j.opt.Node).Scan(&l.now, &l.alone, &l.epochs); err != nil {
		err = unavailable(err)
	}
	l.now = l.now.UTC()
	return l, err
}

// Accepted calls visit with each shipment that was accepted from since on and may have left. One that can't be read is
// logged and skipped.
func (j *Journal) Accepted(ctx context.Context, since time.Time, visit func(orders.Shipment)) error {
	return j.accepted(ctx, since, func(_ int, s orders.Shipment) { visit(s) })
}

// Accepted is Journal.Accepted without what Read tells of.
func (o *Others) Accepted(ctx context.Context, since time.Time, visit func(orders.Shipment)) error {
	return o.j.accepted(ctx, since, func(node int, s orders.Shipment) {
		if node == o.j.opt.Node || s.Accepted.Before(o.since) {
			visit(s)
		}
	})
}

func (j *Journal) accepted(ctx context.Context, since time.Time, visit func(node int, s orders.Shipment)) error {
	for after := firstID(since.Add(-findSlack)); ; {
		n, err := j.eachShipment(ctx, func(id uuid.UUID, node int, s orders.Shipment, readable bool) {
			after = id
			if readable && s.MayHaveLeft() && !s.Accepted.Before(since) {
				visit(node, s)
			}
		}, readAccepted, [16]byte(after), findStep)
		if err != nil || n < findStep {
			return err
		}
	}
}

// eachShipment visits rows with id, node and record, and returns how many there were.
func (j *Journal) eachShipment(ctx context.Context, visit func(id uuid.UUID, node int, s orders.Shipment, readable bool), sql string, args ...any) (n int, err error) {
	box := j.box()
	err = j.read(ctx, func(rows pgx.Rows) error {
		for rows.Next() {
			var id [16]byte
			var node int
			var record []byte
			if err := rows.Scan(&id, &node, &record); err != nil {
				return err
			}
			n++
			s, err := decodeShipment(box, id, record)
			if err != nil {
				j.unread("shipment", err)
			}
			visit(id, node, s, err == nil)
		}
		return rows.Err()
	}, sql, args...)
	return n, err
}

// Read calls visit with each order that another node has accepted, once: as it is, where its outcome is known; else as
// Held, and later again, when its outcome is known. Then it is not Held, and its status is Free if it surely did not
// leave. After an error, the next call goes on where this one was.
func (o *Others) Read(ctx context.Context, visit func(orders.Shipment)) error {
	l, err := o.look(ctx)
	if err == nil {
		err = o.answers(ctx, l.now, visit)
	}
	if err != nil {
		return err
	}
	if l.alone && o.last.alone && l.epochs == o.last.epochs { // since the last look too
		o.at = later(o.at, l.now.Add(-2*othersOverlap))
		return nil
	}
	if err = o.again(ctx, l.now, visit); err == nil {
		err = o.fresh(ctx, l.now, visit)
	}
	if err == nil {
		o.last = l
	}
	return err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// fresh tells of orders by their ids.
func (o *Others) fresh(ctx context.Context, now time.Time, visit func(orders.Shipment)) error {
	for after := firstID(o.at.Add(-othersOverlap)); ; {
		var fresh []uuid.UUID
		n := 0
		err := o.j.read(ctx, func(rows pgx.Rows) error {
			for rows.Next() {
				var id [16]byte
				if err := rows.Scan(&id); err != nil {
					return err
				}
				n++
				if after = id; o.seen[after].IsZero() {
					fresh = append(fresh, after)
				}
			}
			return rows.Err()
		}, idsOfOthers, [16]byte(after), o.j.opt.Node, findStep)
		if err == nil {
			err = o.tell(ctx, now, fresh, visit)
		}
		if err != nil {
			return err
		}
		for _, id := range fresh {
			o.seen[id] = idTime(id)
		}
		if n < findStep {
			o.at = later(o.at, now)
			o.forget()
			return nil
		}
		if t := idTime(after); t.Before(now) { // an id may be of a clock that is ahead
			o.at = later(o.at, t)
		}
		o.forget()
	}
}

// again tells of orders whose keys were tried again.
func (o *Others) again(ctx context.Context, now time.Time, visit func(orders.Shipment)) error {
	at, after := o.at.Add(-othersOverlap), uuid.Nil
	for {
		var claims, fresh []uuid.UUID
		n := 0
		err := o.j.read(ctx, func(rows pgx.Rows) error {
			for rows.Next() {
				var claim, id [16]byte
				if err := rows.Scan(&at, &claim, &id); err != nil {
					return err
				}
				n++
				if after = claim; o.seen[after].IsZero() {
					claims, fresh = append(claims, claim), append(fresh, id)
				} else {
					o.seen[claim] = later(o.seen[claim], at)
				}
			}
			return rows.Err()
		}, retriedOfOthers, at, [16]byte(after), o.j.opt.Node, findStep)
		if err == nil {
			err = o.tell(ctx, now, fresh, visit)
		}
		if err != nil {
			return err
		}
		for _, claim := range claims {
			o.seen[claim] = later(now, at)
		}
		if n < findStep {
			return nil
		}
	}
}

// tell tells of these shipments, unless it has told of their present claim.
func (o *Others) tell(ctx context.Context, now time.Time, all []uuid.UUID, visit func(orders.Shipment)) error {
	if len(all) == 0 {
		return nil
	}
	_, err := o.j.eachShipment(ctx, func(id uuid.UUID, _ int, s orders.Shipment, readable bool) {
		if !readable || !o.seen[s.Claim].IsZero() || o.open[id].Claim == s.Claim {
			return
		}
		o.seen[s.Claim] = later(now, idTime(id))
		o.ended(id, visit)
		if s.Accepted.Before(o.since) || !s.MayHaveLeft() {
			return
		}
		if s.Held = !s.ClaimUntil.IsZero(); s.Held {
			o.open[id] = s
		}
		visit(s)
	}, readOfOthers, ids(all), o.j.opt.Node)
	return err
}

// answers tells what became of orders whose outcome was not known.
func (o *Others) answers(ctx context.Context, now time.Time, visit func(orders.Shipment)) error {
	if len(o.open) == 0 {
		return nil
	}
	open := make([]uuid.UUID, 0, len(o.open))
	for id := range o.open {
		open = append(open, id)
	}
	_, err := o.j.eachShipment(ctx, func(id uuid.UUID, _ int, s orders.Shipment, readable bool) {
		if readable && s.Claim != o.open[id].Claim {
			o.ended(id, visit)
		} else if readable {
			delete(o.open, id)
			visit(s)
		}
	}, readAnswered, ids(open), o.j.opt.Node)
	if err != nil {
		return err
	}
	for id, s := range o.open {
		if now.Sub(s.ClaimUntil) > othersLate {
			delete(o.open, id)
			s.Held = false
			visit(s)
		}
	}
	return nil
}

// ended tells that the claim of a shipment was answered with handover.NotSent, since there is another one.
func (o *Others) ended(id uuid.UUID, visit func(orders.Shipment)) {
	if s, ok := o.open[id]; ok {
		delete(o.open, id)
		s.Held = false
		s.Answer(orders.Answer{Claim: s.Claim, At: s.Accepted, Outcome: handover.NotSent})
		visit(s)
	}
}

// forget forgets what no look finds again.
func (o *Others) forget() {
	from := o.at.Add(-othersOverlap).Truncate(time.Millisecond)
	maps.DeleteFunc(o.seen, func(_ uuid.UUID, at time.Time) bool { return at.Before(from) })
}

// writeRetried notes which shipments were claimed again: their ids are old.
func (w *work) writeRetried(b *pgx.Batch) {
	if !w.claiming {
		return
	}
	var claims, shipments []uuid.UUID
	for id, r := range w.rows {
		if r.changed && !r.fresh && r.MayHaveLeft() {
			claims, shipments = append(claims, r.Claim), append(shipments, id)
		}
	}
	if len(claims) > 0 {
		b.Queue(insertRetried, ids(claims), ids(shipments), w.j.opt.Node)
	}
}
