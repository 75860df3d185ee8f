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
	"straks/orders/postgres/reason"
)

// A node is alive while its row in nodes has not expired. A node that finds an expired row raises its epoch: the node that
// had it is declared dead, and nothing of that epoch counts as held any more. A node stops to submit before others
// can think so: its own count begins when it asked for the lease, and ends a quarter earlier. When the lease has expired
// it gives its binds back too, though it may reach no database: they are another's from then on, who may not have one while
// the carrier still counts this node's.

const (
	// The lock keeps Upgrade from taking the schema out of this program's reach meanwhile.
	takeLease = `insert into nodes (id, holder, epoch, expires, url, version, started, config, schema, keys)
		select $1::int, $2::uuid, 1, clock_timestamp() + $3::interval, $4::text, $5::text, clock_timestamp(), $6::jsonb, $7::int, $8::bytea[]
			from (select from meta where schema between $7::int and $7::int + 1 for share) as usable
		on conflict (id) do update set holder = excluded.holder, epoch = nodes.epoch + 1, expires = excluded.expires,
			url = excluded.url, version = excluded.version, config = excluded.config, schema = excluded.schema, keys = excluded.keys,
			started = case when nodes.holder = excluded.holder then nodes.started else excluded.started end
		where nodes.expires < clock_timestamp() or nodes.holder = excluded.holder
		returning epoch, clock_timestamp(), (select nullif(expires, '-infinity') from nodes where id = $1)` // as it was before
	renewLease = `update nodes set expires = clock_timestamp() + $4::interval, up = $5, config = $6 where id = $1 and holder = $2 and epoch = $3
		returning clock_timestamp()`
	endLease    = `update nodes set epoch = epoch + 1, expires = '-infinity' where id = $1 and holder = $2 and epoch = $3`
	declareDead = `update nodes set epoch = epoch + 1, expires = '-infinity'
		where expires < clock_timestamp() and expires > '-infinity' and id <> $1
		returning id, (select nullif(expires, '-infinity') from nodes before where before.id = nodes.id)`
	// ownerLives is whether the node of a row s lives as it was when it took that row: a shipment that it will answer, or a slot.
	ownerLives = `exists (select from nodes n where n.id = s.node and n.epoch = s.epoch)`
	lookAround = `select id, url, version, up, started, config from nodes where expires >= clock_timestamp() order by id`
)

// ErrHeld reports that another process runs as this node.
var ErrHeld = errors.New("another process runs as this node: each needs a node.id of its own")

// lease is this node's lease.
type lease struct {
	j      *Journal
	holder uuid.UUID
	conn   *connection
	kept   atomic.Bool // in tests: the lease is not given back, as by a process that is killed

	lapse *time.Timer // ends this node's slots when the lease has expired

	mu     sync.Mutex
	epoch  int64
	until  time.Duration         // by bootTime: until when this node may submit
	since  time.Duration         // since when it has had the lease without a break
	keeps  bool                  // it is the keeper
	alive  []Node                // nodes that are alive, this one included, by id
	told   map[string]Difference // what the log says of these, by part. Only look uses it
	offset time.Duration         // of the database's clock from this machine's
	clock  time.Time             // the database's clock, at read by bootTime
	read   time.Duration
	failed error     // why the last renewal failed; nil: it did not
	died   time.Time // the first end of a lease that was not given back, since the last look for its claims; zero: there is none
	over   bool      // the log says that the lease has ended
}

// take takes the node's lease. It waits for one that another process has, once.
func (j *Journal) take(ctx context.Context) (*lease, error) {
	l := &lease{j: j, holder: uuid.New(), lapse: time.AfterFunc(j.opt.Lease, func() { j.slots.outdated(noEpoch) })}
	conn, err := j.connect(ctx)
	if err != nil {
		l.lapse.Stop()
		return nil, err
	}
	l.conn = conn
	end := time.Now().Add(j.opt.Lease + j.opt.Lease/2)
	for pause := j.opt.Lease / 20; ; {
		began := time.Now()
		taken, err := l.acquire(ctx)
		if err == nil && taken {
			if err = l.look(ctx); err == nil {
				return l, nil
			}
		}
		if err == nil && began.After(end) {
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
		l.lapse.Stop()
		closeConn(conn.Conn)
		return nil, err
	}
}

// acquire takes the lease, with a new epoch, and this node's keys into use.
func (l *lease) acquire(ctx context.Context) (bool, error) {
	began, asked := time.Now(), bootTime()
	var epoch int64
	var now time.Time
	var died *time.Time
	err := l.query(ctx, takeLease, []any{l.j.opt.Node, [16]byte(l.holder), l.j.opt.Lease, l.j.opt.URL, l.j.opt.Version, l.j.alike(), len(l.j.opt.schema()),
		l.j.opt.keyIDs()}, &epoch, &now, &died)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, l.j.opt.usable(ctx, l.conn)
	}
	if err != nil {
		return false, err
	}
	if err := l.j.attach(ctx, l.conn); err != nil {
		l.giveBack(ctx, epoch)
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch, l.since = epoch, asked
	if died != nil {
		l.died = first(l.died, *died)
	}
	l.extend(began, asked, now)
	return true, nil
}

// extend notes a lease that the database gave at now; it was asked for at began. The caller holds mu.
func (l *lease) extend(began time.Time, asked time.Duration, now time.Time) {
	l.until = asked + l.j.opt.Lease*3/4
	l.lapse.Reset(asked + l.j.opt.Lease - bootTime())
	took := time.Since(began)
	l.offset, l.clock, l.read = now.Sub(began.Add(took/2)), now, asked+took/2
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
		err := l.connect(stop)
		ctx, cancel := context.WithTimeout(context.Background(), l.j.opt.Lease/2)
		if err == nil {
			err = l.tend(ctx)
		}
		l.note(err)
		if err != nil {
			l.drop()
		} else if time.Since(counted) > countEvery {
			counted = time.Now()
			if err = l.j.count(ctx); err != nil {
				l.j.log.Warn("reports that wait were not counted, trying again", "err", reason.Of(err))
			}
		}
		cancel()
	}
}

