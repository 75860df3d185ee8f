package bolt

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"straks/orders"
)

const (
	// longestProbe bounds the interval between attempts after a failure.
	longestProbe = 2 * time.Second
)

// health is the state of the writer that other goroutines read.
type health struct {
	stalled time.Duration // Options.StallAfter
	damage  damage
	failure atomic.Pointer[error]
	began   atomic.Pointer[time.Time] // of the transaction, or reopening, under way; else nil. A step of the wall clock does not move it
	slow    atomic.Int64              // how long the last one took, in ns, where it stalled; else 0
}

func (h *health) begin(t time.Time) { h.began.Store(&t) }

func (h *health) end() {
	took := time.Since(*h.began.Swap(nil))
	if took < h.stalled {
		took = 0
	}
	h.slow.Store(int64(took))
}

// refuse returns why calls that write are refused, or nil.
func (h *health) refuse() error {
	if err := h.down(); err != nil {
		return fmt.Errorf("%w: %w", orders.ErrNotStored, err)
	}
	return nil
}

// down returns why nothing can be stored now, or nil.
func (h *health) down() error {
	if err := h.damage.why(); err != nil {
		return err
	}
	if err := h.failure.Load(); err != nil {
		return *err
	}
	if began := h.began.Load(); began != nil {
		if d := time.Since(*began); d > h.stalled {
			return fmt.Errorf("%w: slow disk: writing for %v", orders.ErrUnavailable, d.Round(time.Second))
		}
	}
	return nil
}

// Ready returns nil when the journal can store orders and facts, else why not.
func (j *Journal) Ready() error {
	select {
	case <-j.closed:
		return errors.New("journal: closed")
	default:
	}
	if err := j.health.down(); err != nil {
		return err
	}
	if d := time.Duration(j.health.slow.Load()); d != 0 {
		return fmt.Errorf("%w: slow disk: the last write took %v", orders.ErrUnavailable, d.Round(100*time.Millisecond))
	}
	if err := j.room(); err != nil {
		return err
	}
	return j.health.down() // it may just have been seen that the file is another
}

// room returns errSize while the journal takes no orders for its size. Retention may make
// room again, and facts about stored orders are taken meanwhile.
func (j *Journal) room() (err error) {
	_ = j.snapshots.view(func(t tables) error { // while nothing can be read, something else is wrong
		if t.full(j.opt.MaxSize) {
			err = errSize
		}
		return nil
	})
	return err
}

// fail refuses calls from now on, and sets the time of the next attempt.
func (j *Journal) fail(cause error) {
	w := &j.writer
	err := fmt.Errorf("%w: %w", orders.ErrUnavailable, cause)
	if !w.failed {
		w.interval = j.opt.probe
		j.opt.Log.Error("journal can't write, orders and receipts are refused", "err", cause)
	}
	w.failed = true
	j.health.failure.Store(&err)
	w.retry = time.After(w.interval)
	w.interval = min(2*w.interval, longestProbe)
}

// watch sets the time of an attempt after a transaction that stalled, which shows how the disk is when
// no call comes.
func (j *Journal) watch() {
	if w := &j.writer; w.retry == nil && j.health.slow.Load() != 0 {
		w.retry = time.After(j.opt.probe)
	}
}

// lookEvery is how often the file is looked at while no call comes.
const lookEvery = time.Second

// look ends the journal, or fails it, if the file is not what it was.
func (j *Journal) look() {
	w := &j.writer
	if w.failed || j.health.damage.why() != nil {
		return
	}
	if err := w.file.id.kept(); errors.Is(err, ErrReplaced) || errors.Is(err, ErrDamaged) {
		j.lose(w.file.id, err)
	} else if err != nil {
		j.fail(err)
	}
}

// recover tries to write again.
func (j *Journal) recover() {
	w := &j.writer
	w.retry = nil
	if j.health.damage.why() != nil {
		return
	}
	began := time.Now()
	err := j.probe()
	if errors.Is(err, ErrReplaced) || errors.Is(err, ErrDamaged) {
		j.lose(w.file.id, err)
		return
	}
	if err != nil {
		w.interval = max(w.interval, 4*time.Since(began)) // an attempt may walk the whole file
		j.fail(err)
		return
	}
	if w.failed {
		w.failed = false
		j.health.failure.Store(nil)
		j.opt.Log.Info("journal writes again")
	}
	j.watch()
}

// probe stores a record without meaning. The file is reopened first if the failure left it unsure.
func (j *Journal) probe() error {
	if err := j.renew(); err != nil {
		return err
	}
	return j.attempt(&writeTx{opt: &j.opt}, []*request{{run: func(w *writeTx) error {
		return w.putMeta(keyProbe, time.Now().UTC().AppendFormat(nil, time.RFC3339))
	}}})
}

// renew reopens the file if a failure left it unsure.
func (j *Journal) renew() error {
	if !j.writer.unsure {
		return nil
	}
	err := j.reopen()
	j.writer.unsure = err != nil
	return err
}

// reopen closes the file, which waits for readers, and opens it again, unless its path
// has come to mean another one. A file that could not be opened stays closed, until the
// next attempt. It may take long, as a write may: calls are refused meanwhile.
func (j *Journal) reopen() error {
	j.health.begin(time.Now())
	defer j.health.end()
	w := &j.writer
	before := w.file.id
	if err := before.kept(); err != nil {
		return err
	}
	j.snapshots.withdraw()
	if err := w.file.shut(); err != nil {
		j.opt.Log.Warn("journal closed with an error", "err", err)
	}
	f, err := open(j.path, j.opt, false)
	if err != nil {
		return err
	}
	if !os.SameFile(f.info, w.file.info) { // replaced just now
		f.db.Close()
		return replaced(j.path)
	}
	f.box = w.file.box
	w.file, w.listed = f, true
	if err = j.begin(&w.file); err == nil && !w.file.id.continues(before) {
		err = before.overwritten()
	}
	j.due.back([]byte{}) // the failed commit may have stored a deadline from before the mark
	return err
}

func closeQuietly(db *bbolt.DB) (err error) {
	defer caught(&err)()
	return db.Close()
}
