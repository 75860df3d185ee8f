package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"straks/orders"
	"straks/orders/ledger"
)

// What a transaction reads and locks first, in one trip. Locks are taken in one order: keys, references, shipments,
// block lists, each by its key; and last, with what is written, heads of feeds. What breaks the order is a
// deadlock, which the server ends, and is done again.

// $1 hashes of references, $2 ids, $3 forms of numbers.
const (
	selectRefs   = `select hash, bound, bound_part, before, before_part, parked, at from refs where hash = any(`
	selectParked = `select id, carrier, at, octets, record from parked where id = `

	// leads are the reports that wait under the references.
	leads = `array(select parked from refs where hash = any($1::bytea[]) and parked is not null)`
	// named are the shipments that the events name, that the references are bound to, and that are unanswered and to
	// the numbers.
	named = `any(array(select unnest($2::uuid[])
		union select bound from refs where hash = any($1::bytea[]) and bound is not null
		union select before from refs where hash = any($1::bytea[]) and before is not null
		union select shipment from unanswered where number = any($3::bytea[])))`

	lockRefs   = selectRefs + `$1::bytea[]) order by hash for update`
	readParked = selectParked + `any(` + leads + `)`
	lockOthers = selectRefs + `array(select unnest(refs) from parked where id = any(` + leads + `))) order by hash for update`

	selectShipments = `select id, key, node, epoch, record from shipments where id = `
	lockShipments   = selectShipments + named + ` order by id for update`
	readUnanswered  = `select number, shipment from unanswered where number = any($1::bytea[])`
	lockBlocks      = `select hash, record from blocked where hash = any($1::bytea[]) order by hash for update`
	readClock       = `select clock_timestamp()`
)

// load reads and locks all that the events need.
func (w *work) load(ctx context.Context, events []orders.Event) error {
	shipments, names, numbers := ledger.Names(events)
	var refs, blocks []hash
	for _, n := range names {
		refs = append(refs, refForms(w.box, n.Carrier, n.Ref)...)
	}
	listed := slices.ContainsFunc(names, func(n ledger.Name) bool { return n.Carrier == orders.MailReports })
	for _, e := range events {
		if b, ok := e.(orders.Block); ok {
			listed = true
			blocks = append(blocks, blockForms(w.box, b.Organisation, b.Channel, orders.BlockForm(b.Channel, b.Recipient))...)
		}
	}
	b := &pgx.Batch{}
	b.Queue("begin")
	if len(refs) > 0 {
		b.Queue(lockRefs, octets(refs)).Query(w.scanRefs)
		b.Queue(lockOthers, octets(refs)).Query(w.scanRefs)
		// Last: a reference that was read above leads to a report that is there, also if it was parked meanwhile.
		b.Queue(readParked, octets(refs)).Query(w.scanParked)
	}
	of := [][]byte{}
	for _, n := range numbers {
		of = append(of, numberForms(w.box, n)...)
	}
	b.Queue(lockShipments, octets(refs), ids(shipments), of).Query(w.scanShipments)
	if len(of) > 0 {
		b.Queue(readUnanswered, of).Query(w.scanUnanswered)
	}
	if !w.j.opt.callersTime {
		b.Queue(readClock).QueryRow(func(row pgx.Row) error { return row.Scan(&w.now) })
	}
	if err := w.conn.send(ctx, b); err != nil || !listed { // of shipments, reports about mails alone change a block list
		return err
	}
	return w.loadBlocks(ctx, blocks)
}

// loadBlocks reads and locks entries of block lists: these, and those of the mails that were read. It is a trip of its own:
// only with a mail's recipient is its entry known.
func (w *work) loadBlocks(ctx context.Context, blocks []hash) error {
	for _, r := range w.rows {
		if r.Channel == orders.Email && r.bad == nil {
			blocks = append(blocks, w.blockForms(&r.Shipment)...)
		}
	}
	if len(blocks) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue(lockBlocks, octets(blocks)).Query(w.scanBlocks)
	return w.conn.send(ctx, b)
}

// blockForms returns where the shipment's recipient may be on a block list.
func (w *work) blockForms(s *orders.Shipment) []hash {
	return blockForms(w.box, s.Organisation, s.Channel, orders.BlockForm(s.Channel, s.Recipient))
}

const (
	lockShipmentsOfKeys = selectShipments + `any(array(select shipment from keys where hash = any($1::bytea[]))) order by id for update`
	readBlocks          = `select hash, record from blocked where hash = any($1::bytea[])`

	// takeKeys gives keys that are new to the shipments of the orders, and locks those that are known. It writes in
	// both cases: so its commit, and with that the answer, waits for a standby.
	takeKeys = `insert into keys (hash, shipment) select * from unnest($1::bytea[], $2::uuid[]) as u (h, s) order by h
		on conflict (hash) do update set shipment = keys.shipment returning hash, shipment`
)

// loadKeys reads and locks all that orders need, each with another key.
func (w *work) loadKeys(ctx context.Context, in []*orders.AcceptRequest) error {
	var keys, blocks []hash
	var candidates []uuid.UUID
	for _, a := range in {
		keys = append(keys, hashOf(a.Organisation, a.Key))
		candidates = append(candidates, a.Shipment)
		blocks = append(blocks, blockForms(w.box, a.Organisation, a.Channel, orders.BlockForm(a.Channel, a.Recipient))...)
	}
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(takeKeys, octets(keys), ids(candidates)).Query(w.scanKeys)
	b.Queue(lockShipmentsOfKeys, octets(keys)).Query(w.scanShipments)
	b.Queue(selectShipments+"any($1::uuid[])", ids(candidates)).Query(w.scanShipments)
	b.Queue(readBlocks, octets(blocks)).Query(w.scanBlocks)
	if !w.j.opt.callersTime {
		b.Queue(`select id, epoch from nodes`).Query(w.scanNodes)
	}
	return w.conn.send(ctx, b)
}

