package postgres

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders/ledger"
	"straks/orders/sealed"
)

// ErrMoving reports a journal that another one's contents are being taken over into.
var ErrMoving = errors.New("another journal is being moved into it: run \"straks journal move\" again until it says that it is done")

// Source gives all records of a table (bolt.ReadOnly.Contents).
type Source func(ctx context.Context, table ledger.Table, visit func(ledger.Record) error) error

// moving stands in place of the schema's version while another journal's contents are taken over: no program opens it.
func moving(opt Options) int { return -len(opt.schema()) }

// Import takes over the contents of another journal, table by table, each in a transaction of its own: so it may be
// killed, and goes on where it was. It is for one goroutine.
type Import struct {
	conn   *pgx.Conn
	source Source
	schema int
	box    *sealed.Box // nil: recipients are in the clear here
}

// Moved is what was taken over of one table.
type Moved struct {
	Table   ledger.Table
	Records int64
	Before  bool // by an earlier run
}

// NewImport makes a journal whose feeds begin above opt.FeedStart, or goes on with one whose import has not ended. It
// fails where there is a journal in use.
func NewImport(ctx context.Context, opt Options, source Source) (*Import, error) {
	err := locked(ctx, opt, func(tx pgx.Tx) error {
		v, err := version(ctx, tx)
		switch {
		case err == nil && v == moving(opt):
			return nil
		case err == nil && v < 0:
			return fmt.Errorf("%w, with the version of straks that has begun it", ErrMoving)
		case err == nil:
			return fmt.Errorf("%w, of schema version %d: a journal can be moved into a database without one", ErrExists, v)
		case !errors.Is(err, ErrMissing):
			return err
		}
		if err := create(ctx, tx, opt, moving(opt)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "create table straks.moved (name text primary key, records bigint not null)")
		return err
	})
	if err != nil {
		return nil, err
	}
	cfg, err := opt.withDefaults().config()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
		cfg.RuntimeParams[name] = "on"
	}
	delete(cfg.RuntimeParams, "idle_in_transaction_session_timeout") // the other journal may be slow to read
	conn, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	m := &Import{conn: conn, source: source, schema: len(opt.schema())}
	if m.box, err = m.attach(ctx, opt.Keys); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// attach takes the journal's keys into use.
func (m *Import) attach(ctx context.Context, keys sealed.Keys) (*sealed.Box, error) {
	box, state, next, err := attached(ctx, m.conn, keys)
	if err == nil && next != nil {
		_, err = m.conn.Exec(ctx, writeSealing, state, next)
	}
	return box, err
}

// Close releases the connection.
func (m *Import) Close() { closeConn(m.conn) }

// Take takes over a table, unless an earlier run has. progress is called with the number of records now and then.
func (m *Import) Take(ctx context.Context, table ledger.Table, progress func(n int64)) (done Moved, err error) {
	done.Table = table
	err = m.conn.QueryRow(ctx, "select records from straks.moved where name = $1", string(table)).Scan(&done.Records)
	if err == nil {
		done.Before = true
		return done, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return done, err
	}
	err = pgx.BeginFunc(ctx, m.conn, func(tx pgx.Tx) error {
		t := taking{ctx: ctx, tx: tx, source: m.source, box: m.box, progress: progress}
		if done.Records, err = t.take(table); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "insert into straks.moved values ($1, $2)", string(table), done.Records)
		return err
	})
	return done, err
}

// taking is one table on its way.
type taking struct {
	ctx      context.Context
	tx       pgx.Tx
	source   Source
	box      *sealed.Box
	progress func(n int64)
}

