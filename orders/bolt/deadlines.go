package bolt

import (
	"bytes"
	"encoding/binary"
	"sync"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// dueScan bounds how many entries one call of Due steps over.
const dueScan = 10_000

func deadlineKey(s *orders.Shipment) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 24), uint64(max(s.Deadline.UnixMicro(), 0)))
	return append(key, s.ID[:]...)
}

// splitDeadline returns what a key of deadlines is made of.
func splitDeadline(key []byte) (us int64, id uuid.UUID, err error) {
	if len(key) != 24 {
		return 0, id, corrupt("deadline")
	}
	return int64(binary.BigEndian.Uint64(key)), uuid.UUID(key[8:]), nil
}

func (w *writeTx) putDeadline(s *orders.Shipment) error {
	key := deadlineKey(s)
	if w.newDeadline == nil || bytes.Compare(key, w.newDeadline) < 0 {
		w.newDeadline = key
	}
	b := w.deadlines()
	b.FillPercent = appended
	return b.Put(key, []byte{})
}

// settled tells whether an entry of deadlines has nothing to expire any more.
func (t tables) settled(us int64, id uuid.UUID) (bool, error) {
	s, ok, err := t.shipment(id, true)
	if err != nil {
		return false, err
	}
	return !ok || s.Status.Final() || s.Status.Free() || s.Deadline.UnixMicro() != us, nil
}

// due is Journal.Due from the mark on. It also returns the new mark: every
// entry before it is settled.
func (t tables) due(mark []byte, now time.Time, limit int) (due []uuid.UUID, next time.Time, to []byte, err error) {
	c := t.deadlines().Cursor()
	to = mark
	steps := 0
	for k, _ := c.Seek(mark); k != nil; k, _ = c.Next() {
		us, id, err := splitDeadline(k)
		if err != nil {
			return nil, time.Time{}, nil, err
		}
		if us > now.UnixMicro() {
			next = microTime(us)
			break
		}
		if len(due) == limit || steps == dueScan {
			next = now
			break
		}
		steps++
		settled, err := t.settled(us, id)
		if err != nil {
			return nil, time.Time{}, nil, err
		}
		switch {
		case !settled:
			due = append(due, id)
		case len(due) == 0:
			to = append(append([]byte(nil), k...), 0) // just behind it
		}
	}
	return due, next, to, nil
}

// dueMark is where Due begins: every entry of deadlines before it is settled.
// It is not stored; after a restart Due steps over what Sweep has left.
type dueMark struct {
	mu    sync.Mutex
	key   []byte
	turns uint64 // how often it went back
}

func (m *dueMark) get() (key []byte, turns uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.key, m.turns
}

// advance moves the mark on, unless it went back since turns was read: the
// reader may not have seen the entry that it went back to.
func (m *dueMark) advance(to []byte, turns uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if turns == m.turns && bytes.Compare(to, m.key) > 0 {
		m.key = to
	}
}

// back moves the mark back to a new entry before it. Call it when the entry
// can be read.
func (m *dueMark) back(to []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if to != nil && bytes.Compare(to, m.key) < 0 {
		m.key = to
		m.turns++
	}
}
