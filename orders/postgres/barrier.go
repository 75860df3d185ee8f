package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// barrier is what an answer waits for that was read, not written. After a restart of the primary, rows are visible
// that no standby has, and a failover would take them back. A write waits until a standby has all that was
// committed before. One write serves all who asked before it began.
type barrier struct {
	write func(context.Context) error
	calls *calls

	mu      sync.Mutex
	next    *crossing // has not begun; nil: nobody waits for it
	running bool
}

type crossing struct {
	done chan struct{}
	err  error
}

// wait returns when a write that began after the call is on a standby.
func (b *barrier) wait(ctx context.Context) error {
	b.mu.Lock()
	if b.next == nil {
		b.next = &crossing{done: make(chan struct{})}
	}
	c := b.next
	if !b.running {
		if b.running = b.calls.begin(b.run); !b.running {
			b.next = nil
			b.mu.Unlock()
			return errClosed
		}
	}
	b.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", orders.ErrUnavailable, context.Cause(ctx))
	}
}

// run writes until nobody waits.
func (b *barrier) run() {
	for {
		b.mu.Lock()
		c := b.next
		if b.next = nil; c == nil {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		if err := b.write(ctx); err != nil {
			c.err = unavailable(err)
		}
		cancel()
		close(c.done)
	}
}

// fence is the write of the barrier.
func (j *Journal) fence(ctx context.Context) error {
	b := &pgx.Batch{}
	b.Queue("insert into fence (node, n) values ($1, 1) on conflict (node) do update set n = fence.n + 1", j.opt.Node)
	return j.pooled(ctx, func(ctx context.Context, conn *connection) error { return conn.send(ctx, b) })
}
