package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"straks/orders"
)

// request is a call that waits for the writer.
type request struct {
	ctx  context.Context
	run  func(*writeTx) error // may be run again if its transaction failed: it sets all of its results
	turn turn
	done chan error // takes the one answer, waited for or not

	effects []orders.Effect // of Apply, which run sets
	later   orders.Later    // of Apply
}

// turn is the order in which the requests of a transaction are run. With answers before reports, a
// receipt that follows its answer closely finds it: parking the receipt and taking it out again would
// cost twice as much.
type turn uint8

const (
	accepting turn = iota // and everything else
	answering
	reporting
	sweeping
)

func newRequest(ctx context.Context) *request {
	return &request{ctx: ctx, done: make(chan error, 1)}
}

// writer is the state of the writing goroutine.
type writer struct {
	file       file
	batch      []*request
	values     []byte // kept from batch to batch
	unanswered []byte // where the next step of Sweep goes on in that table
	resealing  resealing
	failed     bool
	unsure     bool             // a failed commit may have reached the meta page
	undecided  undecided        // the calls of the last commit, if it failed
	listed     bool             // the last commit stored the list of free pages
	idle       <-chan time.Time // when it is stored however long it is; nil where it is stored
	interval   time.Duration
	retry      <-chan time.Time
	closeErr   error
}

// do queues a request and waits for its answer. Where ctx ends first, nothing
// is known.
func (j *Journal) do(queue chan *request, r *request) error {
	if err := j.health.refuse(); err != nil {
		return err
	}
	select {
	case <-j.closing:
		return fmt.Errorf("%w: closed", orders.ErrUnavailable)
	default:
	}
	select {
	case queue <- r:
	default:
		j.metrics.refused.Inc()
		return orders.ErrBusy
	}
	select {
	case err := <-r.done:
		return err
	case <-r.ctx.Done():
		return fmt.Errorf("%w: %w", orders.ErrUnavailable, context.Cause(r.ctx))
	case <-j.closed:
	}
	select {
	case err := <-r.done:
		return err
	default:
		return fmt.Errorf("%w: closed", orders.ErrUnavailable)
	}
}

// write is the writing goroutine.
func (j *Journal) write() {
	defer close(j.closed)
	w := &j.writer
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			j.look()
			continue
		case r := <-j.accepts:
			j.gather(r)
		case r := <-j.facts:
			if r.turn == reporting && len(j.accepts) == 0 {
				runtime.Gosched() // the answer that the receipt follows is about to come: one commit for both
			}
			j.gather(r)
		case <-w.retry:
			j.recover()
			continue
		case <-w.idle:
			w.idle = nil
			_ = j.transact() // if it fails, the next call will say so
			continue
		case <-j.closing:
			if j.gather(nil); len(w.batch) == 0 {
				j.end()
				return
			}
		}
		j.serve(w.batch)
		j.watch()
		if w.idle = nil; !w.listed {
			w.idle = time.After(idle)
		}
	}
}

// gather takes the calls that wait, up to the bound of a batch: accepts first, but half of the batch is
// for facts if that many wait. The outcome of an accepted order must be stored, however many more wait.
func (j *Journal) gather(first *request) {
	batch := j.writer.batch[:0]
	if first != nil {
		batch = append(batch, first)
	}
	batch = take(batch, j.accepts, j.opt.MaxBatch/2)
	batch = take(batch, j.facts, j.opt.MaxBatch)
	batch = take(batch, j.accepts, j.opt.MaxBatch)
	slices.SortStableFunc(batch, func(a, b *request) int { return cmp.Compare(a.turn, b.turn) })
	j.writer.batch = batch
}

