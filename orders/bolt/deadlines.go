package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// dueScan bounds how many entries one call of Due reads.
const dueScan = 10_000

func deadlineKey(s *orders.Shipment) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 24), uint64(max(s.Deadline.UnixMicro(), 0)))
	return append(key, s.ID[:]...)
}

// splitDeadline returns what a key of deadlines is made of.
func splitDeadline(key, record []byte) (us int64, id uuid.UUID, err error) {
	if len(key) != 24 || !deadlineScope.whole(key, record) {
		return 0, id, corrupt(fmt.Sprintf("deadline %x", key))
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
	return b.Put(key, w.value(func(v []byte) []byte { return deadlineScope.seal(v, len(v), key) }))
}

// unsettled returns the shipment of an entry of deadlines; ok is false where nothing is left to expire.
func (t tables) unsettled(us int64, id uuid.UUID) (s orders.Shipment, ok bool, err error) {
	s, ok, err = t.shipment(id, true)
	if err == nil && (!ok || s.Status.Final() || s.Status.Free() || s.Deadline.UnixMicro() != us) {
		return s, false, nil
	}
	if err == nil {
		s, ok, err = t.shipment(id, false) // as its expiry will read it
	}
	if err != nil {
		return s, false, fmt.Errorf("shipment %s: %w", id, err)
	}
	return s, ok, nil
}

// scan is what one call of Due has seen.
type scan struct {
	due   []uuid.UUID
	next  time.Time
	mark  []byte // every entry before it is settled, or bad
	bad   []error
	steps int
	ends  time.Time // the first end of a claim in flight; zero where there is none
}

// inFlight notes a shipment that can't be expired before its claim ends.
func (s *scan) inFlight(until time.Time) {
	if s.ends.IsZero() || until.Before(s.ends) {
		s.ends = until
	}
}

// due is Journal.Due from the mark on. An entry that can't be read, or whose shipment can't be, is
// skipped as if it were settled: it must not delay the entries after it. It is reported once, when the
// mark passes it.
func (t tables) due(mark []byte, now time.Time, limit int) (s scan, err error) {
	s.mark = mark
	var passed []error // of entries after the mark
	c := t.deadlines().Cursor()
	for k, v := deadlineScope.from(c, mark); k != nil; k, v = c.Next() {
		us, id, err := splitDeadline(k, v)
		whole := err == nil // else its key may be another one
		if err == nil && us > now.UnixMicro() {
			s.next = microTime(us)
			break
		}
		if len(s.due) == limit || s.steps == dueScan {
			s.next = now
			break
		}
		s.steps++
		var shipment orders.Shipment
		unsettled := false
		if err == nil {
			shipment, unsettled, err = t.unsettled(us, id)
		}
		switch {
		case err != nil && !errors.Is(err, ErrCorrupt):
			return scan{}, err
		case unsettled && shipment.InFlight(now):
			s.inFlight(shipment.ClaimUntil)
		case unsettled:
			s.due = append(s.due, id)
		case len(s.due) == 0 && s.ends.IsZero():
			if err != nil {
				passed = append(passed, err)
			}
			if whole {
				s.mark = append(append([]byte(nil), k...), 0) // just after it
				s.bad, passed = append(s.bad, passed...), nil
			}
		}
	}
	if !s.ends.IsZero() && (s.next.IsZero() || s.ends.Before(s.next)) {
		s.next = s.ends
	}
	return s, nil
}

// dueMark is where Due begins: every entry of deadlines before it is settled.
// It is not stored; after a restart Due steps over what Sweep has left.
type dueMark struct {
	look sync.Mutex // one Due at a time

	mu  sync.Mutex
	key []byte
	low []byte // the lowest new entry since the look under way, or the last one, began; nil where there is none
}

// begin begins a look at deadlines, and returns where. The caller holds look.
func (m *dueMark) begin() (key []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.low = nil
	return m.key
}

// advance ends a look that has moved the mark on, but not beyond an entry that is new
// since it began: the look may not have seen that.
func (m *dueMark) advance(to []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.low != nil && bytes.Compare(m.low, to) < 0 {
		to = m.low
	}
	if bytes.Compare(to, m.key) > 0 {
		m.key = to
	}
}

// back moves the mark back to a new entry before it. Call it when the entry
// can be read.
func (m *dueMark) back(to []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if to == nil {
		return
	}
	if bytes.Compare(to, m.key) < 0 {
		m.key = to
	}
	if m.low == nil || bytes.Compare(to, m.low) < 0 {
		m.low = to
	}
}

// now returns where the mark is.
func (m *dueMark) now() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.key
}

// mark returns the mark as it is once this transaction is done: an order that was
// accepted in it, or since somebody asked for it, may lie before the one of then.
func (w *writeTx) mark(m *dueMark) []byte {
	key := m.now()
	if w.newDeadline != nil && bytes.Compare(w.newDeadline, key) < 0 {
		return w.newDeadline
	}
	return key
}