func (t *taking) take(table ledger.Table) (int64, error) {
	switch table {
	case ledger.TableShipments:
		return t.shipments()
	case ledger.TableKeys:
		return t.copy(table, "keys", []string{"hash", "shipment"}, func(r ledger.Record) []any {
			k := r.(ledger.KeyRecord)
			return []any{k.Hash, [16]byte(k.Shipment)}
		})
	case ledger.TableParked:
		return t.copy(table, "parked", []string{"id", "carrier", "at", "number", "octets", "refs", "record"}, t.parkedColumns)
	case ledger.TableRefs:
		return t.copy(table, "refs", []string{"hash", "bound", "bound_part", "before", "before_part", "parked", "at"}, t.refRowOf)
	case ledger.TableBlocks:
		return t.copy(table, "blocked", []string{"hash", "gone", "suppression", "record"}, func(r ledger.Record) []any {
			b := r.(ledger.BlockRecord)
			if b.Block.Recipient != "" { // else it is of an old version, and its hash was never made with a key
				h := blockForms(t.box, b.Block.Organisation, b.Block.Channel, b.Block.Recipient)[0]
				b.Hash = h[:]
			}
			return []any{b.Hash, goneAt(&b.Block), b.Block.Suppression(), encodeBlock(t.box, hash(b.Hash), &b.Block, nil)}
		})
	case ledger.TableFeed:
		return t.copy(table, "feed", []string{"organisation", "seq", "shipment", "status", "at"}, func(r ledger.Record) []any {
			e := r.(ledger.FeedRecord)
			return []any{e.Organisation, int64(e.Seq), [16]byte(e.Shipment), int16(e.Status), e.At}
		})
	case ledger.TableHeads:
		return t.copy(table, "feed_head", []string{"organisation", "seq"}, func(r ledger.Record) []any {
			h := r.(ledger.HeadRecord)
			return []any{h.Organisation, int64(h.Seq)}
		})
	case ledger.TableCursors:
		return t.copy(table, "cursors", []string{"organisation", "name", "record"}, func(r ledger.Record) []any {
			c := r.(ledger.CursorRecord).Cursor
			return []any{c.Organisation, c.Name, row{}.encode(func(w *coder) { w.cursor(&c) })}
		})
	case ledger.TableCodes:
		return t.copy(table, "codes", []string{"kind", "key", "due", "record"}, func(r ledger.Record) []any {
			c := r.(ledger.CodeRecord)
			return []any{int16(c.Kind), c.Key, c.Due, append([]byte{}, c.Record...)}
		})
	case ledger.TableCodeFeed:
		return t.copy(table, "code_feed", []string{"organisation", "seq", "at", "entry"}, func(r ledger.Record) []any {
			e := r.(ledger.CodeFeedRecord)
			return []any{e.Organisation, int64(e.Seq), e.At, append([]byte{}, e.Entry...)}
		})
	case ledger.TableCodeHeads:
		return t.copy(table, "code_head", []string{"organisation", "seq"}, func(r ledger.Record) []any {
			h := r.(ledger.CodeHeadRecord)
			return []any{h.Organisation, int64(h.Seq)}
		})
	}
	return 0, fmt.Errorf("journal: no table is called %q", table)
}

// copy copies a table's records into one of the schema. columns returns nil for a record that is left out.
func (t *taking) copy(table ledger.Table, into string, names []string, columns func(ledger.Record) []any) (int64, error) {
	return t.copyInto(table, pgx.Identifier{"straks", into}, names, columns)
}

