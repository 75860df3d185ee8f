package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// A node is alive while its row in nodes has not expired. A node that finds an expired row raises its epoch: the node that
// had it is declared dead, and nothing of that epoch counts as held any more. A node stops to submit before others
// can think so: its own count begins when it asked for the lease, and ends a quarter earlier.

const (
	takeLease = `insert into nodes (id, holder, epoch, expires, url, version, started, config)
		values ($1, $2, 1, clock_timestamp() + $3::interval, $4, $5, clock_timestamp(), $6)
		on conflict (id) do update set holder = excluded.holder, epoch = nodes.epoch + 1, expires = excluded.expires,
			url = excluded.url, version = excluded.version, config = excluded.config,
			started = case when nodes.holder = excluded.holder then nodes.started else excluded.started end
		where nodes.expires < clock_timestamp() or nodes.holder = excluded.holder
		returning epoch, clock_timestamp()`
	renewLease = `update nodes set expires = clock_timestamp() + $4::interval, up = $5, config = $6 where id = $1 and holder = $2 and epoch = $3
		returning clock_timestamp()`
	endLease    = `update nodes set epoch = epoch + 1, expires = '-infinity' where id = $1 and holder = $2 and epoch = $3`
	declareDead = `update nodes set epoch = epoch + 1, expires = '-infinity'
		where expires < clock_timestamp() and expires > '-infinity' and id <> $1 returning id`
	lookAround = `select id, url, version, up, started, config from nodes where expires >= clock_timestamp() order by id`
)

// ErrHeld reports that another process runs as this node.
var ErrHeld = errors.New("another process runs as this node: each needs a node.id of its own")

// errNoLease reports that this node must not submit.
var errNoLease = fmt.Errorf("%w: this node's lease has ended", orders.ErrUnavailable)

// lease is this node's lease.
type lease struct {
	j      *Journal
	holder uuid.UUID
	conn   *connection
	kept   atomic.Bool // in tests: the lease is not given back, as by a process that is killed

	mu     sync.Mutex
	epoch  int64
	until  time.Duration         // by bootTime: until when this node may submit
	since  time.Duration         // since when it has had the lease without a break
	keeps  bool                  // it is the keeper
	alive  []Node                // nodes that are alive, this one included, by id
	told   map[string]Difference // what the log says of these, by part. Only look uses it
	offset time.Duration         // of the database's clock from this machine's
}

