package limits

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// Others tells of the orders that other processes accept into the same journal.
type Others interface {
	// Accepted has what was accepted before, and all that this process accepted, but not what Read tells of.
	History

	// Read calls visit with each order that another process has accepted, once: as it is, where its outcome is known;
	// else as Held, and in a later call again, when its outcome is known. Then it is not Held, and its status is Free if it
	// surely did not leave. Each claim of a shipment is an order of its own.
	Read(ctx context.Context, visit func(orders.Shipment)) error
}

// Follower counts what Others tells. It is for one goroutine, except for State.
type Follower struct {
	others Others
	count  func(*orders.Shipment) (settle func(spent orders.Cost, left bool))
	open   map[uuid.UUID]func(spent orders.Cost, left bool) // by claim: orders under way
	read   atomic.Pointer[time.Time]                        // when the last Read that came to its end began
	orders atomic.Uint64
}

// NewFollower returns one that has counted nothing. count is called with each order of another process; settle with what
// it did cost, and left is false if it surely did not leave.
func NewFollower(others Others, count func(*orders.Shipment) (settle func(spent orders.Cost, left bool))) *Follower {
	return &Follower{others: others, count: count, open: make(map[uuid.UUID]func(orders.Cost, bool))}
}

// Read counts what other processes have accepted since the last call.
func (f *Follower) Read(ctx context.Context) error {
	began := time.Now()
	if err := f.others.Read(ctx, f.visit); err != nil {
		return err
	}
	f.read.Store(&began)
	return nil
}

func (f *Follower) visit(s orders.Shipment) {
	settle := f.open[s.Claim]
	if settle == nil {
		settle = f.count(&s)
		f.orders.Add(1)
	}
	if s.Held {
		f.open[s.Claim] = settle
		return
	}
	delete(f.open, s.Claim)
	settle(s.Cost, s.MayHaveLeft())
}

// State returns how many orders of other processes were counted, and how long ago this process knew of all that they had
// accepted.
func (f *Follower) State() (orders uint64, behind time.Duration) {
	if read := f.read.Load(); read != nil {
		behind = time.Since(*read)
	}
	return f.orders.Load(), behind
}

// Count counts an order that another process has accepted. settle puts what it did cost in the place of the most that it
// can, and takes it back if it did not leave; it may be called once.
//
// A counter counts orders of others from its followed time on: what was accepted before, the journal has told of, or will.
// That is the time at which a reload has made the counter; it is zero for those of the start, which get from Others
// what Recover did not.
func (l *Limits) Count(s *orders.Shipment) (settle func(spent orders.Cost, left bool)) {
	key, everywhere := l.key(s.Organisation, s.Channel, s.Recipient), l.key("", s.Channel, s.Recipient)
	in := func(followed time.Time) bool { return !s.Accepted.Before(followed) }
	l.mu.Lock()
	defer l.mu.Unlock()
	undo := l.add(s.Organisation, key, everywhere, s.Recipient, s.Accepted, in)
	unreserve := func() {}
	c := l.of[s.Organisation]
	if c != nil {
		unreserve = c.budget.reserved.add(s.Accepted, int64(s.Cost.Amount))
	}
	return func(spent orders.Cost, left bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		unreserve()
		switch {
		case !left:
			undo()
		case c != nil && in(c.budget.spent.followed):
			c.budget.spent.add(s.Accepted, int64(spent.Amount))
		}
	}
}
