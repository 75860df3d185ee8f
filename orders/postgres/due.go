package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// Deadlines are kept by one node, the keeper. It looks at shipments by their deadline, from a mark on (mark.go): what lies
// before the mark is settled.
//
// A look goes on where the last one ended, so that it costs what there is to do, or at an older deadline that this node has
// stored since. One that another node has stored is found by a look from the mark on, every so often.

const (
	// dueScan bounds how many rows one call of Due reads.
	dueScan = 10_000
	// answerPause is the pause between two looks for the answer of a claim whose time has ended and whose node lives: it
	// comes after an outage of the database, and counts.
	answerPause = time.Second

	readDue = `select id, deadline, status, claim_until,
			claim_until is not null and ` + ownerLives + `
		from shipments s where deadline >= $1 and deadline <= $2 order by deadline limit $3`
	readNext = `select deadline from shipments where deadline > $1 order by deadline limit 1`
)

// keeping is what Due knows from one call to the next. All times are those that its callers have given.
type keeping struct {
	mu   sync.Mutex // one Due at a time
	mark dueMark
	look dueLook
	near nearer
}

// dueLook goes through the deadlines up to the present, in as many calls of Due as it takes. The zero value is one that
// begins at the mark.
type dueLook struct {
	at       time.Time // where the next call goes on
	fromMark bool      // it began at the mark
	began    time.Time // when the last one that did so began
	ended    bool      // it has come to the present

	// What it has met: the first deadline of an unsettled shipment, the first of those whose answer may come yet, and when
	// to look at one of these again. Zero: none.
	open, flying, again time.Time

	late time.Time // the first deadline that was due when the last look ended
}

// scan is what one call of Due has read.
type scan struct {
	due  []uuid.UUID
	n    int
	last time.Time // deadline
	all  bool      // it came to the present

	// As of a look; late is the first deadline of those that are due.
	open, flying, again, late time.Time
}

// Due implements orders.Journal. Of a node that is not the keeper nothing is due.
func (j *Journal) Due(ctx context.Context, now time.Time, limit int) (due []uuid.UUID, next time.Time, err error) {
	if !j.lease.keeper() {
		return nil, time.Time{}, nil
	}
	k := &j.due
	k.mu.Lock()
	defer k.mu.Unlock()
	low, err := j.readMark(ctx)
	if err != nil {
		return nil, time.Time{}, unavailable(err)
	}
	for _, deadline := range []time.Time{inUTC(low), k.near.take(now)} {
		k.mark.back(deadline)
		k.look.back(deadline)
	}
	k.look.begin(k.mark.at, now)
	s, err := j.scan(ctx, k.look.at, now, limit)
	if err != nil {
		return nil, time.Time{}, unavailable(err)
	}
	next = now
	if s.all {
		if next, err = j.nextDeadline(ctx, now); err != nil {
			return nil, time.Time{}, unavailable(err)
		}
	}
	k.look.saw(&s)
	if k.look.fromMark {
		k.mark.advance(&k.look, &s, now)
	}
	next = first(next, k.look.again)
	k.look.move(&s, now, limit)
	return s.due, next, j.storeMark(ctx, now, low)
}

// back takes the look back to a deadline that was stored since; zero: there is none.
func (l *dueLook) back(deadline time.Time) {
	if !l.at.IsZero() {
		l.at = first(l.at, deadline)
	}
}

// begin begins a look, unless one goes on: at the mark, where none has lately.
func (l *dueLook) begin(mark, now time.Time) {
	switch {
	case l.at.Before(mark) || l.ended && now.Sub(l.began).Abs() >= markEvery:
		*l = dueLook{at: mark, fromMark: true, began: now, late: l.late}
	case l.ended:
		*l = dueLook{at: l.at, began: l.began, late: l.late}
	}
}

func (l *dueLook) saw(s *scan) {
	l.open, l.flying, l.again = first(l.open, s.open), first(l.flying, s.flying), first(l.again, s.again)
}

// move says where the next call goes on. What was due is looked at again, since its caller may not have come to it: once, as
// a record that can't be read stays as it is.
func (l *dueLook) move(s *scan, now time.Time, limit int) {
	switch {
	case s.all:
		l.at, l.ended = first(now, l.flying), true
		if !s.late.IsZero() && !s.late.Equal(l.late) {
			l.at = first(l.at, s.late)
		}
		l.late = s.late
	case len(s.due) == limit:
		l.at = first(s.late, s.flying)
	default:
		l.at = s.last
	}
}

// scan reads deadlines up to now, as many as one call may.
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
		shipment := orders.Shipment{Status: orders.Status(status), Channel: orders.Status(status).Channel(), ClaimUntil: inUTC(claim)}
		if shipment.Status.Final() || shipment.Status.Free() {
			continue
		}
		s.open = first(s.open, s.last)
		lives = lives && shipment.Claimed() && !j.opt.callersTime
		if !lives && !shipment.InFlight(now) {
			s.due, s.late = append(s.due, id), first(s.late, s.last)
			continue
		}
		again := shipment.ClaimUntil
		if lives && again.Before(now.Add(answerPause)) {
			again = now.Add(answerPause)
		}
		s.again, s.flying = first(s.again, again), first(s.flying, s.last)
	}
	s.all = s.n < dueScan && len(s.due) < limit
	return s, rows.Err()
}

// nextDeadline returns the first deadline after now; zero: there is none.
func (j *Journal) nextDeadline(ctx context.Context, now time.Time) (next time.Time, err error) {
	if err = j.pool.QueryRow(ctx, readNext, now).Scan(&next); err == pgx.ErrNoRows {
		return time.Time{}, nil
	}
	return next.UTC(), err
}

// first returns the earlier one of two times, of which a zero one is none.
func first(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// inUTC returns a time in UTC; zero for none.
func inUTC(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
