package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"straks/codes"
	"straks/orders"
)

// request is a call that waits for a writer. The writer may run it several times: it sets all of its results.
type request struct {
	ctx    context.Context
	order  *orders.AcceptRequest // of Accept
	events []orders.Event        // of Apply
	change func(codes.Tx) error  // of UpdateCodes

	shipment orders.Shipment
	claimed  bool
	effects  []orders.Effect
	failed   error // of change; of order, where this node may claim nothing

	done  chan error   // takes the one answer, waited for or not
	later orders.Later // of Apply
}

// writer is one writing goroutine with a session of its own. It takes all calls that wait, and stores them in one
// transaction.
type writer struct {
	j     *Journal
	queue chan *request
	serve func(context.Context, *connection, []*request) error // stores a batch
	conn  *connection                                          // nil: there is none

	undecided []transaction // that may be stored, or not

	mu    sync.Mutex
	down  error     // why the last write failed; nil: it did not
	again time.Time // when the next call may try
}

func newWriter(j *Journal, serve func(context.Context, *connection, []*request) error, queue int) *writer {
	return &writer{j: j, serve: serve, queue: make(chan *request, queue)}
}

// probeEvery is how often a writer whose last write failed tries one of its own. A node that is not ready gets no orders, so
// that it would never find out otherwise.
const probeEvery = time.Second

// retryAfter is how long calls are refused at once after a write that failed: they would wait for nothing.
const retryAfter = 250 * time.Millisecond

// refuse returns why no call is taken.
func (w *writer) refuse() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down != nil && time.Now().Before(w.again) {
		return fmt.Errorf("%w: %w", orders.ErrNotStored, w.down)
	}
	return nil
}

// state returns why the last write failed.
func (w *writer) state() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down
}

func (w *writer) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.down == nil {
		w.j.log.Error("the journal can't be written", "err", err)
	} else if err == nil && w.down != nil {
		w.j.log.Info("the journal can be written again")
	}
	w.down, w.again = err, time.Now().Add(retryAfter)
}

// do queues a request and waits for its answer. Where the caller leaves first, nothing is known; the write goes on.
func (w *writer) do(r *request) error {
	if err := w.refuse(); err != nil {
		return err
	}
	select {
	case <-w.j.closing:
		return fmt.Errorf("%w: closed", orders.ErrUnavailable)
	default:
	}
	select {
	case w.queue <- r:
	default:
		w.j.metrics.refused.Inc()
		return orders.ErrBusy
	}
	select {
	case err := <-r.done:
		return err
	case <-r.ctx.Done():
		return late(r.ctx)
	case <-w.j.closed:
	}
	select {
	case err := <-r.done:
		return err
	default:
		return fmt.Errorf("%w: closed", orders.ErrUnavailable)
	}
}

// run is the writing goroutine. When the journal closes it stores what is queued.
func (w *writer) run() {
	defer func() {
		if w.conn != nil {
			closeConn(w.conn.Conn)
		}
	}()
	var batch []*request
	for {
		var probe <-chan time.Time
		if w.state() != nil {
			probe = time.After(probeEvery)
		}
		select {
		case r := <-w.queue:
			batch = w.gather(batch[:0], r)
		case <-probe:
			w.note(w.probe())
			continue
		case <-w.j.closing:
			select {
			case r := <-w.queue:
				batch = w.gather(batch[:0], r)
			default:
				return
			}
		}
		w.store(batch)
	}
}

// probe commits a write that means nothing to anybody.
func (w *writer) probe() error {
	err := w.decide()
	if err == nil {
		err = w.write(w.j.pass)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// gather takes what waits, without the calls whose caller has left.
func (w *writer) gather(batch []*request, r *request) []*request {
	for {
		if r.ctx.Err() == nil {
			batch = append(batch, r)
		} else {
			r.later.NotStored()
		}
		if len(batch) >= w.j.opt.MaxBatch {
			return batch
		}
		select {
		case r = <-w.queue:
		default:
			return batch
		}
	}
}

// store stores a batch and answers its calls. If the server or the rules refuse one of them, each is stored alone, so
// that only that one fails.
func (w *writer) store(batch []*request) {
	if len(batch) == 0 {
		return
	}
	w.j.metrics.batch.Observe(float64(len(batch)))
	err := w.attempts(batch)
	if err != nil && faultOf(err) == faultRefused && len(batch) > 1 {
		for i := range batch {
			w.finish(batch[i:i+1], w.attempts(batch[i:i+1]))
		}
		return
	}
	w.finish(batch, err)
}

// maxAttempts is how often a transaction is tried that loses against others.
const maxAttempts = 12

// attempts stores a batch, again where it lost against another transaction.
func (w *writer) attempts(batch []*request) (err error) {
	if err := w.decide(); err != nil {
		w.note(unavailable(err))
		return notStored(err)
	}
	for range maxAttempts {
		err = w.attempt(batch)
		switch {
		case err == nil:
			w.note(nil)
			return nil
		case faultOf(err) == faultRefused:
			return err
		case faultOf(err) == faultAgain:
			w.j.again(err)
		case faultOf(err) == faultWeek:
			if failed := w.j.weeksOf(batch); failed != nil {
				err = failed
				w.note(unavailable(err))
				return err
			}
		default:
			w.note(unavailable(err))
			return err
		}
	}
	w.note(unavailable(err))
	return err
}

func (w *writer) attempt(batch []*request) error {
	return w.write(func(ctx context.Context, conn *connection) error {
		began := time.Now()
		err := w.serve(ctx, conn, batch)
		if err == nil {
			w.j.metrics.commit.Observe(time.Since(began).Seconds())
		}
		return err
	})
}

// write runs a call over the writer's session, which ends where its state is not known after that.
func (w *writer) write(call func(context.Context, *connection) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	if w.conn == nil {
		if w.conn, err = w.j.connect(ctx); err != nil {
			return notStored(err)
		}
	}
	if err = call(ctx, w.conn); err == nil {
		return nil
	}
	if faultOf(err) == faultLost || !w.conn.reset(ctx) {
		closeConn(w.conn.Conn)
		w.conn = nil
	}
	return err
}

// notStored is the error of a call before anything of it was sent.
func notStored(err error) error {
	if errors.Is(err, orders.ErrNotStored) {
		return err
	}
	return fmt.Errorf("%w: %w", orders.ErrNotStored, err)
}

// answer is the error that a caller gets.
func (w *writer) answer(err error) error {
	var own *callError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own) && faultOf(err) == faultRefused: // else the rules met a failure of the database
		return own.err
	case faultOf(err) == faultRefused:
		return fmt.Errorf("journal: the database refuses the call: %w", err)
	case errors.Is(err, orders.ErrNotStored):
		return fmt.Errorf("%w: %w", orders.ErrUnavailable, err)
	}
	return unavailable(err)
}
