package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"straks/internal/ratelog"
	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/postgres/reason"
)

// Journal is an orders.Journal, and one node's handle on the database. It owns these goroutines from Open to Close:
// the writers of orders, of facts and of verifications, the one that shares slots, and the one that renews the lease.
type Journal struct {
	opt     Options
	config  *pgx.ConnConfig
	log     *slog.Logger
	pool    *pgxpool.Pool // of readers, and of what is written beside the two writers
	id      uuid.UUID     // of the journal
	orders  *writer
	facts   *writer
	codes   *writer
	lease   *lease
	slots   slots
	barrier barrier
	sealing sealing
	others  chan struct{} // calls beside the writers
	calls   calls
	counts  counts
	heads   heads
	due     keeping
	walks   ledger.Walks
	ended   abandoned
	metrics *metrics
	skipped *ratelog.Log // what can't be read, and may be asked for often

	once    sync.Once
	closing chan struct{}
	closed  chan struct{}
}

var _ orders.Journal = (*Journal)(nil)

// readKnown has the shipment of a key, and whether the node that has claimed it lives: it will answer.
const readKnown = `select s.id, s.record, ` + ownerLives + `
	from keys k join shipments s on s.id = k.shipment where k.hash = $1`

// maxSkipped is how many log lines in a minute name records that can't be read.
const maxSkipped = 10

// Open opens the journal that Create made, as one node. It waits while another process has the lease of that node, for
// as long as a lease lasts: that of this node before it was killed ends by itself.
func Open(ctx context.Context, opt Options) (*Journal, error) {
	opt = opt.withDefaults()
	if opt.Node < 1 || opt.Node > maxNode {
		return nil, fmt.Errorf("journal: node %d is not from 1 to %d", opt.Node, maxNode)
	}
	cfg, err := opt.config()
	if err != nil {
		return nil, err
	}
	j := &Journal{opt: opt, config: cfg, log: opt.Log, skipped: ratelog.New(opt.Log, maxSkipped),
		others: make(chan struct{}, maxBeside), closing: make(chan struct{}), closed: make(chan struct{})}
	j.orders, j.facts = newWriter(j, j.accept, opt.Queue), newWriter(j, j.apply, 4*opt.Queue)
	j.codes = newWriter(j, j.changeCodes, opt.Queue)
	j.barrier.write, j.barrier.calls = j.fence, &j.calls
	j.config.OnNotice = j.noticed
	j.slots.j, j.slots.wake = j, make(chan struct{}, 1)
	j.sealing.now.Store(&boxOf{})
	j.metrics = newMetrics(nil, j)
	if err := j.begin(ctx); err != nil {
		return nil, reason.Explain(err)
	}
	j.metrics = newMetrics(opt.Registerer, j)
	go j.run()
	return j, nil
}

// begin connects, looks at the schema, and takes the node's lease.
func (j *Journal) begin(ctx context.Context) (err error) {
	pool, err := pgxpool.ParseConfig(j.opt.DSN)
	if err != nil {
		return CheckDSN(j.opt.DSN)
	}
	pool.ConnConfig = j.config.Copy()
	pool.MaxConns, pool.MinConns = int32(j.opt.Readers+maxBeside), 0
	pool.AfterConnect = knowServer
	if j.pool, err = pgxpool.NewWithConfig(context.Background(), pool); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			j.pool.Close()
		}
	}()
	if err := j.opt.usable(ctx, j.pool); err != nil {
		return err
	}
	var id [16]byte
	if err := j.pool.QueryRow(ctx, "select id from meta").Scan(&id); err != nil {
		return err
	}
	j.id = id
	if err := j.weeks(ctx, time.Now(), time.Now().Add(week)); err != nil {
		return err
	}
	if err := j.count(ctx); err != nil {
		return err
	}
	j.lease, err = j.take(ctx)
	return err
}

// run runs the goroutines until Close. The lease ends last: until then what is written belongs to a live node.
func (j *Journal) run() {
	defer close(j.closed)
	var writers sync.WaitGroup
	writers.Go(j.orders.run)
	writers.Go(j.facts.run)
	writers.Go(j.codes.run)
	writers.Go(j.slots.run)
	kept := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(kept)
		j.lease.keep(stop)
	}()
	writers.Wait()
	j.calls.close()
	close(stop)
	<-kept
	j.pool.Close()
}

// Close implements orders.Journal: what is queued is still stored.
func (j *Journal) Close() error {
	j.once.Do(func() { close(j.closing) })
	<-j.closed
	return nil
}

// ID returns the random id of the journal.
func (j *Journal) ID() uuid.UUID { return j.id }

// Now returns the time by the database's clock, as far as this node knows it. Should this machine's clock be set, it stays.
func (j *Journal) Now() time.Time { return j.lease.now() }

// Accept implements orders.Journal.
func (j *Journal) Accept(ctx context.Context, in orders.AcceptRequest) (orders.Shipment, bool, error) {
	if err := ledger.Check(&in); err != nil {
		return orders.Shipment{}, false, err
	}
	r := &request{ctx: ctx, order: &in, done: make(chan error, 1)}
	if err := j.orders.do(r); err != nil {
		return orders.Shipment{}, false, err
	}
	return r.shipment, r.claimed, r.failed
}

// Apply implements orders.Journal. All events of a call are stored, or none.
func (j *Journal) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	if len(events) == 0 {
		return nil, nil
	}
	r := &request{ctx: ctx, events: events, done: make(chan error, 1), later: orders.NewLater()}
	if err := j.facts.do(r); err != nil {
		return nil, r.later.Failure(err)
	}
	return r.effects, nil
}

// Shipment implements orders.Journal. A status that a failover takes back comes again, since its receipt was not
// acknowledged: so no barrier is needed.
func (j *Journal) Shipment(ctx context.Context, organisation string, id uuid.UUID) (s orders.Shipment, err error) {
	var record []byte
	err = j.pool.QueryRow(ctx, "select record from shipments where id = $1", [16]byte(id)).Scan(&record)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, orders.ErrNotFound
	}
	if err != nil {
		return s, unavailable(err)
	}
	if s, err = decodeShipment(j.box(), id, record); err == nil && s.Organisation != organisation {
		return orders.Shipment{}, orders.ErrNotFound
	}
	return s, err
}

// Known implements orders.Journal. It answers nothing that a failover could take back, except of a shipment that is Claimed.
func (j *Journal) Known(ctx context.Context, organisation, key string, at time.Time) (s orders.Shipment, known bool, err error) {
	h := hashOf(organisation, key)
	var id [16]byte
	var record []byte
	var lives bool
	server, err := j.readRow(ctx, []any{&id, &record, &lives}, readKnown, h[:])
	if errors.Is(err, pgx.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, unavailable(err)
	}
	found, err := decodeShipment(j.box(), id, record)
	if err != nil {
		return s, false, err
	}
	s, known = ledger.Known(found, true, at)
	if !known {
		return s, false, nil
	}
	if s.Claimed() {
		s.Held = s.Held || lives && !j.opt.callersTime
		return s, true, nil
	}
	return s, true, j.barrier.wait(ctx, server)
}

// readRow runs a query that returns one row, and says which server was asked.
func (j *Journal) readRow(ctx context.Context, into []any, sql string, args ...any) (of serverID, err error) {
	c, err := j.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	return serverOf(c.Conn()), c.QueryRow(ctx, sql, args...).Scan(into...)
}

// unread counts and logs records that can't be read.
func (j *Journal) unread(what string, err error) {
	j.metrics.unreadable.Inc()
	j.skipped.Write(what, slog.LevelError, what+" skipped: its record can't be read", slog.Any("err", err))
}
