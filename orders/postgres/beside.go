package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// What is written beside the two writers (cursors, retention, marks) goes over a session of the pool. No context of a
// caller reaches a write: a caller that leaves leaves it running.

// maxBeside is how many such calls run at a time.
const maxBeside = 4

var errClosed = fmt.Errorf("%w: closed", orders.ErrUnavailable)

// calls are goroutines that Close waits for.
type calls struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// begin starts a goroutine, unless the journal is closed.
func (c *calls) begin(call func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(call)
	}
	return !c.closed
}

func (c *calls) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
}

// beside writes what the statements say.
func (j *Journal) beside(ctx context.Context, statements func(*pgx.Batch)) error {
	return j.detached(ctx, func(ctx context.Context, conn *connection) error {
		b := &pgx.Batch{}
		statements(b)
		return conn.send(ctx, b)
	})
}

// detached runs a call that writes to its end, and waits for it as long as ctx lasts. It is tried again where it lost
// against another transaction.
func (j *Journal) detached(ctx context.Context, call func(context.Context, *connection) error) error {
	select {
	case j.others <- struct{}{}:
	case <-ctx.Done():
		return late(ctx)
	}
	done := make(chan error, 1)
	begun := j.calls.begin(func() {
		defer func() { <-j.others }()
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		defer cancel()
		done <- j.pooled(ctx, call)
	})
	if !begun {
		<-j.others
		return errClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return late(ctx)
	}
}

func (j *Journal) pooled(ctx context.Context, call func(context.Context, *connection) error) error {
	c, err := j.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", orders.ErrNotStored, unavailable(err))
	}
	defer c.Release() // which ends a session that is in a transaction
	conn := &connection{c.Conn()}
	for range maxAttempts {
		if err = call(ctx, conn); err == nil || faultOf(err) != faultAgain || !conn.reset(ctx) {
			break
		}
		j.again(err)
	}
	var own *callError
	if err == nil || errors.As(err, &own) {
		return err
	}
	return unavailable(err)
}
