package bolt

import (
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// snapshots hands out the read transaction of the last synced commit, one for
// all readers: bbolt's read transactions hold no state of the reader's. An older one without
// readers is ended by the writer: that takes a lock which bbolt holds while it writes a meta page, and
// no reader must wait for that.
type snapshots struct {
	mu     sync.Mutex
	latest *snapshot   // nil while the file is closed
	left   []*bbolt.Tx // by their last readers, for the writer to end

	damaged func(error) // is called when a page can't be read; nil: not
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

// withdraw leaves readers with nothing, so that the file can be closed. The last reader then ends its
// transaction: the writer waits for that, and writes nothing.
func (s *snapshots) withdraw() { s.replace(nil) }

func (s *snapshots) replace(with *snapshot) {
	s.mu.Lock()
	if old := s.latest; old != nil {
		if old.readers--; old.readers == 0 {
			s.left = append(s.left, old.tx)
		}
	}
	s.latest = with
	s.mu.Unlock()
	s.endLeft()
}

// endLeft ends the transactions without readers, so that their pages can be used again. Call it from
// the goroutine that writes.
func (s *snapshots) endLeft() {
	s.mu.Lock()
	left := s.left
	s.left = nil
	s.mu.Unlock()
	for _, tx := range left {
		tx.Rollback() // of a read transaction: can't fail
	}
}

// withdrawn reports whether readers have nothing: the file is closed, or waits for the
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
	last, closed := sn.readers == 0, s.latest == nil
	if last && !closed {
		s.left = append(s.left, sn.tx)
	}
	s.mu.Unlock()
	if last && closed {
		sn.tx.Rollback()
	}
}

// view runs read over the latest snapshot. It fails with ErrDamaged where a page can't be read.
func (s *snapshots) view(read func(tables) error) (err error) {
	sn, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.release(sn)
	defer func() {
		if s.damaged != nil && errors.Is(err, ErrDamaged) {
			s.damaged(err)
		}
	}()
	defer caught(&err)()
	return read(tables{sn.tx})
}