// take takes the node's lease. It waits for one that another process has, once.
func (j *Journal) take(ctx context.Context) (*lease, error) {
	l := &lease{j: j, holder: uuid.New()}
	conn, err := j.connect(ctx)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	end := time.Now().Add(j.opt.Lease + j.opt.Lease/2)
	for pause := j.opt.Lease / 20; ; {
		taken, err := l.acquire(ctx)
		if err == nil && taken {
			if err = l.look(ctx); err == nil {
				return l, nil
			}
		}
		if err == nil && time.Now().After(end) {
			err = fmt.Errorf("node %d: %w", j.opt.Node, ErrHeld)
		}
		if err == nil {
			select {
			case <-time.After(pause):
				continue
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		closeConn(conn.Conn)
		return nil, err
	}
}

// acquire takes the lease, with a new epoch.
func (l *lease) acquire(ctx context.Context) (bool, error) {
	began, asked := time.Now(), bootTime()
	var epoch int64
	var now time.Time
	err := l.query(ctx, takeLease, []any{l.j.opt.Node, [16]byte(l.holder), l.j.opt.Lease, l.j.opt.URL, l.j.opt.Version, l.j.alike()}, &epoch, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch, l.since = epoch, asked
	l.extend(began, asked, now)
	return true, nil
}

// extend notes a lease that the database gave at now; it was asked for at began. The caller holds mu.
func (l *lease) extend(began time.Time, asked time.Duration, now time.Time) {
	l.until = asked + l.j.opt.Lease*3/4
	l.offset = now.Sub(began.Add(time.Since(began) / 2))
}

// keep renews the lease until stop, and then gives it back.
func (l *lease) keep(stop chan struct{}) {
	tick := time.NewTicker(l.j.opt.Lease / 4)
	defer tick.Stop()
	counted := time.Now()
	for {
		select {
		case <-tick.C:
		case <-stop:
			l.end()
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), l.j.opt.Lease/2)
		if err := l.tend(ctx); err != nil {
			l.j.log.Error("this node's lease was not renewed, trying again", "err", err)
			l.drop()
		} else if time.Since(counted) > countEvery {
			counted = time.Now()
			if err := l.j.count(ctx); err != nil {
				l.j.log.Warn("reports that wait were not counted, trying again", "err", err)
			}
		}
		cancel()
	}
}

// tend renews the lease, takes it again if it was lost, and looks at the other nodes.
func (l *lease) tend(ctx context.Context) (err error) {
	if l.conn == nil {
		if l.conn, err = l.j.connect(ctx); err != nil {
			return err
		}
	}
	renewed, err := l.renew(ctx)
	if err == nil && !renewed {
		l.j.log.Error("this node was declared dead, and takes its lease again")
		l.j.metrics.fenced.Inc()
		if renewed, err = l.acquire(ctx); err == nil && !renewed {
			err = ErrHeld
		}
	}
	if err != nil {
		return err
	}
	return l.look(ctx)
}

func (l *lease) renew(ctx context.Context) (bool, error) {
	began, asked := time.Now(), bootTime()
	var now time.Time
	err := l.query(ctx, renewLease, []any{l.j.opt.Node, [16]byte(l.holder), l.epochNow(), l.j.opt.Lease, l.j.up(), l.j.alike()}, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if asked > l.until { // after an outage of the database all nodes had the same chance
		l.since = asked
	}
	l.extend(began, asked, now)
	return true, nil
}

// look finds out which node is the keeper, and declares dead whose lease has expired.
func (l *lease) look(ctx context.Context) error {
	l.mu.Lock()
	steady := bootTime()-l.since >= l.j.opt.Lease
	l.mu.Unlock()
	if steady {
		b := &pgx.Batch{}
		b.Queue(declareDead, l.j.opt.Node).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var node int
				if err := rows.Scan(&node); err != nil {
					return err
				}
				l.j.log.Warn("a node did not renew its lease, and counts as dead", "node", node)
			}
			return rows.Err()
		})
		if err := l.conn.send(ctx, b); err != nil {
			return err
		}
	}
	alive, err := l.nodes(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.alive, l.keeps = alive, len(alive) > 0 && alive[0].ID == l.j.opt.Node
	l.mu.Unlock()
	l.tell()
	return nil
}

// query runs one statement over the lease's session. A warning is an error: the lease may be on one disk only.
func (l *lease) query(ctx context.Context, sql string, args []any, to ...any) error {
	b := &pgx.Batch{}
	b.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return row.Scan(to...) })
	return l.conn.send(ctx, b)
}

// drop ends the session, whose state is not known.
func (l *lease) drop() {
	if l.conn != nil {
		closeConn(l.conn.Conn)
		l.conn = nil
	}
}

// end gives the lease back, so that nobody waits for it.
func (l *lease) end() {
	defer l.drop()
	l.mu.Lock()
	epoch := l.epoch
	l.until, l.keeps = 0, false
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	if l.conn == nil || l.kept.Load() {
		return // the lease ends by itself
	}
	b := &pgx.Batch{}
	b.Queue(endLease, l.j.opt.Node, [16]byte(l.holder), epoch)
	if err := l.conn.send(ctx, b); err != nil {
		l.j.log.Warn("this node's lease was not given back, and ends by itself", "err", err)
	}
}

// left returns for how long this node may submit, negative after that.
func (l *lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until - bootTime()
}

func (l *lease) epochNow() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// keeper reports whether this node keeps deadlines and retention. Two for a moment do no harm.
func (l *lease) keeper() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keeps && l.until > bootTime()
}

func (l *lease) clockOffset() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.offset
}

// Alive returns how many nodes are alive, this one included.
func (j *Journal) Alive() int {
	j.lease.mu.Lock()
	defer j.lease.mu.Unlock()
	return max(len(j.lease.alive), 1)
}

// Allow returns why this node must not submit now, or nil. It asks the database nothing: it is for the last moment
// before the wire.
func (j *Journal) Allow() error {
	if j.lease.left() <= 0 {
		return errNoLease
	}
	return nil
}

// maxOffset is by how much the clocks of node and database may differ.
const maxOffset = 2 * time.Second

// Ready returns why orders can't be stored now, or nil.
func (j *Journal) Ready() error {
	if err := j.Allow(); err != nil {
		return err
	}
	for _, w := range []*writer{j.orders, j.facts} {
		if err := w.state(); err != nil {
			return err
		}
	}
	if off := j.lease.clockOffset(); off.Abs() > maxOffset {
		return fmt.Errorf("%w: this machine's clock is off from the database's by %v", orders.ErrUnavailable, off.Round(time.Millisecond))
	}
	return nil
}
