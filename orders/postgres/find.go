package postgres

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

const (
	// findStep is how many shipments one statement reads: an operator's look-up holds no snapshot for long.
	findStep = 5000
	// findSlack is how much later than its id a shipment may have been accepted: a retried key keeps its id.
	findSlack = 24 * time.Hour

	olderThan = "select id, record from shipments where id >= $1 and id < $2 order by id desc limit $3"
)

var lastID = uuid.Max

// Find implements orders.Journal. There is no index of recipients: it looks through the shipments.
func (j *Journal) Find(ctx context.Context, q orders.FindQuery) (found []orders.Shipment, err error) {
	from, before := firstID(q.Since.Add(-findSlack)), lastID
	if q.Since.IsZero() {
		from = uuid.Nil
	}
	if q.Shipment != uuid.Nil {
		from, before = q.Shipment, ledger.After(q.Shipment)
	}
	box := j.box()
	needle := needleOf(box, &q)
	for len(found) < q.Limit {
		n, err := j.each(ctx, olderThan, from, before, func(id uuid.UUID, record []byte) {
			before = id
			if needle != nil && !bytes.Contains(record, needle) || len(found) >= q.Limit {
				return
			}
			s, err := decodeShipment(box, id, record)
			if err != nil {
				j.unread("shipment", err)
			} else if q.Matches(&s) && !s.Accepted.Before(q.Since) {
				found = append(found, s)
			}
		})
		if err != nil || n < findStep {
			return found, err
		}
	}
	return found, nil
}

// Waiting implements orders.Journal.
func (j *Journal) Waiting(ctx context.Context, to orders.Recipient, limit int) (found []orders.Report, err error) {
	box := j.box()
	rows, err := j.pool.Query(ctx, "select id, record from parked where number = any($1::bytea[]) limit $2", numberForms(box, to.Number()), limit)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id [16]byte
		var record []byte
		if err := rows.Scan(&id, &record); err != nil {
			return nil, unavailable(err)
		}
		if r, err := decodeReport(box, id, record); err != nil {
			j.unread("parked report", err)
		} else {
			found = append(found, r)
		}
	}
	if rows.Err() != nil {
		return nil, unavailable(rows.Err())
	}
	return found, nil
}

// each visits up to findStep records of a range, and returns how many there were.
func (j *Journal) each(ctx context.Context, sql string, from, to uuid.UUID, visit func(uuid.UUID, []byte)) (n int, err error) {
	rows, err := j.pool.Query(ctx, sql, [16]byte(from), [16]byte(to), findStep)
	if err != nil {
		return 0, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id [16]byte
		var record []byte
		if err := rows.Scan(&id, &record); err != nil {
			return n, unavailable(err)
		}
		n++
		visit(id, record)
	}
	if rows.Err() != nil {
		return n, unavailable(rows.Err())
	}
	return n, nil
}

// firstID returns the lowest UUIDv7 of a time.
func firstID(at time.Time) (id uuid.UUID) {
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// needleOf returns octets that the record of every shipment has which the query is about; nil where letter case could
// hide them, or the record may be of either form. It spares the decoding of nearly all.
func needleOf(box *sealed.Box, q *orders.FindQuery) []byte {
	switch {
	case q.Recipient != "" && box.Plain():
		return nil
	case q.Recipient != "" && box.Seals():
		return box.Finder(string(q.Recipient))
	}
	text := string(q.Recipient) + q.Word
	if text == "" || strings.ToUpper(text) != strings.ToLower(text) {
		return nil
	}
	return []byte(text)
}
