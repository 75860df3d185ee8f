package bolt

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"straks/internal/ratelog"
	"straks/orders"
	"straks/orders/ledger"
)

// Journal is an orders.Journal. It owns one goroutine, the writer, from Open to
// Close.
type Journal struct {
	opt     Options
	accepts chan *request // go first in each transaction
	facts   chan *request
	closing chan struct{}
	closed  chan struct{} // the writer has ended
	once    sync.Once

	reader
	due     dueMark
	health  health
	metrics *metrics
	copying atomic.Bool  // there is a Copy
	skipped *ratelog.Log // what can't be read, and may be asked for often

	abandoned map[uuid.UUID]uuid.UUID // claims by shipment, of processes that have ended; does not change

	walks  ledger.Walks
	writer writer // of the writing goroutine
}

var _ orders.Journal = (*Journal)(nil)

// maxSkipped is how many log lines in a minute name feed entries that can't be read.
const maxSkipped = 10

// Open opens the journal at path, which Create made. One that is not of the
// present schema fails with ErrOutdated: it is for Migrate first.
func Open(path string, opt Options) (*Journal, error) {
	opt = opt.withDefaults()
	if err := marked(path); err != nil {
		return nil, err
	}
	f, err := open(path, opt, false)
	if err != nil {
		return nil, err
	}
	removeCopies(path)
	j := &Journal{
		reader:  reader{path: path},
		opt:     opt,
		accepts: make(chan *request, opt.Queue),
		facts:   make(chan *request, 4*opt.Queue),
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
		skipped: ratelog.New(opt.Log, maxSkipped),
		writer:  writer{file: f, listed: true},
	}
	j.health.stalled = j.opt.StallAfter
	j.health.damage.end = make(chan error, 1)
	j.snapshots.damaged = j.lose
	if err = f.view(tables.current); err == nil {
		err = j.writer.file.attach(&j.opt, false)
	}
	if err == nil {
		j.noteClaims(j.writer.file)
		err = j.begin(&j.writer.file)
	}
	if err != nil {
		j.snapshots.withdraw()
		_ = j.writer.file.shut()
		return nil, about(path, err)
	}
	j.metrics = newMetrics(opt.Registerer, j)
	if !j.writer.file.box.Settled() {
		j.metrics.resealing.Set(1)
	}
	go j.write()
	return j, nil
}

// Accept implements orders.Journal.
func (j *Journal) Accept(ctx context.Context, in orders.AcceptRequest) (orders.Shipment, bool, error) {
	if err := ledger.Check(&in); err != nil {
		return orders.Shipment{}, false, err
	}
	r := newRequest(ctx)
	var s orders.Shipment
	var claimed bool
	var refused error
	r.run = func(w *writeTx) (err error) {
		refused = nil // the result of an earlier run is gone with its transaction
		if s, claimed, err = w.ledger().Accept(&in); errors.Is(err, errFull) {
			refused, err = err, nil // it has changed nothing, and must not fail the other calls of the transaction
		}
		return err
	}
	err := j.do(j.accepts, r)
	if err == nil {
		err = refused
	}
	if err != nil {
		return orders.Shipment{}, false, err
	}
	return s, claimed, nil
}

// Known implements orders.Journal.
func (j *Journal) Known(ctx context.Context, organisation, key string, at time.Time) (s orders.Shipment, known bool, err error) {
	err = j.snapshots.view(func(t tables) error {
		k := hash(organisation, key)
		v, err := t.keys().get(k)
		if v == nil {
			return err
		}
		found, ok, err := t.keyed(k, v)
		s, known = ledger.Known(found, ok, at)
		return err
	})
	return s, known, err
}

// Apply implements orders.Journal. All events of a call are stored, or none.
func (j *Journal) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	if len(events) == 0 {
		return nil, nil
	}
	r := newRequest(ctx)
	r.turn, r.effects, r.later = turnOf(events[0]), make([]orders.Effect, len(events)), orders.NewLater()
	r.run = func(w *writeTx) (err error) {
		l := w.ledger()
		for i, e := range events {
			if r.effects[i], err = l.Apply(e); err != nil {
				return err
			}
		}
		return nil
	}
	if err := j.do(j.facts, r); err != nil {
		return nil, r.later.Failure(err)
	}
	return r.effects, nil
}

// turnOf returns when a call has its turn whose first event this is.
func turnOf(e orders.Event) turn {
	if _, ok := e.(orders.Answer); ok {
		return answering
	}
	return reporting
}

// Shipment implements orders.Journal.
func (j *Journal) Shipment(ctx context.Context, organisation string, id uuid.UUID) (s orders.Shipment, err error) {
	err = j.snapshots.view(func(t tables) error {
		found, ok, err := t.shipment(id, false)
		if err == nil && (!ok || found.Organisation != organisation) {
			err = orders.ErrNotFound
		}
		s = found
		return err
	})
	if err != nil {
		return orders.Shipment{}, err
	}
	return s, nil
}

// Feed implements orders.Journal.
func (j *Journal) Feed(ctx context.Context, q orders.FeedQuery) (page []orders.FeedEntry, err error) {
	var bad []error
	err = j.snapshots.view(func(t tables) (err error) {
		page, bad, err = t.page(ctx, q)
		return err
	})
	j.unread(err)
	for _, err := range bad {
		j.unread(err)
		j.skipped.Write("feed", slog.LevelError, "feed entry skipped; see straks journal check", slog.Any("err", err))
	}
	return page, err
}

// Due implements orders.Journal.
func (j *Journal) Due(ctx context.Context, now time.Time, limit int) (due []uuid.UUID, next time.Time, err error) {
	j.due.look.Lock()
	defer j.due.look.Unlock()
	mark := j.due.begin()
	var seen scan
	err = j.snapshots.view(func(t tables) (err error) {
		seen, err = t.due(mark, now, limit)
		return err
	})
	if err != nil {
		j.unread(err)
		return nil, time.Time{}, err
	}
	j.due.advance(seen.mark)
	for _, bad := range seen.bad {
		j.unread(bad)
		j.opt.Log.Error("deadline skipped, its shipment keeps its status; see straks journal check", "err", bad)
	}
	return seen.due, seen.next, nil
}

// unread counts what can't be read.
func (j *Journal) unread(err error) {
	if errors.Is(err, ErrCorrupt) {
		j.metrics.unreadable.Inc()
	}
}

// Close implements orders.Journal: what is queued is still stored.
func (j *Journal) Close() error {
	j.once.Do(func() { close(j.closing) })
	<-j.closed
	return j.writer.closeErr
}
