package smtp

import (
	"context"
	"slices"
	"time"
)

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
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := r.open(ctx, false)
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

// prune closes what has carried no mail for too long, but for the last one.
func (r *relay) prune() {
	for c := r.popUnused(); c != nil; c = r.popUnused() {
		c.quit()
		r.discard(c)
	}
}

// popUnused takes such a connection off the stack.
func (r *relay) popUnused() *conn {
	return r.popWhere(func(c *conn) bool { return r.health.open > 1 && time.Since(c.mailed) >= r.IdleTimeout })
}

// askIdle asks every connection that was silent for KeepAlive for a sign of life, and renews
// those that were asked too often.
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
		switch {
		case !c.guard.silent():
			c.dead = true
		case c.worn():
			c.quit()
			next, err := r.renew(ctx, c)
			if err != nil {
				<-r.slots
				return
			}
			c = next
		default:
			if err := c.ask(ctx, c.client.Noop); err != nil {
				r.failed(err)
			}
		}
		r.release(c)
	}
}

func (r *relay) popSilent() *conn {
	return r.popWhere(func(c *conn) bool { return !c.guard.silent() || c.worn() || time.Since(c.used) >= r.KeepAlive })
}

// popWhere takes the lowest connection off the stack of which that is true; nil where there is
// none. A sign of life brings one to the top, so that it may be anywhere.
func (r *relay) popWhere(is func(*conn) bool) *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.idle, is)
	if i < 0 {
		return nil
	}
	c := r.idle[i]
	r.idle = slices.Delete(r.idle, i, i+1)
	return c
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
	defer r.silence()
	for range r.MaxConns {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return
		}
	}
}
