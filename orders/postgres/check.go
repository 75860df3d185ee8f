package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
	"straks/orders/postgres/reason"
	"straks/orders/sealed"
)

// maxFaults is how many faults Check reports before it gives up.
const maxFaults = 20

// jumped is the least gap in a feed's numbers that is one of Jump, and no fault.
const jumped = 1_000_000

// invariants are what holds at any time: each query returns what breaks it, as a sentence. Of the numbers of a feed, the first
// may be any: retention takes entries away from the front.
var invariants = []string{
	`select 'shipment ' || s.id || ': its key is unknown or another shipment''s, so a repeat of its order could be sent again'
		from shipments s left join keys k on k.hash = s.key where s.key <> '' and k.shipment is distinct from s.id and not s.status = any(@free)`,
	`select 'feed of ' || organisation || ': ' || seq || ' follows ' || before from (
		select organisation, seq, lag(seq) over (partition by organisation order by seq) as before from feed) f
		where seq <> before + 1 and seq - before <= @jump`,
	`select 'feed of ' || f.organisation || ' ends with ' || max(f.seq) || ', but its last number was ' || coalesce(max(h.seq)::text, 'none')
		from feed f left join feed_head h on h.organisation = f.organisation group by f.organisation having max(f.seq) > coalesce(max(h.seq), 0)
		or max(h.seq) - max(f.seq) between 1 and @jump - 1`,
	`select 'shipment ' || s.id || ': it is in the feed of ' || f.organisation || ', and is not theirs'
		from feed f join shipments s on s.id = f.shipment where s.organisation <> f.organisation`,
	`select 'shipment ' || f.shipment || ': it has another status than its last feed entry' from (
		select distinct on (shipment) shipment, status from feed order by shipment, seq desc) f
		join shipments s on s.id = f.shipment where s.status <> f.status`,
	// Of shipments that are older than the oldest entry of their feed, retention may have taken the entry first.
	`select 'shipment ' || s.id || ': it has a status of which the feed has no entry' from shipments s
		join (select organisation, lpad(to_hex(floor(extract(epoch from min(at)) * 1000)::bigint), 12, '0') || repeat('0', 20) as first
			from feed group by organisation) kept on kept.organisation = s.organisation
		where s.status = any(@fed) and s.id >= kept.first::uuid and not exists (select from feed f where f.shipment = s.id)`,
	`select 'a reference waits for a report that is gone' from refs r where r.parked is not null and not exists (select from parked p where p.id = r.parked)`,
	`select 'parked report ' || p.id || ': no reference leads to it' from parked p where not exists (select from refs r where r.hash = any(p.refs) and r.parked = p.id)`,
	`select 'node ' || s.node || ': it has a slot of ' || s.smsc || ', and is unknown' from slots s where s.node is not null and s.node not in (select id from nodes)`,
}

// Check walks every invariant over one snapshot, and returns all faults that it finds, up to a bound. progress is
// called with the number of records that were read. It may be asked of a standby. Without the keys of a journal that has
// some, it checks all but the recipients.
func Check(ctx context.Context, opt Options, progress func(n int64)) error {
	return look(ctx, opt, func(tx pgx.Tx) error {
		box, err := openedBox(ctx, tx, opt.Keys)
		if err != nil {
			return err
		}
		return checkAll(ctx, tx, box, progress)
	})
}

// look runs a reader over one snapshot of the journal, in a plan of its own.
func look(ctx context.Context, opt Options, read func(pgx.Tx) error) error {
	cfg, err := opt.withDefaults().config()
	if err != nil {
		return err
	}
	for _, name := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "plan_cache_mode", "idle_in_transaction_session_timeout"} {
		delete(cfg.RuntimeParams, name)
	}
	conn, err := dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	return reason.Explain(pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := opt.usable(ctx, tx); err != nil {
			return err
		}
		return read(tx)
	}))
}

func checkAll(ctx context.Context, tx pgx.Tx, box *sealed.Box, progress func(int64)) error {
	c := &checker{ctx: ctx, tx: tx, box: box, progress: progress}
	for _, invariant := range invariants {
		if err := c.broken(invariant); err != nil {
			return err
		}
	}
	for _, read := range []func() error{c.shipments, c.parked, c.blocked, c.cursors} {
		if err := read(); err != nil {
			return err
		}
	}
	progress(c.read)
	return errors.Join(c.faults...)
}

