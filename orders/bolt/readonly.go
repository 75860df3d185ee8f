package bolt

import (
	"bytes"
	"errors"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// reader is what reading a journal takes, whoever writes it, if anybody does.
type reader struct {
	snapshots snapshots
	waiting   atomic.Int64 // parked reports
}

// begin shows the open file to readers and counts what waits in it. A page that can't be read is
// no reason not to open: whoever needs what is on it will tell.
func (r *reader) begin(db *bbolt.DB) error {
	if err := r.snapshots.publish(db); err != nil {
		return err
	}
	n, last, err := r.countParked((*bbolt.Cursor).First, (*bbolt.Cursor).Next, nil)
	if errors.Is(err, ErrCorrupt) {
		behind, _, _ := r.countParked((*bbolt.Cursor).Last, (*bbolt.Cursor).Prev, last)
		n, err = n+behind, nil
	}
	r.waiting.Store(n)
	return err
}

// countParked counts parked reports as far as they can be read, and up to one that was counted
// already. It returns the last.
func (r *reader) countParked(first, next func(*bbolt.Cursor) (k, v []byte), counted []byte) (n int64, last []byte, err error) {
	err = r.snapshots.view(func(t tables) error {
		c := t.parked().Cursor()
		for k, _ := first(c); k != nil && (counted == nil || !bytes.Equal(k, counted)); k, _ = next(c) {
			n++
			last = append(last[:0], k...)
		}
		return nil
	})
	return n, last, err
}

// ReadOnly is a journal for those who look after one: nothing in its file is
// changed, not even brought to the present schema. Backup copies a journal of an
// older schema too; Stats and Check fail with ErrOutdated.
type ReadOnly struct {
	reader
	file file
}

// OpenReadOnly opens the journal at path, which no daemon may have open.
func OpenReadOnly(path string, opt Options) (*ReadOnly, error) {
	opt = opt.withDefaults()
	f, err := open(path, opt, toRead)
	if err != nil {
		return nil, err
	}
	r := &ReadOnly{file: f}
	if err := r.begin(f.db); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close releases the file.
func (r *ReadOnly) Close() error {
	r.snapshots.withdraw()
	return closeQuietly(r.file.db)
}
