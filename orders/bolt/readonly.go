package bolt

import (
	"errors"
	"sync/atomic"

	"straks/orders/sealed"
)

// reader is the part of a journal that reads it; Journal and ReadOnly share it.
type reader struct {
	path      string
	snapshots snapshots
	waiting   atomic.Pointer[parkedLevels] // of parked reports, as last committed
	progress  func(done, total int64)      // of Check; may be nil
}

// begin shows the open file to readers, and counts the parked reports in it.
func (r *reader) begin(f *file) (err error) {
	if f.id, err = identify(r.path, *f); err != nil {
		return err
	}
	if err := r.snapshots.publish(f); err != nil {
		return err
	}
	levels := parkedLevels{}
	err = r.snapshots.view(func(t tables) error {
		levels = t.countParked()
		return nil
	})
	r.waiting.Store(&levels)
	return err
}

// parkedLevels returns those of the last commit.
func (r *reader) parkedLevels() parkedLevels {
	if levels := r.waiting.Load(); levels != nil {
		return *levels
	}
	return nil
}

// ReadOnly is a journal for the operator's commands: nothing in its file is
// changed, not even its schema. Backup copies a journal of an
// older schema too; Stats and Check fail with ErrOutdated.
type ReadOnly struct {
	reader
	file   file
	damage error // a page that Open reads and that can't be read
	keys   sealed.Keys
}

// OpenReadOnly opens the journal at path, which no daemon may have open. A page that can't be read is
// no reason not to open it: Check reports it.
func OpenReadOnly(path string, opt Options) (*ReadOnly, error) {
	opt = opt.withDefaults()
	f, err := open(path, opt, true)
	if err != nil {
		return nil, err
	}
	r := &ReadOnly{reader: reader{path: path, progress: opt.Progress}, file: f, keys: opt.Keys}
	if err := r.file.view(tables.current); err == nil {
		if err := r.file.attach(&opt, true); err != nil && !errors.Is(err, ErrDamaged) {
			return nil, errors.Join(about(path, err), f.shut())
		}
	}
	if r.damage = r.begin(&r.file); r.damage != nil && !errors.Is(r.damage, ErrDamaged) {
		return nil, errors.Join(r.damage, r.Close())
	}
	return r, nil
}

// Current returns nil if Open would open the journal. ErrOutdated: after Migrate.
func (r *ReadOnly) Current() error {
	if r.damage != nil {
		return r.damage
	}
	if err := marked(r.path); err != nil {
		return err
	}
	return r.file.view(func(t tables) error {
		if err := t.current(); err != nil {
			return err
		}
		_, _, err := t.attached(r.keys)
		return err
	})
}

// Close releases the file.
func (r *ReadOnly) Close() error {
	r.snapshots.withdraw()
	return r.file.shut()
}
