package smtp

import (
	"context"
	"slices"
	"time"
)

// drainTime bounds the wait for mails under way when run ends. Their Sends have
// deadlines of their own, normally shorter.
const drainTime = 10 * time.Second

// run keeps MinIdle connections open until ctx ends; then it drains the relay.
func (r *relay) run(ctx context.Context, h Handler) {
	r.mu.Lock()
	r.handler = h
	r.mu.Unlock()
	for ctx.Err() == nil {
		wait := r.maintain(ctx)
		r.setNext(wait)
		pause := time.NewTimer(wait)
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
	if r.drained() {
		r.closeIdle()
		return time.Second
	}
	// Looking after idle connections costs a system call for each. To find one closed
	// saves a mail the reconnect.
	pause := min(time.Second, r.KeepAlive/4)
	r.newPassword()
	r.refresh(ctx)
	r.lookAfter(ctx)
	if !r.well(time.Now()) && r.probe(ctx) != nil {
		if r.Secret != nil {
			return min(r.backOff(), newPasswordPause)
		}
		return r.backOff()
	}
	r.warm(ctx)
	return pause
}

// newPasswordPause is how often a password is read again after a refused login.
const newPasswordPause = 5 * time.Second

// warm makes connections until MinIdle are open: at most once in refusedPause, and after a failure
// once in the back-off, since a relay may allow fewer.
func (r *relay) warm(ctx context.Context) {
	now := time.Now()
	if now.Before(r.warmAgain) {
		return
	}
	for r.state().Open < r.MinIdle {
		r.warmAgain = now.Add(refusedPause)
		select {
		case r.slots <- struct{}{}:
		default:
			return // all are in use or being made
		}
		c, err := r.connect(ctx, 0)
		if err != nil {
			<-r.slots
			r.warmAgain = now.Add(max(refusedPause, r.backOff()))
			return
		}
		r.release(c)
	}
}

// refreshAhead is how long before its end an idle connection is replaced: longer than maintain's pause, so that no
// mail meets a connection that is too old.
const refreshAhead = 2 * time.Second

// refresh replaces idle connections that will soon be too old. The new one is made first, where MaxConns
// allows that.
func (r *relay) refresh(ctx context.Context) {
	for r.state().Open < r.MaxConns {
		old := r.aging()
		if old == nil {
			return
		}
		select {
		case r.slots <- struct{}{}:
		default:
			return
		}
		c, err := r.connect(ctx, 0)
		if err != nil {
			<-r.slots
			return
		}
		r.mu.Lock()
		idle := len(r.idle)
		r.idle = slices.DeleteFunc(r.idle, func(other *conn) bool { return other == old })
		gone := len(r.idle) == idle // a mail has it
		r.mu.Unlock()
		r.release(c)
		if !gone {
			old.leave()
			r.discard(old)
		}
	}
}

// aging returns an idle connection that will soon be too old, nil if there is none.
func (r *relay) aging() *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.idle {
		if !c.exhausted() && time.Until(c.until) < refreshAhead {
			return c
		}
	}
	return nil
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
// is none. A ping moves a connection to the top, so that it may be anywhere. MinIdle connections
// are never unused.
func (r *relay) popDue() (c *conn, unused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.idle {
		unused = r.health.Open > r.MinIdle && time.Since(c.mailed) >= r.IdleTimeout
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
	r.mu.Unlock()
	r.closeIdle()
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
