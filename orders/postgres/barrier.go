package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// barrier is what an answer waits for that was read, not written. After a restart of the primary, rows are visible
// that no standby has, and a failover would take them back. A write waits until a standby has all that was
// committed before. One write serves all who asked before it began. It says nothing of what another server had: a former
// primary, that a read still reached and the write no more.
type barrier struct {
	write func(context.Context) (serverID, error)
	calls *calls

	mu      sync.Mutex
	next    *crossing // has not begun; nil: nobody waits for it
	running bool
}

type crossing struct {
	done chan struct{}
	at   serverID // that has written
	err  error
}

// errMoved reports that another server was read than the one that has written since.
var errMoved = fmt.Errorf("%w: another server of the database has taken over meanwhile", orders.ErrUnavailable)

// wait returns when a write that began after the call is on a standby of the server that was read.
func (b *barrier) wait(ctx context.Context, read serverID) error {
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
		if c.err == nil && c.at != read {
			return errMoved
		}
		return c.err
	case <-ctx.Done():
		return late(ctx)
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
		at, err := b.write(ctx)
		if c.at = at; err != nil {
			c.err = unavailable(err)
		}
		cancel()
		close(c.done)
	}
}

// fence is the write of the barrier.
func (j *Journal) fence(ctx context.Context) (at serverID, err error) {
	began := time.Now()
	err = j.pooled(ctx, func(ctx context.Context, conn *connection) error {
		at = serverOf(conn.Conn)
		return j.pass(ctx, conn)
	})
	if err == nil {
		j.metrics.barrier.Observe(time.Since(began).Seconds())
	}
	return at, err
}

// pass raises this node's number.
func (j *Journal) pass(ctx context.Context, conn *connection) error {
	b := &pgx.Batch{}
	j.raise(b)
	return conn.send(ctx, b)
}

// raise queues a write that means nothing to anybody.
func (j *Journal) raise(b *pgx.Batch) {
	b.Queue("insert into fence (node, n) values ($1, 1) on conflict (node) do update set n = fence.n + 1", j.opt.Node)
}

// serverID tells the servers that a session may be with apart: when its server was started.
type serverID int64

const serverKey = "server"

// knowServer notes which server a session of the pool is with.
func knowServer(ctx context.Context, c *pgx.Conn) error {
	var started time.Time
	err := c.QueryRow(ctx, "select pg_postmaster_start_time()").Scan(&started)
	c.PgConn().CustomData()[serverKey] = serverID(started.UnixMicro())
	return err
}

// serverOf returns the server that a session of the pool is with.
func serverOf(c *pgx.Conn) serverID {
	id, _ := c.PgConn().CustomData()[serverKey].(serverID)
	return id
}
