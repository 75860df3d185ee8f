package smtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"straks/internal/handover"
)

// relay is one configured relay with its connections.
type relay struct {
	Relay
	dialer  *dialer
	log     *slog.Logger
	metrics *relayMetrics
	slots   chan struct{} // one for each Send or keeper that has or makes a connection
	wake    chan struct{} // tells the keeper that no connection is left

	joined sync.WaitGroup // goroutines that listen for a late answer

	mu        sync.Mutex
	late      Late    // nil: nobody wants late answers
	idle      []*conn // a stack: the last one used is the first one taken
	listening []*conn // that a late answer may come on, the oldest first
	closed    bool
	ended     bool // nobody may listen any more
	health    health
}

func newRelay(r Relay, log *slog.Logger, m *metrics) (*relay, error) {
	d, err := newDialer(r)
	if err != nil {
		return nil, err
	}
	return &relay{
		Relay:   r,
		dialer:  d,
		log:     log.With("relay", r.Name),
		metrics: m.of(r.Name),
		slots:   make(chan struct{}, r.MaxConns),
		wake:    make(chan struct{}, 1),
		health:  health{since: time.Now(), reason: "not connected yet"},
	}, nil
}

// send hands the letter to this relay. A kept connection that breaks before the
// final dot, or is out of step, is replaced by a new one once: most such breaks are old news.
func (r *relay) send(ctx context.Context, l *letter, handoverBy time.Time) Result {
	res, kept := r.try(ctx, l, handoverBy, false)
	broke := hasReason(res.Err, ReasonLost) || hasReason(res.Err, ReasonProtocol)
	if kept && broke && res.Outcome == handover.NotSent && ctx.Err() == nil {
		res, _ = r.try(ctx, l, handoverBy, true)
	}
	r.learn(res)
	return res
}

// leastTime is what must be left up to the final dot for a transaction to be
// begun. One that is broken off costs its connection.
const leastTime = 10 * time.Millisecond

// try makes one attempt and tells whether it was on a connection used before.
func (r *relay) try(ctx context.Context, l *letter, handoverBy time.Time, fresh bool) (Result, bool) {
	waiting, cancel := context.WithDeadline(ctx, handoverBy)
	defer cancel()
	c, err := r.acquire(waiting, fresh)
	if err != nil {
		again := !errors.Is(err, ErrClosed) && !errors.Is(err, errBarred)
		return Result{Relay: r.Name, Err: fmt.Errorf("relay %s: %w", r.Name, err), again: again}, false
	}
	if res := c.unfit(l, handoverBy); res.Err != nil {
		r.release(c)
		return res, false
	}
	kept := c.reused
	res, pending := c.deliver(ctx, l, handoverBy)
	r.metrics.handedOver(res)
	if pending == nil {
		r.release(c)
	} else {
		r.listen(c, l, pending)
	}
	return res, kept
}

// unfit returns a result with an error where the letter can't go over c, or not now.
func (c *conn) unfit(l *letter, handoverBy time.Time) Result {
	switch {
	case l.utf8 && !c.utf8:
		return Result{Relay: c.relay.Name, Err: fmt.Errorf("relay %s: %w", c.relay.Name, errNoUTF8)}
	case time.Until(handoverBy) < leastTime:
		return Result{Relay: c.relay.Name, Err: fmt.Errorf("relay %s: %w", c.relay.Name, ErrBusy), again: true}
	}
	return Result{}
}

// acquire takes a slot and with it a connection: the one used last, or a new
// one. Fresh demands a new one, and gives up all idle ones: what broke one broke
// them all.
func (r *relay) acquire(ctx context.Context, fresh bool) (*conn, error) {
	if !r.slot(ctx) {
		if len(r.slots) < cap(r.slots) {
			return nil, ctx.Err()
		}
		return nil, ErrBusy
	}
	return r.open(ctx, fresh)
}

// open gets the connection of a slot that was taken.
func (r *relay) open(ctx context.Context, fresh bool) (*conn, error) {
	c, err := r.connection(ctx, fresh)
	if err != nil {
		<-r.slots
	}
	return c, err
}

func (r *relay) connection(ctx context.Context, fresh bool) (*conn, error) {
	for {
		c, err := r.pop()
		if err != nil {
			return nil, err
		}
		if c == nil {
			return r.connect(ctx)
		}
		if fresh {
			r.discard(c)
			continue
		}
		if c.worn() {
			return r.renew(ctx, c)
		}
		asked := time.Now()
		if err = c.ready(ctx); err == nil {
			return c, nil
		}
		r.discard(c)
		if hasReason(err, ReasonTimeout) { // the others are likely to be as mute
			if !r.hurried(time.Since(asked)) {
				r.failed(err)
			}
			return nil, err
		}
		if ctx.Err() != nil { // or the others would fall with this one
			return nil, ctx.Err()
		}
	}
}

// pop takes the connection used last off the stack; nil when there is none.
func (r *relay) pop() (*conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if len(r.idle) == 0 {
		return nil, nil
	}
	c := r.idle[len(r.idle)-1]
	r.idle = r.idle[:len(r.idle)-1]
	return c, nil
}

// connect makes a new connection, unless a refused login forbids to try again now.
func (r *relay) connect(ctx context.Context) (*conn, error) {
	if err := r.barred(); err != nil {
		return nil, err
	}
	c, err := r.dialer.dial(ctx)
	if err != nil {
		r.unreachable(err)
		return nil, err
	}
	r.connected(c)
	return c, nil
}

// renew makes a connection in the place of one that is worn. The relay counts as up meanwhile.
func (r *relay) renew(ctx context.Context, c *conn) (*conn, error) {
	c.close()
	next, err := r.connect(ctx)
	r.discard(c)
	return next, err
}

// release puts the connection back on the stack, or closes it, and frees the slot.
func (r *relay) release(c *conn) {
	r.mu.Lock()
	keep := !c.dead && !r.closed
	if keep {
		r.idle = append(r.idle, c)
	}
	r.mu.Unlock()
	if !keep {
		r.discard(c)
	}
	<-r.slots
}

// discard closes a connection that was taken off the stack.
func (r *relay) discard(c *conn) {
	c.close()
	r.mu.Lock()
	r.health.open--
	last := r.health.open == 0
	if last {
		r.health.since = time.Now()
		if r.health.reason == "" {
			r.health.reason = "no connection left"
		}
	}
	r.mu.Unlock()
	if last {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}
