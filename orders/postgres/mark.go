package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The mark of deadlines stays a while behind the present, because a write that has just begun may bring a deadline of the
// present; a write that brings an older one takes the mark back (kept.low). While the database has no standby, what is
// written becomes visible when it has one again: so the mark also stays behind the last write of the mark.

const (
	// lowMargin is how old a deadline is that takes the mark back, and markLag how far the mark stays behind.
	// Between them there is time for any write to end.
	lowMargin = time.Minute
	markLag   = lowMargin + 2*writeTime
	// markEvery is how often the mark is stored, and how often a look begins there.
	markEvery = 10 * time.Second
)

// dueMark is the time before which every deadline is settled.
type dueMark struct {
	at     time.Time
	stored time.Time // as it is in the database
	wrote  time.Time // when it was to be stored the last time
	proved time.Time // when it was stored the last time: what was written long before that is visible
}

// back takes the mark back to a deadline; zero: there is none.
func (m *dueMark) back(deadline time.Time) { m.at = first(m.at, deadline) }

// advance moves the mark on to the first shipment that is not settled, or as near to the present as it may come.
func (m *dueMark) advance(l *dueLook, s *scan, now time.Time) {
	if m.proved.IsZero() {
		return
	}
	to := first(first(now, m.proved).Add(-markLag), l.open)
	if !s.all {
		to = first(to, s.last)
	}
	if to.After(m.at) {
		m.at = to
	}
}

// readMark reads the mark, and how far a write has taken it back; nil: none has.
func (j *Journal) readMark(ctx context.Context) (low *time.Time, err error) {
	m := &j.due.mark
	var stored time.Time
	if err := j.pool.QueryRow(ctx, "select mark, low from kept").Scan(&stored, &low); err != nil {
		return nil, err
	}
	if m.at.IsZero() || stored.After(m.stored) { // it is new here, or another node was the keeper meanwhile
		m.at = stored.Add(-time.Hour)
	}
	m.stored = stored
	return low, nil
}

// storeMark stores the mark now and then, and what a write has taken it back to at once.
func (j *Journal) storeMark(ctx context.Context, now time.Time, low *time.Time) error {
	m := &j.due.mark
	if low == nil && now.Sub(m.wrote).Abs() < markEvery {
		return nil
	}
	at := m.at
	m.wrote = now
	err := j.beside(ctx, func(b *pgx.Batch) {
		b.Queue("update kept set mark = $1, low = null where low is not distinct from $2", at, low)
	})
	if err == nil {
		m.stored, m.proved = at, now
	}
	return err
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
