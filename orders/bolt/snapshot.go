package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"

	"straks/orders"
	"straks/orders/sealed"
)

// snapshots hands out the read transaction of the last synced commit, one for
// all readers: bbolt's read transactions hold no state of the reader's. An older one without
// readers is ended by the writer: that takes a lock which bbolt holds while it writes a meta page, and
// no reader must wait for that.
type snapshots struct {
	mu     sync.Mutex
	latest *snapshot   // nil while the file is closed
	last   *snapshot   // the latest one there was
	left   []*bbolt.Tx // by their last readers, for the writer to end

	abandoned bool // no transaction is ended any more

	damaged func(*identity, error) // is called with ErrDamaged and ErrReplaced; nil: not
}

type snapshot struct {
	tx      *bbolt.Tx
	box     *sealed.Box
	readers int // and one for being the latest

	id   *identity
	n    int    // of the transaction
	meta []byte // the meta page that stays as it is until the next commit is published
}

// publish makes what is committed now the state that readers see. It fails with ErrReplaced where that is
// not what was committed here.
func (s *snapshots) publish(f *file) error {
	tx, err := f.db.Begin(false)
	if err != nil {
		return err
	}
	if err := f.id.committed(tx.ID(), tx.Size()); err != nil {
		endQuietly(tx)
		return err
	}
	s.replace(&snapshot{tx: tx, box: f.box, readers: 1, id: f.id, n: tx.ID(), meta: f.id.want[tx.ID()%2]})
	return nil
}

// withdraw leaves readers with nothing, so that the file can be closed. The last reader then ends its
// transaction: the writer waits for that, and writes nothing.
func (s *snapshots) withdraw() { s.replace(nil) }

// abandon is withdraw for a file that bbolt can't close any more. bbolt may hold its locks for ever, after
// a panic under them, so that no transaction can be ended.
func (s *snapshots) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.left, s.abandoned = nil, nil, true
}

func (s *snapshots) replace(with *snapshot) {
	s.mu.Lock()
	if old := s.latest; old != nil {
		if old.readers--; old.readers == 0 {
			s.left = append(s.left, old.tx)
		}
	}
	if s.latest = with; with != nil {
		s.last = with
	}
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
		endQuietly(tx)
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

func (s *snapshots) acquire() (sn *snapshot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil {
		return nil, errNotOpen
	}
	s.latest.readers++
	return s.latest, nil
}

// same fails with ErrReplaced unless the file is what was committed here. The caller has a snapshot.
func (s *snapshots) same() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer caught(&err)()
	if l := s.last; !bytes.Equal(l.id.meta(l.n), l.meta) {
		return l.id.overwritten()
	}
	return nil
}

func (s *snapshots) release(sn *snapshot) {
	s.mu.Lock()
	sn.readers--
	last, closed := sn.readers == 0 && !s.abandoned, s.latest == nil
	if last && !closed {
		s.left = append(s.left, sn.tx)
	}
	s.mu.Unlock()
	if last && closed {
		endQuietly(sn.tx)
	}
}

// endQuietly ends a read transaction. That fails only where a page can't be read, and then there is
// nothing to undo.
func endQuietly(tx *bbolt.Tx) (err error) {
	defer caught(&err)()
	return tx.Rollback()
}

// view runs read over the latest snapshot. It fails with ErrDamaged where a page can't be read, and with
// ErrReplaced where the file is not what was committed here: before read, or after it.
func (s *snapshots) view(read func(tables) error) error {
	sn, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.release(sn)
	if err = s.same(); err == nil {
		err = sn.read(read)
		if changed := s.same(); changed != nil {
			err = changed // and so may be what was read
		}
	}
	if s.damaged != nil && (errors.Is(err, ErrDamaged) || errors.Is(err, ErrReplaced)) {
		s.damaged(sn.id, err)
	}
	return err
}

func (sn *snapshot) read(read func(tables) error) (err error) {
	defer caught(&err)()
	return read(tables{sn.tx, sn.box})
}
