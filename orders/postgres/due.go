package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// Deadlines are kept by one node, the keeper. It looks at shipments by their deadline, from a mark on: what lies before
// the mark is settled. The mark stays a while behind the present, because a write that has just begun may bring a
// deadline of the present; a write that brings an older one takes the mark back (kept.low).

const (
	// dueScan bounds how many rows one call of Due reads.
	dueScan = 10_000
	// lowMargin is how old a deadline is that takes the mark back, and markLag how far the mark stays behind.
	// Between them there is time for any write to end.
	lowMargin = time.Minute
	markLag   = lowMargin + 2*writeTime
	// markEvery is how far the mark moves at least before it is stored.
	markEvery = 10 * time.Second

	readDue = `select id, deadline, status, claim_until from shipments where deadline >= $1 and deadline <= $2 order by deadline limit $3`
	readNow = `select deadline from shipments where deadline > $1 order by deadline limit 1`
)

// dueMark is where Due begins.
type dueMark struct {
	mu     sync.Mutex // one Due at a time
	mark   time.Time
	stored time.Time // as it is in the database
}

// scan is what one call of Due has seen.
type scan struct {
	due  []uuid.UUID
	open time.Time // the first deadline of an unsettled shipment; zero: there is none
	last time.Time
	ends time.Time // the first end of a claim in flight
	n    int
}

// Due implements orders.Journal. Of a node that is not the keeper nothing is due.
func (j *Journal) Due(ctx context.Context, now time.Time, limit int) (due []uuid.UUID, next time.Time, err error) {
	if !j.lease.keeper() {
		return nil, time.Time{}, nil
	}
	j.due.mu.Lock()
	defer j.due.mu.Unlock()
	low, err := j.readMark(ctx)
	if err != nil {
		return nil, time.Time{}, unavailable(err)
	}
	s, err := j.scan(ctx, j.due.mark, now, limit)
	if err != nil {
		return nil, time.Time{}, unavailable(err)
	}
	all := s.n < dueScan && len(s.due) < limit
	if all {
		if err := j.pool.QueryRow(ctx, readNow, now).Scan(&next); err != nil && err != pgx.ErrNoRows {
			return nil, time.Time{}, unavailable(err)
		}
		next = inUTC(next)
	} else {
		next = now
	}
	if !s.ends.IsZero() && (next.IsZero() || s.ends.Before(next)) {
		next = s.ends
	}
	return s.due, next, j.advance(ctx, s, all, now, low)
}

// inUTC returns the time in UTC; the zero time stays.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// readMark reads how far a write has taken the mark back, and goes there.
func (j *Journal) readMark(ctx context.Context) (low *time.Time, err error) {
	d := &j.due
	var stored time.Time
	if err := j.pool.QueryRow(ctx, "select mark, low from kept").Scan(&stored, &low); err != nil {
		return nil, err
	}
	if d.mark.IsZero() || stored.After(d.stored) { // it is new here, or another node was the keeper meanwhile
		d.mark = stored.Add(-time.Hour)
	}
	d.stored = stored
	if low != nil && low.Before(d.mark) {
		d.mark = *low
	}
	return low, nil
}

func (j *Journal) scan(ctx context.Context, from, now time.Time, limit int) (s scan, err error) {
	rows, err := j.pool.Query(ctx, readDue, from, now, dueScan)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() && len(s.due) < limit {
		var id [16]byte
		var status int16
		var claim *time.Time
		if err := rows.Scan(&id, &s.last, &status, &claim); err != nil {
			return s, err
		}
		s.n++
		shipment := orders.Shipment{Status: orders.Status(status), Channel: orders.Status(status).Channel()}
		if claim != nil {
			shipment.ClaimUntil = claim.UTC()
		}
		if shipment.Status.Final() || shipment.Status.Free() {
			continue
		}
		if s.open.IsZero() {
			s.open = s.last
		}
		if !shipment.InFlight(now) {
			s.due = append(s.due, id)
		} else if s.ends.IsZero() || shipment.ClaimUntil.Before(s.ends) {
			s.ends = shipment.ClaimUntil
		}
	}
	return s, rows.Err()
}

// advance moves the mark on to the first shipment that is not settled, or as near to the present as it may come.
func (j *Journal) advance(ctx context.Context, s scan, all bool, now time.Time, low *time.Time) error {
	d := &j.due
	to := now.Add(-markLag)
	if !s.open.IsZero() && s.open.Before(to) {
		to = s.open
	} else if !all && s.last.Before(to) {
		to = s.last
	}
	if to.After(d.mark) {
		d.mark = to
	}
	if low == nil && d.mark.Before(d.stored.Add(markEvery)) {
		return nil
	}
	mark := d.mark
	err := j.beside(ctx, func(b *pgx.Batch) {
		b.Queue("update kept set mark = $1, low = null where low is not distinct from $2", mark, low)
	})
	if err == nil {
		d.stored = mark
	}
	return err
}
