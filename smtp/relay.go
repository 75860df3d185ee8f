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

	mu     sync.Mutex
	idle   []*conn // a stack: the last one used is the first one taken
	closed bool
	health health
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
// final dot is replaced by a new one once: most such breaks are old news.
func (r *relay) send(ctx context.Context, l *letter, handoverBy time.Time) Result {
	res, kept := r.try(ctx, l, handoverBy, false)
	if kept && res.Outcome == handover.NotSent && hasReason(res.Err, ReasonLost) && ctx.Err() == nil {
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
	defer r.release(c)
	if l.utf8 && !c.utf8 {
		return Result{Relay: r.Name, Err: fmt.Errorf("relay %s: %w", r.Name, errNoUTF8)}, false
	}
	if time.Until(handoverBy) < leastTime {
		return Result{Relay: r.Name, Err: fmt.Errorf("relay %s: %w", r.Name, ErrBusy), again: true}, false
	}
	kept := c.reused
	res := c.deliver(ctx, l, handoverBy)
	r.metrics.handedOver(res)
	return res, kept
}

// acquire takes a slot and with it a connection: the one used last, or a new
// one. Fresh demands a new one, and gives up all idle ones: what broke one broke
// them all.
func (r *relay) acquire(ctx context.Context, fresh bool) (*conn, error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		if len(r.slots) < cap(r.slots) {
			return nil, ctx.Err()
		}
		return nil, ErrBusy
	}
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
		if err = c.ready(ctx); err == nil {
			return c, nil
		}
		r.discard(c)
		if hasReason(err, ReasonTimeout) { // the others are likely to be as mute
			r.failed(err)
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

// keep holds at least one connection open until ctx ends.
func (r *relay) keep(ctx context.Context) {
	for ctx.Err() == nil {
		pause := time.NewTimer(r.tend(ctx))
		select {
		case <-pause.C:
		case <-r.wake:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// tend does what is due and returns the time until something may be due again.
func (r *relay) tend(ctx context.Context) time.Duration {
	r.prune()
	r.askIdle(ctx)
	if r.well(time.Now()) {
		return r.watch()
	}
	if err := r.probe(ctx); err != nil {
		return r.backOff()
	}
	return r.watch()
}

// probe tries the relay out with a harmless command, so that no mail has to.
func (r *relay) probe(ctx context.Context) error {
	c, err := r.acquire(ctx, false)
	if err != nil {
		return err
	}
	defer r.release(c)
	if err := c.ask(ctx, c.client.Noop); err != nil {
		r.failed(err)
		return err
	}
	r.probed()
	return nil
}

// watch is how often the keeper looks after idle connections. Looking costs a
// system call for each; finding one closed early saves a mail the reconnect.
func (r *relay) watch() time.Duration { return min(time.Second, r.KeepAlive/4) }

// prune closes what lay idle too long at the bottom of the stack, but for the last one.
func (r *relay) prune() {
	for {
		r.mu.Lock()
		if len(r.idle) == 0 || r.health.open < 2 || time.Since(r.idle[0].used) < r.IdleTimeout {
			r.mu.Unlock()
			return
		}
		c := r.idle[0]
		r.idle = append(r.idle[:0], r.idle[1:]...)
		r.mu.Unlock()
		c.quit()
		r.discard(c)
	}
}

// askIdle asks every connection that was silent for KeepAlive for a sign of life.
func (r *relay) askIdle(ctx context.Context) {
	for range r.MaxConns {
		select {
		case r.slots <- struct{}{}:
		default:
			return // all are in use, and so alive
		}
		c := r.popSilent()
		if c == nil {
			<-r.slots
			return
		}
		if !c.guard.silent() {
			c.dead = true
		} else if err := c.ask(ctx, c.client.Noop); err != nil {
			r.failed(err)
		}
		r.release(c)
	}
}

func (r *relay) popSilent() *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.idle {
		if !c.guard.silent() || time.Since(c.used) >= r.KeepAlive {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			return c
		}
	}
	return nil
}

// drain lets no more mails in, waits until ctx for those under way and says QUIT.
func (r *relay) drain(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	idle := r.idle
	r.idle = nil
	r.mu.Unlock()
	for _, c := range idle {
		c.quit()
		r.discard(c)
	}
	for range r.MaxConns {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return
		}
	}
}
