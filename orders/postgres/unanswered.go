package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
)

const (
	// claimsBack is how far back from the newest order claims of a process that has ended are looked for. A claim lasts
	// for the send deadline and 2 s. The orders of keys that were tried again may be older: they are in the index. An order
	// with a time to come, of a clock that is ahead, is not the newest.
	claimsBack = 2 * time.Minute
	// claimsMost bounds how many there are in one answer.
	claimsMost = 10_000
	// maxMatching bounds the entries of the index that one call of Matches reads.
	maxMatching = 100_000

	newestID = `select id from shipments where id < $1 order by id desc limit 1`
	// deadClaims are claims that are unanswered, and whose node has another epoch by now: the process has ended, or
	// was declared dead.
	deadClaims = `select s.id, s.record from shipments s where s.claim_until is not null
		and not ` + ownerLives + ` and `
	newClaims    = deadClaims + `s.id >= $1 order by s.id limit $2`
	listedClaims = deadClaims + `s.id = any(array(select shipment from unanswered)) order by s.id limit $1`

	readListed  = `select number, shipment from unanswered limit $1`
	readWaiting = `select number, id, record from parked where number = any($1::bytea[]) order by id`
	// readAnyForm is readWaiting while reports may wait under a number in the clear. The order is that in which they came.
	readAnyForm = `select number, id, record from parked where number = any($1::bytea[]) or octet_length(number) = $2 order by id`
)

// abandoned is what the last look for claims of ended processes has found.
type abandoned struct {
	mu      sync.Mutex
	settled string // the epochs of all nodes as they were when none was found; empty: there was no such look
}

// Abandoned implements orders.Journal. The keeper looks, whenever the epoch of a node has changed. So does a node that has
// found one dead, or that begins again after its own death: it knows when that was. All may have been down for long, and
// one of them may have taken orders since.
func (j *Journal) Abandoned(ctx context.Context) (left []orders.Shipment, err error) {
	died := j.lease.firstDeath()
	if !j.lease.keeper() && died.IsZero() {
		return nil, nil
	}
	j.ended.mu.Lock()
	defer j.ended.mu.Unlock()
	var epochs string
	if err := j.pool.QueryRow(ctx, "select coalesce(string_agg(id || ':' || epoch, ' ' order by id), '-') from nodes").Scan(&epochs); err != nil {
		return nil, unavailable(err)
	}
	if epochs == j.ended.settled && died.IsZero() {
		return nil, nil
	}
	var newest [16]byte
	if err := j.pool.QueryRow(ctx, newestID, [16]byte(firstID(j.Now().Add(time.Second)))).Scan(&newest); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, unavailable(err)
	}
	seen := make(map[uuid.UUID]bool)
	from := firstID(first(idTime(newest), died).Add(-claimsBack))
	if err = j.claims(ctx, seen, &left, newClaims, [16]byte(from), claimsMost); err == nil {
		err = j.claims(ctx, seen, &left, listedClaims, claimsMost)
	}
	if err == nil && len(left) == 0 {
		j.ended.settled = epochs
		j.lease.searched(died)
	}
	return left, err
}

func (j *Journal) claims(ctx context.Context, seen map[uuid.UUID]bool, left *[]orders.Shipment, sql string, args ...any) error {
	rows, err := j.pool.Query(ctx, sql, args...)
	if err != nil {
		return unavailable(err)
	}
	defer rows.Close()
	box := j.box()
	for rows.Next() {
		var id [16]byte
		var record []byte
		if err := rows.Scan(&id, &record); err != nil {
			return unavailable(err)
		}
		s, err := decodeShipment(box, id, record)
		if err != nil {
			j.unread("shipment", err)
		} else if !seen[id] && !s.ClaimUntil.IsZero() {
			*left = append(*left, s)
			seen[id] = true
		}
	}
	if rows.Err() != nil {
		return unavailable(rows.Err())
	}
	return nil
}

// Matches implements orders.Journal. The keeper matches; it costs little while nothing is unanswered.
func (j *Journal) Matches(ctx context.Context, before, now time.Time, limit int) (found []orders.Match, err error) {
	if !j.lease.keeper() {
		return nil, nil
	}
	w := &work{j: j, box: j.box(), rows: map[uuid.UUID]*shipmentRow{}, listed: map[string][]uuid.UUID{}}
	err = j.read(ctx, w.scanUnanswered, readListed, maxMatching)
	if err != nil || len(w.listed) == 0 {
		return nil, err
	}
	numbers := make([][]byte, 0, len(w.listed))
	for number := range w.listed {
		numbers = append(numbers, []byte(number))
	}
	waiting := make(map[string][]orders.Report)
	sql, args := readWaiting, []any{numbers}
	if w.box.Plain() {
		sql, args = readAnyForm, append(args, numberSize)
	}
	err = j.read(ctx, func(rows pgx.Rows) error { return w.scanWaiting(rows, waiting) }, sql, args...)
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	var all []uuid.UUID
	for number := range waiting {
		all = append(all, w.listed[number]...)
	}
	if err := j.read(ctx, w.scanShipments, selectShipments+"any($1::uuid[])", ids(all)); err != nil {
		return nil, err
	}
	for number, reports := range waiting {
		var shipments []orders.Shipment
		for _, id := range w.listed[number] {
			if r := w.rows[id]; r != nil && r.bad == nil {
				shipments = append(shipments, r.Shipment)
			}
		}
		found = append(found, orders.FindMatches(reports, shipments, before, now)...)
	}
	return found[:min(len(found), limit)], nil
}

// scanWaiting reads reports that wait for listed numbers. Retention drops what can't be read.
func (w *work) scanWaiting(rows pgx.Rows, waiting map[string][]orders.Report) error {
	for rows.Next() {
		var form, record []byte
		var id [16]byte
		if err := rows.Scan(&form, &id, &record); err != nil {
			return err
		}
		number := string(sealedNumber(w.box, form))
		if r, err := decodeReport(w.box, id, record); err == nil && w.listed[number] != nil {
			waiting[number] = append(waiting[number], r)
		}
	}
	return rows.Err()
}

// read runs a query over the pool.
func (j *Journal) read(ctx context.Context, scan func(pgx.Rows) error, sql string, args ...any) error {
	rows, err := j.pool.Query(ctx, sql, args...)
	if err == nil {
		defer rows.Close()
		err = scan(rows)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}