type checker struct {
	ctx      context.Context
	tx       pgx.Tx
	box      *sealed.Box
	progress func(int64)
	read     int64
	faults   []error
}

func (c *checker) fault(format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf("journal: "+format, args...))
	}
}

// statuses returns the statuses for which is says so.
func statuses(is func(orders.Status) bool) (all []int16) {
	for s := range 256 {
		if status := orders.Status(s); status.Valid() && is(status) {
			all = append(all, int16(s))
		}
	}
	return all
}

// broken runs an invariant's query.
func (c *checker) broken(query string) error {
	rows, err := c.tx.Query(c.ctx, query+fmt.Sprintf(" limit %d", maxFaults),
		pgx.NamedArgs{"free": statuses(orders.Status.Free), "fed": statuses(orders.Status.InFeed), "jump": int64(jumped)})
	if err != nil {
		return err
	}
	says, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, sentence := range says {
		c.fault("%s", sentence)
	}
	return err
}

// each calls visit with every row of a query.
func (c *checker) each(query string, into []any, visit func()) error {
	rows, err := c.tx.Query(c.ctx, query)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		visit()
		if c.read++; c.read%progressEvery == 0 {
			c.progress(c.read)
		}
		return nil
	})
	return err
}

// shipments: each record reads well, its times are in order, and its columns are those of the record.
func (c *checker) shipments() error {
	var id [16]byte
	var organisation string
	var status int16
	var deadline time.Time
	var claim *time.Time
	var record []byte
	return c.each(`select id, organisation, status, deadline, claim_until, record from shipments`,
		[]any{&id, &organisation, &status, &deadline, &claim, &record}, func() {
			s, err := decodeShipment(c.box, id, record)
			switch {
			case err != nil:
				c.fault("%w", err)
			case s.Organisation != organisation || int16(s.Status) != status || !s.Deadline.Equal(deadline) || s.ClaimUntil.IsZero() != (claim == nil):
				c.fault("shipment %s: its record says something else than its row", uuid.UUID(id))
			case s.Updated.Before(s.Accepted):
				c.fault("shipment %s: changed before it was accepted", uuid.UUID(id))
			case s.Status.Free() && s.Parts != nil:
				c.fault("shipment %s: free, but it may have left", uuid.UUID(id))
			}
		})
}

func (c *checker) parked() error {
	var id [16]byte
	var carrier string
	var record []byte
	return c.each(`select id, carrier, record from parked`, []any{&id, &carrier, &record}, func() {
		if r, err := decodeReport(c.box, id, record); err != nil {
			c.fault("%w %s", err, uuid.UUID(id))
		} else if r.Carrier != carrier {
			c.fault("parked report %s of %q lies among those of %q", uuid.UUID(id), r.Carrier, carrier)
		}
	})
}

func (c *checker) blocked() error {
	var h, record []byte
	var gone *time.Time
	return c.each(`select hash, gone, record from blocked`, []any{&h, &gone, &record}, func() {
		b, err := decodeBlock(c.box, hash(h), record)
		if err != nil {
			c.fault("block of %x: %w", h, err)
		} else if b.Recipient != "" && !slices.Contains(blockForms(c.box, b.Organisation, b.Channel, b.Recipient), hash(h)) {
			c.fault("block of %x: it lies under another one's hash", h)
		} else if (b.Off || b.Suppression()) && gone == nil {
			c.fault("block of %x: it is lifted, or ends, and is kept for ever", h)
		}
	})
}

// cursors: none is beyond the newest number of its feed: that of verifications where its name says so, as package hooks
// writes it.
func (c *checker) cursors() error {
	var organisation, name string
	var newest int64
	var record []byte
	return c.each(`select c.organisation, c.name, coalesce(case when starts_with(c.name, 'verifications/') then v.seq else h.seq end,
			(select feed_start from meta)), c.record
		from cursors c left join feed_head h on h.organisation = c.organisation
			left join code_head v on v.organisation = c.organisation`, []any{&organisation, &name, &newest, &record}, func() {
		var at orders.Cursor
		if _, err := (row{}).decode("cursor", record, func(c *coder) { c.cursor(&at) }); err != nil {
			c.fault("%w %q of %q", err, name, organisation)
		} else if at.Seq > uint64(newest) || at.Begin > at.Seq {
			c.fault("cursor %q of %q is at %d, begun at %d, and the feed's newest number is %d", name, organisation, at.Seq, at.Begin, newest)
		}
	})
}