// loadOldest reads and locks the carrier's report that waits longest, and its references. "": none waits.
func (w *work) loadOldest(carrier string) (oldest ledger.ParkedID, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	var gone []uuid.UUID
	for id, r := range w.parked {
		if r.gone {
			gone = append(gone, uuid.UUID([]byte(id)))
		}
	}
	b := &pgx.Batch{}
	b.Queue(`select id, carrier, at, octets, record from parked where carrier = $1 and id <> all($2::uuid[]) order by at limit 1 for update`,
		carrier, ids(gone)).Query(func(rows pgx.Rows) error {
		return w.eachParked(rows, func(id ledger.ParkedID) { oldest = id })
	})
	if err := w.conn.send(ctx, b); err != nil || oldest == "" {
		return "", lostIn(err)
	}
	var missing []hash
	for _, ref := range w.parked[oldest].Refs {
		if _, r := w.ref(carrier, ref); r == nil {
			missing = append(missing, refForms(w.box, carrier, ref)...)
		}
	}
	b = &pgx.Batch{}
	b.Queue(lockRefs, octets(missing)).Query(w.scanRefs)
	return oldest, lostIn(w.conn.send(ctx, b))
}

// lostIn returns a failure of the database in the midst of the rules, so that it is not taken for one of the call.
func lostIn(err error) error {
	if pg := (*pgconn.PgError)(nil); err == nil || errors.As(err, &pg) {
		return err
	}
	return unavailable(err)
}

func (w *work) scanNodes(rows pgx.Rows) error {
	for rows.Next() {
		var id int
		var epoch int64
		if err := rows.Scan(&id, &epoch); err != nil {
			return err
		}
		w.epochs[id] = epoch
	}
	return rows.Err()
}

func (w *work) scanKeys(rows pgx.Rows) error {
	for rows.Next() {
		var h []byte
		var id [16]byte
		if err := rows.Scan(&h, &id); err != nil {
			return err
		}
		w.keys[hash(h)] = &keyRow{shipment: id}
	}
	return rows.Err()
}

// scanRefs keeps the references that are not there yet.
func (w *work) scanRefs(rows pgx.Rows) error {
	for rows.Next() {
		var h []byte
		var bound, before, parked *[16]byte
		r := &refRow{there: true}
		if err := rows.Scan(&h, &bound, &r.Bound.Part, &before, &r.Before.Part, &parked, &r.at); err != nil {
			return err
		}
		if bound != nil {
			r.Bound.Shipment = *bound
		}
		if before != nil {
			r.Before.Shipment = *before
		}
		if parked != nil {
			r.Parked = ledger.ParkedID(parked[:])
		}
		r.Stored = true
		if w.refs[hash(h)] == nil {
			w.refs[hash(h)] = r
		}
	}
	return rows.Err()
}

func (w *work) scanParked(rows pgx.Rows) error {
	return w.eachParked(rows, func(ledger.ParkedID) {})
}

func (w *work) eachParked(rows pgx.Rows, visit func(ledger.ParkedID)) error {
	for rows.Next() {
		var id [16]byte
		var record []byte
		r := &parkedRow{}
		var carrier string
		var at time.Time
		if err := rows.Scan(&id, &carrier, &at, &r.octets, &record); err != nil {
			return err
		}
		if r.Report, r.bad = decodeReport(w.box, id, record); r.bad != nil {
			r.Carrier, r.At = carrier, at
		}
		key := ledger.ParkedID(id[:])
		if w.parked[key] == nil {
			w.parked[key] = r
		}
		visit(key)
	}
	return rows.Err()
}

func (w *work) scanShipments(rows pgx.Rows) error {
	for rows.Next() {
		var id [16]byte
		var key, record []byte
		r := &shipmentRow{}
		if err := rows.Scan(&id, &key, &r.node, &r.epoch, &record); err != nil {
			return err
		}
		copy(r.key[:], key)
		var b beside
		r.Shipment, b, r.bad = readShipment(w.box, id, record)
		r.newer = b.newer
		w.rows[id] = r
	}
	return rows.Err()
}

func (w *work) scanUnanswered(rows pgx.Rows) error {
	for rows.Next() {
		var form []byte
		var id [16]byte
		if err := rows.Scan(&form, &id); err != nil {
			return err
		}
		if number := string(sealedNumber(w.box, form)); !slices.Contains(w.listed[number], id) {
			w.listed[number] = append(w.listed[number], id)
		}
	}
	return rows.Err()
}

func (w *work) scanBlocks(rows pgx.Rows) error {
	for rows.Next() {
		var h, record []byte
		if err := rows.Scan(&h, &record); err != nil {
			return err
		}
		r := &blockRow{was: hash(h)}
		var b beside
		r.Block, b, r.bad = readBlock(w.box, hash(h), record)
		r.newer = b.newer
		w.blocks[hash(h)] = r
	}
	return rows.Err()
}
