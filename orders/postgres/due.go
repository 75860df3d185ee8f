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
// deadline of the present; a write that brings an older one takes the mark back (kept.low). While the database has no
// standby, what is written becomes visible when it has one again: so the mark also stays behind the last write of the mark.
//
// A look begins where the last one ended, so that it costs what there is to do, or at an older deadline that this node has
// stored since. One that another node has stored is found by a look from the mark on, every so often.

const (
	// dueScan bounds how many rows one call of Due reads.
	dueScan = 10_000
	// lowMargin is how old a deadline is that takes the mark back, and markLag how far the mark stays behind.
	// Between them there is time for any write to end.
	lowMargin = time.Minute
	markLag   = lowMargin + 2*writeTime
	// markEvery is how often the mark is stored, and how often a look begins there.
	markEvery = 10 * time.Second

	// answerPause is the pause between two looks for the answer of a claim whose time has ended and whose node lives: it
	// comes after an outage of the database, and counts.
	answerPause = time.Second

	readDue = `select id, deadline, status, claim_until,
			claim_until is not null and ` + ownerLives + `
		from shipments s where deadline >= $1 and deadline <= $2 order by deadline limit $3`
	readNow = `select deadline from shipments where deadline > $1 order by deadline limit 1`
)

// dueMark is how far Due has come. Times of looks and writes are those that the callers of Due have given.
type dueMark struct {
	mu     sync.Mutex // one Due at a time
	mark   time.Time
	stored time.Time // as it is in the database
	wrote  time.Time // when it was to be stored the last time
	proved time.Time // when it was stored the last time: what was written long before that is visible

	at       time.Time // where the next call goes on
	whole    time.Time // when the last look from the mark on began
	fromMark bool      // the present look is one
	ended    bool      // the last look has come to the present
	open     time.Time // the first deadline of an unsettled shipment in the present look; zero: there is none
	flying   time.Time // likewise, of those whose answer may come yet
	ends     time.Time // when to look at one of these again
	again    time.Time // the first deadline that was due when the last look ended

	near nearer
}

// nearer notes the first deadline that this node has stored since the last call of Due, of those that had passed by then.
type nearer struct {
	mu       sync.Mutex
	now      time.Time // of that call
	deadline time.Time // zero: there is none
}

func (n *nearer) brought(deadline time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if deadline.Before(n.now) {
		n.deadline = first(n.deadline, deadline)
	}
}

// take returns what was noted, and begins to note what comes after a call at now.
func (n *nearer) take(now time.Time) (deadline time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	deadline, n.now, n.deadline = n.deadline, now, time.Time{}
	return deadline
}

// scan is what one call of Due has seen.
type scan struct {
	due  []uuid.UUID
	n    int
	last time.Time
	ends time.Time // when to look at the first one again whose answer may come yet

	// The first deadlines of shipments that are unsettled: of all, of those that are due, and of those whose answer may come yet.
	// Zero: there is none.
	open, late, flying time.Time
}

// Due implements orders.Journal. Of a node that is not the keeper nothing is due.
func (j *Journal) Due(ctx context.Context, now time.Time, limit int) (due []uuid.UUID, next time.Time, err error) {
	if !j.lease.keeper() {
		return nil, time.Time{}, nil
	}
	d := &j.due
	d.mu.Lock()
	defer d.mu.Unlock()
	low, err := j.readMark(ctx)
	if err != nil {
		return nil, time.Time{}, unavailable(err)
	}
	if near := d.near.take(now); !near.IsZero() {
		d.at, d.mark = first(near, d.at), first(near, d.mark)
	}
	d.begin(now)
	s, err := j.scan(ctx, d.at, now, limit)
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
	d.open, d.flying, d.ends = first(d.open, s.open), first(d.flying, s.flying), first(d.ends, s.ends)
	next = first(next, d.ends)
	if d.fromMark {
		d.advance(&s, all, now)
	}
	d.move(&s, all, now, limit)
	return s.due, next, j.storeMark(ctx, now, low)
}

// first returns the earlier one of two times, of which a zero one is none.
func first(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// begin begins a look, unless one goes on: at the mark, where none has lately.
func (d *dueMark) begin(now time.Time) {
	if d.at.Before(d.mark) || d.ended && now.Sub(d.whole).Abs() >= markEvery {
		d.at, d.whole, d.fromMark = d.mark, now, true
	} else if d.ended {
		d.fromMark = false
	} else {
		return
	}
	d.ended, d.open, d.flying, d.ends = false, time.Time{}, time.Time{}, time.Time{}
}

// move says where the next call goes on. What was due is looked at again, since its caller may not have come to it: once, as
// a record that can't be read stays as it is.
func (d *dueMark) move(s *scan, all bool, now time.Time, limit int) {
	switch {
	case all:
		d.at, d.ended = first(now, d.flying), true
		if !s.late.IsZero() && !s.late.Equal(d.again) {
			d.at = first(d.at, s.late)
		}
		d.again = s.late
	case len(s.due) == limit:
		d.at = first(s.late, s.flying)
	default:
		d.at = s.last
	}
}

// advance moves the mark on to the first shipment that is not settled, or as near to the present as it may come.
func (d *dueMark) advance(s *scan, all bool, now time.Time) {
	to := first(now, d.proved).Add(-markLag)
	if d.proved.IsZero() {
		return
	}
	if !all {
		to = first(to, s.last)
	}
	if to = first(to, d.open); to.After(d.mark) {
		d.mark = to
	}
}

// storeMark stores the mark now and then, and what a write has taken it back to at once.
func (j *Journal) storeMark(ctx context.Context, now time.Time, low *time.Time) error {
	d := &j.due
	if low == nil && now.Sub(d.wrote).Abs() < markEvery {
		return nil
	}
	mark := d.mark
	d.wrote = now
	err := j.beside(ctx, func(b *pgx.Batch) {
		b.Queue("update kept set mark = $1, low = null where low is not distinct from $2", mark, low)
	})
	if err == nil {
		d.stored, d.proved = mark, now
	}
	return err
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
	if low != nil && low.Before(d.at) {
		d.at = *low
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
		var lives bool
		if err := rows.Scan(&id, &s.last, &status, &claim, &lives); err != nil {
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
		s.open = first(s.open, s.last)
		lives = lives && shipment.Claimed() && !j.opt.callersTime
		if !lives && !shipment.InFlight(now) {
			s.due, s.late = append(s.due, id), first(s.late, s.last)
			continue
		}
		ends := shipment.ClaimUntil
		if lives && ends.Before(now.Add(answerPause)) {
			ends = now.Add(answerPause)
		}
		s.ends, s.flying = first(s.ends, ends), first(s.flying, s.last)
	}
	return s, rows.Err()
}
