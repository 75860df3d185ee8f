package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"straks/orders"
	"straks/orders/postgres/reason"
)

// connection is a session that writes. It is for one goroutine.
type connection struct{ *pgx.Conn }

// connect opens a session that writes.
func (j *Journal) connect(ctx context.Context) (*connection, error) {
	// Time for each address: the first may be that of a server that is frozen, and the last one the primary.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+len(j.config.Fallbacks))*j.config.ConnectTimeout)
	defer cancel()
	c, err := dial(ctx, j.config)
	if err != nil {
		return nil, err
	}
	return &connection{c}, nil
}

// dial connects. Its error says why in one line.
func dial(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	c, err := pgx.ConnectConfig(ctx, cfg)
	return c, reason.Explain(err)
}

// warned is where a session notes that the server has warned of something.
const warned = "warned"

// noticed is told of each notice of the server.
func (j *Journal) noticed(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		c.CustomData()[warned] = true
		j.metrics.unreplicated.Inc()
		j.log.Error("the database warned of a write, which counts as not stored", "code", n.Code, "message", n.Message)
	}
}

// errWarned reports a commit of which the server said that it may not be on a standby.
var errWarned = errors.New("the database warned of the commit")

// send sends statements in one trip and reads what they return. What a commit among them stored is known only if
// send returns nil.
func (c *connection) send(ctx context.Context, b *pgx.Batch) error {
	noted := c.PgConn().CustomData()
	delete(noted, warned)
	if err := c.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if noted[warned] != nil {
		return errWarned
	}
	return nil
}

// reset ends a transaction that has failed. It reports whether the session can be used again.
func (c *connection) reset(ctx context.Context) bool {
	if c.IsClosed() {
		return false
	}
	if c.PgConn().TxStatus() == 'I' {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := c.Exec(ctx, "rollback")
	return err == nil && !c.IsClosed()
}

// What an error of a write means.
type fault int

const (
	faultLost    fault = iota // nothing is known: the caller repeats the call
	faultAgain                // the transaction has lost against another one, and is done again
	faultWeek                 // the partition of a week is missing
	faultRefused              // the server refuses what the calls say, whenever it is said
)

// lostTo are the codes of faultAgain: serialisation, deadlock, a row that another has just inserted, a lock that is held, the
// head of a feed that the database has forgotten.
var lostTo = []string{"40001", "40P01", "23505", "55P03", noNumber}

// noNumber is the code of an entry of a feed that has no number.
const noNumber = "23502"

// faultOf classifies an error. What the server answers to a statement before the commit has stored nothing; but the
// session may end at any time, and then a commit may be stored.
func faultOf(err error) fault {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		if errors.Is(err, orders.ErrUnavailable) || pgconn.Timeout(err) {
			return faultLost
		}
		var own *callError
		if errors.As(err, &own) {
			return faultRefused
		}
		return faultLost
	}
	switch {
	case slices.Contains(lostTo, pg.Code):
		return faultAgain
	case pg.Code == "23514":
		return faultWeek
	case pg.Code[:2] == "22", pg.Code[:2] == "23", pg.Code[:2] == "54":
		return faultRefused
	}
	return faultLost
}

// again counts a transaction that is done again after an error.
func (j *Journal) again(err error) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		j.metrics.retries.WithLabelValues(pg.Code).Inc()
	}
}

// callError is the failure of a call, as against that of the database.
type callError struct{ err error }

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// unavailable is what a caller gets of an error of the database. Its text has nothing that a caller stored: of what
// the server says, only the code and the message are kept.
func unavailable(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("%w: the database says %s: %s", orders.ErrUnavailable, pg.Code, reason.Line(pg.Message))
	}
	return fmt.Errorf("%w: %w", orders.ErrUnavailable, reason.Explain(err))
}

// late is what a caller gets whose context ends before the database has answered.
func late(ctx context.Context) error {
	if ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("%w: no answer of the database in time: %w", orders.ErrUnavailable, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w", orders.ErrUnavailable, context.Cause(ctx))
}