// connect opens the session, if there is none. It takes the time that a connection needs, not that of a renewal, and ends
// with stop.
func (l *lease) connect(stop <-chan struct{}) (err error) {
	if l.conn != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	l.conn, err = l.j.connect(ctx)
	return err
}

// note keeps and logs how a renewal ended: the first that fails, the first after the lease has ended, and the one that succeeds again.
func (l *lease) note(err error) {
	l.mu.Lock()
	before, left := l.failed, l.until-bootTime()
	l.failed = err
	over := err != nil && left <= 0 && !l.over
	l.over = err != nil && (l.over || over)
	l.mu.Unlock()
	switch {
	case over:
		l.j.log.Error("this node's lease has ended: it takes no orders and sends nothing until the database renews it; straks doctor looks for the cause", "err", reason.Of(err))
	case err != nil && before == nil:
		l.j.log.Warn("this node's lease was not renewed, trying again", "left", max(left, 0).Round(time.Millisecond).String(), "err", reason.Of(err))
	case err == nil && before != nil:
		l.j.log.Info("this node's lease is renewed again")
	}
}

// ended returns why this node must not submit, or nil. It names the last failure of a renewal.
func (l *lease) ended() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := bootTime() - l.until
	switch {
	case over < 0:
		return nil
	case l.failed == nil:
		return fmt.Errorf("%w: this node's lease has ended", orders.ErrUnavailable)
	}
	return fmt.Errorf("%w: this node's lease ended %v ago, and the database does not renew it (%s): see straks doctor", orders.ErrUnavailable,
		over.Round(time.Second), reason.Of(l.failed))
}

// tend renews the lease, takes it again if it was lost, and looks at the other nodes.
func (l *lease) tend(ctx context.Context) (err error) {
	renewed, err := l.renew(ctx)
	if err == nil && !renewed {
		l.j.log.Error("another node declared this one dead, since it did not renew its lease in time: was it paused, or cut off from the database? It takes its lease again, and its binds when they are free")
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
				var died *time.Time
				if err := rows.Scan(&node, &died); err != nil {
					return err
				}
				if died != nil {
					l.mu.Lock()
					l.died = first(l.died, *died)
					l.mu.Unlock()
				}
				l.j.log.Warn("a node did not renew its lease, and counts as dead: its binds are free for others", "node", node)
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
	l.lapse.Stop()
	l.mu.Lock()
	epoch := l.epoch
	l.until, l.keeps = 0, false
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), l.j.config.ConnectTimeout)
	defer cancel()
	if l.conn == nil || l.kept.Load() {
		return // the lease ends by itself
	}
	l.giveBack(ctx, epoch)
}

// giveBack ends the lease in the database.
func (l *lease) giveBack(ctx context.Context, epoch int64) {
	b := &pgx.Batch{}
	b.Queue(endLease, l.j.opt.Node, [16]byte(l.holder), epoch)
	if err := l.conn.send(ctx, b); err != nil {
		l.j.log.Warn("this node's lease was not given back, and ends by itself", "err", reason.Of(err))
	}
}

// left returns for how long this node may submit, negative after that.
func (l *lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until - bootTime()
}

// expired reports whether other nodes may have this one's binds.
func (l *lease) expired() bool { return l.left() <= -l.j.opt.Lease/4 }

func (l *lease) epochNow() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// firstDeath returns when the first node died whose claims this one has not looked for yet; zero: there is none.
func (l *lease) firstDeath() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

// searched notes that no claims are left of nodes that died at a time or later, as far as was known.
func (l *lease) searched(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.died.Equal(at) {
		l.died = time.Time{}
	}
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

// now returns the time by the database's clock.
func (l *lease) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock.Add(bootTime() - l.read)
}

// Alive returns how many nodes are alive, this one included.
func (j *Journal) Alive() int {
	j.lease.mu.Lock()
	defer j.lease.mu.Unlock()
	return max(len(j.lease.alive), 1)
}