func (t *taking) copyInto(table ledger.Table, into pgx.Identifier, names []string, columns func(ledger.Record) []any) (n int64, err error) {
	records := iter.Seq2[[]any, error](func(yield func([]any, error) bool) {
		err := t.source(t.ctx, table, func(r ledger.Record) error {
			row := columns(r)
			if row != nil && !yield(row, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	})
	next, stop := iter.Pull2(records)
	defer stop()
	return t.tx.CopyFrom(t.ctx, into, names, pgx.CopyFromFunc(func() ([]any, error) {
		row, err, ok := next()
		if !ok || err != nil {
			return nil, err
		}
		if n++; n%progressEvery == 0 {
			t.progress(n)
		}
		return row, nil
	}))
}

// progressEvery is after how many records the caller learns how far an import is.
const progressEvery = 10_000

var errEnough = errors.New("no more records are wanted")

// shipments takes over shipments, and the index of those that are unanswered. A shipment has its key too, which is found by
// the keys that were taken over before: in one join over a temporary copy, since there is no index for it.
func (t *taking) shipments() (int64, error) {
	first, err := t.weeks()
	if err != nil {
		return 0, err
	}
	if _, err := t.tx.Exec(t.ctx, "create temp table moving_shipments (like straks.shipments) on commit drop"); err != nil {
		return 0, err
	}
	names := []string{"id", "key", "node", "epoch", "organisation", "status", "deadline", "claim_until", "record"}
	n, err := t.copyTemp(names)
	if err != nil {
		return 0, err
	}
	for _, statement := range []string{
		"analyze moving_shipments", "analyze straks.keys",
		`insert into straks.shipments (id, key, node, epoch, organisation, status, deadline, claim_until, record)
			select m.id, coalesce(k.hash, ''), m.node, m.epoch, m.organisation, m.status, m.deadline, m.claim_until, m.record
			from moving_shipments m left join straks.keys k on k.shipment = m.id`,
	} {
		if _, err := t.tx.Exec(t.ctx, statement); err != nil {
			return 0, err
		}
	}
	if _, err := t.tx.Exec(t.ctx, "update straks.kept set mark = $1", first); err != nil {
		return 0, err
	}
	_, err = t.copy(ledger.TableShipments, "unanswered", []string{"number", "shipment", "until"}, func(r ledger.Record) []any {
		s := r.(ledger.ShipmentRecord).Shipment
		if !s.Listed || s.Recipient.Number() == "" {
			return nil
		}
		return []any{numberForms(t.box, s.Recipient.Number())[0], [16]byte(s.ID), s.MatchedUntil().Add(ledger.ParkedRetention)}
	})
	return n, err
}

// deadNode is a node that does not exist: claims of the other journal's process have ended with it.
const deadNode = 0

// copyTemp copies all shipments into a temporary table, without their keys.
func (t *taking) copyTemp(names []string) (int64, error) {
	var one shipmentColumns
	return t.copyInto(ledger.TableShipments, pgx.Identifier{"moving_shipments"}, names, func(r ledger.Record) []any {
		s := r.(ledger.ShipmentRecord).Shipment
		one = shipmentColumns{box: t.box}
		one.add(&shipmentRow{Shipment: s, node: deadNode})
		return []any{one.ids[0], []byte{}, one.nodes[0], one.epochs[0], one.organisations[0], one.statuses[0], one.deadlines[0], one.claims[0], one.records[0]}
	})
}

// weeks makes the partitions of all shipments, and returns the first deadline that is still to be kept.
func (t *taking) weeks() (first time.Time, err error) {
	seen := make(map[time.Time]bool)
	first = time.Now().Add(-time.Hour)
	err = t.source(t.ctx, ledger.TableShipments, func(r ledger.Record) error {
		s := r.(ledger.ShipmentRecord).Shipment
		if !s.Status.Final() && !s.Status.Free() && s.Deadline.Before(first) {
			first = s.Deadline.Add(-time.Second)
		}
		at := weekOf(idTime(s.ID))
		if seen[at] {
			return nil
		}
		seen[at] = true
		return makeWeek(t.ctx, t.tx, at)
	})
	return first, err
}

// parkedID is what a report that waits in another journal is called here: the same in each run.
func parkedID(carrier string, id ledger.ParkedID) uuid.UUID {
	return uuid.NewHash(sha1.New(), uuid.NameSpaceOID, []byte(carrier+"\x00"+string(id)), 5)
}

func (t *taking) parkedColumns(record ledger.Record) []any {
	p := record.(ledger.ParkedRecord)
	r, id := p.Report, parkedID(p.Report.Carrier, p.ID)
	refs := make([][]byte, len(r.Refs))
	for i, ref := range r.Refs {
		h := refForms(t.box, r.Carrier, ref)[0]
		refs[i] = h[:]
	}
	row := encodeReport(t.box, id, &r, nil)
	return []any{[16]byte(id), r.Carrier, r.At, numberOf(t.box, &r), int32(len(row)), refs, row}
}

func (t *taking) refRowOf(record ledger.Record) []any {
	r := record.(ledger.RefRecord)
	h := refForms(t.box, r.Name.Carrier, r.Name.Ref)[0]
	var parked *[16]byte
	if r.Ref.Parked != "" {
		id := [16]byte(parkedID(r.Name.Carrier, r.Ref.Parked))
		parked = &id
	}
	return []any{h[:], orNull(r.Ref.Bound.Shipment), int32(r.Ref.Bound.Part), orNull(r.Ref.Before.Shipment), int32(r.Ref.Before.Part), parked, r.At}
}

// Finish checks what was taken over, and opens the journal to nodes.
func (m *Import) Finish(ctx context.Context) error {
	return pgx.BeginFunc(ctx, m.conn, func(tx pgx.Tx) error {
		for _, table := range ledger.AllTables() {
			var took, there int64
			if err := tx.QueryRow(ctx, "select records from straks.moved where name = $1", string(table)).Scan(&took); err != nil {
				return fmt.Errorf("the %s were not moved: %w", table, err)
			}
			if err := tx.QueryRow(ctx, "select count(*) from straks."+tableNames[table]).Scan(&there); err != nil {
				return err
			}
			if took != there {
				return fmt.Errorf("%d %s were moved, and %d are there", took, table, there)
			}
		}
		if err := checkAll(ctx, tx, m.box, func(int64) {}); err != nil {
			return err
		}
		if err := m.settle(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "drop table straks.moved"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "update straks.meta set schema = $1", m.schema)
		return err
	})
}

// settle notes that all recipients were sealed on their way, so that retention does not walk through all tables to find that out.
// What an old version has put on a block list may not say whose it is, and stays under a hash that anybody can make.
func (m *Import) settle(ctx context.Context, tx pgx.Tx) error {
	if m.box.Settled() || !m.box.OneKey() {
		return nil
	}
	plain := false
	if err := m.source(ctx, ledger.TableBlocks, func(r ledger.Record) error {
		plain = plain || r.(ledger.BlockRecord).Block.Recipient == ""
		return nil
	}); err != nil {
		return err
	}
	_, state := m.box.Resealed(plain)
	_, err := tx.Exec(ctx, "update straks.meta set sealing = $1", state)
	return err
}

var tableNames = map[ledger.Table]string{
	ledger.TableShipments: "shipments", ledger.TableKeys: "keys", ledger.TableParked: "parked", ledger.TableRefs: "refs",
	ledger.TableBlocks: "blocked", ledger.TableFeed: "feed", ledger.TableHeads: "feed_head", ledger.TableCursors: "cursors",
	ledger.TableCodes: "codes", ledger.TableCodeFeed: "code_feed", ledger.TableCodeHeads: "code_head",
}
