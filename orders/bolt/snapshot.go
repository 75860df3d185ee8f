package bolt

import (
	"fmt"
	"runtime/debug"
	"sync"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// snapshots hands out the read transaction of the last synced commit, one for
// all readers: bbolt's read transactions hold no state of the reader's. It is
// ended by the last reader after a newer one took its place.
type snapshots struct {
	mu     sync.Mutex
	latest *snapshot // nil while the file is closed
}

type snapshot struct {
	tx      *bbolt.Tx
	readers int // and one for being the latest
}

// publish makes what is committed now the state that readers see.
func (s *snapshots) publish(db *bbolt.DB) error {
	tx, err := db.Begin(false)
	if err != nil {
		return err
	}
	s.replace(&snapshot{tx: tx, readers: 1})
	return nil
}

// withdraw leaves readers with nothing, so that the file can be closed.
func (s *snapshots) withdraw() { s.replace(nil) }

func (s *snapshots) replace(with *snapshot) {
	s.mu.Lock()
	old := s.latest
	s.latest = with
	s.mu.Unlock()
	if old != nil {
		s.release(old)
	}
}

// withdrawn tells whether readers have nothing: the file is closed, or waits for the
// last of them to be.
func (s *snapshots) withdrawn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest == nil
}

// size returns the octets of the file's pages at the last commit; 0 where readers have nothing.
func (s *snapshots) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil {
		return 0
	}
	return s.latest.tx.Size()
}

var errNotOpen = fmt.Errorf("%w: the file is not open", orders.ErrUnavailable)

func (s *snapshots) acquire() (*snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil {
		return nil, errNotOpen
	}
	s.latest.readers++
	return s.latest, nil
}

func (s *snapshots) release(sn *snapshot) {
	s.mu.Lock()
	sn.readers--
	last := sn.readers == 0
	s.mu.Unlock()
	if last {
		sn.tx.Rollback() // of a read transaction: can't fail
	}
}

// view runs read over the latest snapshot. What a page can't be read for (a
// failing disk under the map, a corrupt page) comes back as an error.
func (s *snapshots) view(read func(tables) error) (err error) {
	sn, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.release(sn)
	defer caught(&err)()
	return read(tables{sn.tx})
}

// caught turns a panic of the deferring function into an error, that of a
// page fault in the map (SIGBUS) too.
func caught(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %w: %v", ErrCorrupt, errPage, p)
		}
	}
}