// take appends calls of a queue until the batch has most calls or none waits.
func take(batch []*request, queue chan *request, most int) []*request {
	for len(batch) < most {
		select {
		case r := <-queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// serve runs a batch in one transaction and answers all of its requests. If a request fails by itself,
// each is run alone, so that only that one fails.
func (j *Journal) serve(batch []*request) {
	waiting := batch[:0]
	for _, r := range batch {
		if r.ctx.Err() == nil {
			waiting = append(waiting, r)
		} else {
			r.later.NotStored()
		}
	}
	if len(waiting) == 0 {
		return
	}
	j.metrics.batch.Observe(float64(len(waiting)))
	err := j.transact(waiting...)
	var own *requestError
	if errors.As(err, &own) && len(waiting) > 1 {
		for _, r := range waiting {
			err := j.transact(r)
			r.finish(answer(err), !j.writer.undecided.has(r))
		}
		return
	}
	for _, r := range waiting {
		r.finish(answer(err), !j.writer.undecided.has(r))
	}
}

// requestError is the failure of a request, as against that of the journal.
type requestError struct{ err error }

func (e *requestError) Error() string { return e.err.Error() }

// answer is the error that the caller gets.
func answer(err error) error {
	if err == nil {
		return nil
	}
	var own *requestError
	if errors.As(err, &own) {
		return own.err
	}
	return err
}

// transact runs requests in one transaction and shows the result to readers.
func (j *Journal) transact(requests ...*request) error {
	w := &j.writer
	if w.failed || j.health.damage.why() != nil {
		return j.health.refuse()
	}
	wtx := &writeTx{opt: &j.opt, values: w.values[:0], waiting: j.parkedLevels(), resealing: w.resealing}
	err := j.attempt(wtx, requests)
	w.values = wtx.values[:0]
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		wtx = &writeTx{opt: &j.opt, waiting: j.parkedLevels(), resealing: w.resealing}
		err = j.remap(wtx, requests)
	}
	var own *requestError
	switch {
	case err == nil:
		if wtx.counted {
			levels := wtx.waiting
			j.waiting.Store(&levels)
		}
		j.noteResealing(wtx)
		j.due.back(wtx.newDeadline)
		return nil
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrReplaced):
		j.lose(w.file.id, err)
		return j.health.down()
	case errors.As(err, &own):
		if len(requests) == 1 { // else each is run alone
			j.unread(own.err)
		}
		return err
	}
	if wtx.committed != 0 {
		w.undecided = undecided{wtx.committed, slices.Clone(requests)}
	}
	j.fail(err)
	return j.health.down()
}

// remap reopens the file with twice the address space, and tries again.
func (j *Journal) remap(wtx *writeTx, requests []*request) error {
	j.opt.MapSize = 2 * j.writer.file.mapped
	j.opt.Log.Warn("journal has outgrown its map, reopening it", "map_bytes", j.opt.MapSize)
	if err := j.reopen(); err != nil {
		j.writer.unsure = true
		return err
	}
	return j.attempt(wtx, requests)
}

// attempt is one transaction from Begin to the snapshot that readers get.
func (j *Journal) attempt(wtx *writeTx, requests []*request) (err error) {
	db := j.writer.file.db
	began := time.Now()
	j.health.begin(began)
	defer j.health.end()
	defer caught(&err)()
	id := j.writer.file.id
	if err = id.same(); err != nil {
		return err
	}
	j.snapshots.endLeft()
	if wtx.tx, err = db.Begin(true); err != nil {
		return err
	}
	j.writer.undecided.decide(wtx.tx.ID())
	wtx.box = j.writer.file.box
	for _, r := range requests {
		if err := runOne(wtx, r); errors.Is(err, ErrDamaged) {
			return err
		} else if err != nil {
			if changed := errors.Join(wtx.tx.Rollback(), id.same()); changed != nil {
				return changed
			}
			return &requestError{err}
		}
	}
	tx := wtx.tx.ID()
	wtx.committed = tx
	if err := j.commit(wtx.tx, len(requests) == 0); err != nil {
		return err
	}
	if err := id.extended(tx); err != nil { // before bbolt looks at a meta page that is none
		return err
	}
	j.metrics.commit.Observe(time.Since(began).Seconds())
	return j.snapshots.publish(&j.writer.file)
}

func runOne(w *writeTx, r *request) (err error) {
	defer caught(&err)()
	return r.run(w)
}

// commit commits, and notes where a failure may have got as far as the meta page. all has the list of
// free pages stored, however long it is.
func (j *Journal) commit(tx *bbolt.Tx, all bool) (err error) {
	w, id, db := &j.writer, tx.ID(), tx.DB()
	list(db, all)
	func() {
		defer caught(&err)()
		err = j.opt.commit(tx)
	}()
	switch {
	case errors.Is(err, ErrDamaged):
	case err != nil:
		w.unsure = w.unsure || !intact(db, id)
		if tx.DB() != nil {
			err = errors.Join(err, tx.Rollback())
		}
	default:
		w.listed = !db.NoFreelistSync
	}
	return err
}

// intact reports whether the state before transaction id is still the present one.
func intact(db *bbolt.DB, id int) bool {
	tx, err := db.Begin(false)
	if err != nil {
		return false
	}
	defer tx.Rollback()
	return tx.ID() < id
}

// end closes the file when nothing is left to write. To one that failed, or is not
// what it was, it writes nothing.
func (j *Journal) end() {
	w := &j.writer
	if err := j.health.damage.why(); err != nil {
		j.snapshots.abandon()
		w.closeErr = errors.Join(err, w.file.abandon()) // bbolt may hold its locks for ever
		return
	}
	if j.look(); j.health.damage.why() != nil {
		j.end()
		return
	}
	j.snapshots.withdraw()
	if w.failed {
		w.closeErr = errors.Join(j.health.down(), w.file.shut())
		return
	}
	w.closeErr = w.file.close()
}
