package bolt

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"straks/orders"
)

// errPage comes with ErrCorrupt where it is no record that can't be read, but a page:
// nobody knows what else it takes along.
var errPage = errors.New("a page can't be read")

// damageLasts is for how long Ready tells of a page where no later call has come through:
// there may be none, just because the journal is not ready.
const damageLasts = 2 * time.Minute

// damage is what is known of pages that can't be read. Ready goes by those that writes have
// met: for orders, answers and reports the last call that could not be stored for one. The
// next that is stored takes it back: it is the page of few, and those are counted.
type damage struct {
	met   atomic.Bool // a page that can't be read, by whatever call, since the journal was opened
	calls [reporting + 1]atomic.Pointer[damaged]
}

type damaged struct {
	err error
	at  time.Time
}

// ran notes how a request has ended.
func (d *damage) ran(r *request, err error) {
	switch {
	case r.turn > reporting: // nobody waits for it
	case errors.Is(err, errPage):
		d.calls[r.turn].Store(&damaged{err, time.Now()})
	case err == nil && d.calls[r.turn].Load() != nil:
		d.calls[r.turn].Store(nil)
	}
}

// lasts returns why calls of some kind can't be stored, or nil.
func (d *damage) lasts() error {
	for i := range d.calls {
		if c := d.calls[i].Load(); c != nil && time.Since(c.at) < damageLasts {
			return fmt.Errorf("%w: damaged, stop straks and restore a backup: %w", orders.ErrUnavailable, c.err)
		}
	}
	return nil
}

// ended notes how requests that were run in one transaction have ended, all alike.
func (j *Journal) ended(requests []*request, err error) {
	for _, r := range requests {
		j.damage.ran(r, err)
	}
	j.unread(err)
	if errors.Is(err, errPage) {
		j.skipped.Write("page", slog.LevelError, "journal is damaged", slog.Any("err", err))
	}
}

// unread counts what can't be read.
func (j *Journal) unread(err error) {
	if errors.Is(err, errPage) {
		j.damage.met.Store(true)
	}
	if errors.Is(err, ErrCorrupt) {
		j.metrics.unreadable.Inc()
	}
}
