package smtp

import (
	"context"
	"slices"
	"time"
)

// drainTime bounds the wait for mails under way when run ends. Their Sends have
// deadlines of their own, normally shorter.
const drainTime = 10 * time.Second

// run keeps at least one connection open until ctx ends; then it drains the relay.
func (r *relay) run(ctx context.Context, h Handler) {
	r.mu.Lock()
	r.handler = h
	r.mu.Unlock()
	for ctx.Err() == nil {
		pause := time.NewTimer(r.maintain(ctx))
		select {
		case <-pause.C:
		case <-r.wake:
		case <-ctx.Done():
		}
		pause.Stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	r.drain(ctx)
}

// maintain does what is due, and returns the time until something may be due again.
func (r *relay) maintain(ctx context.Context) time.Duration {
	r.lookAfter(ctx)
	if !r.well(time.Now()) && r.probe(ctx) != nil {
		return r.backOff()
	}
	// Looking after idle connections costs a system call for each. To find one closed
	// saves a mail the reconnect.
	return min(time.Second, r.KeepAlive/4)
}

// probe tries the relay with a NOOP, so that a mail need not.
func (r *relay) probe(ctx context.Context) error {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := r.open(ctx, keptConnection)
	if err != nil {
		return err
	}
	defer r.release(c)
	if err := c.ping(ctx); err != nil {
		r.failed(err)
		return err
	}
	r.probed()
	return nil
}

// lookAfter does what is due on idle connections: it closes those without a mail for IdleTimeout,
// renews exhausted ones, and pings those silent for KeepAlive.
func (r *relay) lookAfter(ctx context.Context) {
	for range r.MaxConns {
		select {
		case r.slots <- struct{}{}:
		default:
			return // all are in use, and so alive
		}
		c, unused := r.popDue()
		if c == nil {
			<-r.slots
			return
		}
		switch {
		case !c.silent():
			c.dead = true
		case unused:
			c.leave()
		case c.exhausted():
			c.leave()
			next, err := r.renew(ctx, c)
			if err != nil {
				<-r.slots
				return
			}
			c = next
		default:
			if err := c.ping(ctx); err != nil {
				r.failed(err)
			}
		}
		r.release(c)
	}
}

// popDue takes the lowest connection on which something is due off the stack; nil where there
// is none. A ping moves a connection to the top, so that it may be anywhere. The last connection
// is never unused.
func (r *relay) popDue() (c *conn, unused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.idle {
		unused = r.health.Open > 1 && time.Since(c.mailed) >= r.IdleTimeout
		if unused || !c.silent() || c.exhausted() || time.Since(c.used) >= r.KeepAlive {
			r.idle = slices.Delete(r.idle, i, i+1)
			return c, unused
		}
	}
	return nil, false
}

// drain lets no more mails in, sends QUIT on idle connections, and waits until the end of ctx for mails
// and late replies under way.
func (r *relay) drain(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	idle := r.idle
	r.idle = nil
	r.mu.Unlock()
	for _, c := range idle {
		c.leave()
		r.discard(c)
	}
	defer r.endLate()
	for range r.MaxConns {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return
		}
	}
}
