package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
)

// sweep is one step of Journal.Sweep: what is too old leaves from the front of each
// table, until the budget is spent; then filters are built. Shipments of organisations with a shorter
// retention of their own are looked for last (ledger.Walk).
type sweep struct {
	now, cut  time.Time
	retention orders.Retention
	walks     []ledger.Walk
	mark      []byte // deadlines before it were kept
	budget    int
	from      *[]byte // where to go on in unanswered
	swept     orders.Swept
}

// Sweep implements orders.Journal.
func (j *Journal) Sweep(ctx context.Context, now time.Time, retention orders.Retention, budget int) (orders.Swept, error) {
	r := newRequest(ctx)
	r.turn = sweeping
	var done sweep // the writer may still set it when ctx has ended
	r.run = func(w *writeTx) error {
		s := sweep{now: now, cut: now.Add(-retention.All), retention: retention, walks: j.walks.Plan(retention, now),
			budget: budget, mark: w.mark(&j.due), from: &j.writer.unanswered}
		err := s.run(w)
		done = s
		return err
	}
	if err := j.do(j.facts, r); err != nil {
		return orders.Swept{}, err
	}
	j.walks.Done(done.walks)
	return done.swept, nil
}

// unansweredStep is how many entries of unanswered one step looks at.
const unansweredStep = 500

func (s *sweep) run(w *writeTx) error {
	for _, table := range []func(*writeTx) (spent int, err error){
		s.parked, s.shipments, s.deadlines, s.feeds, s.keys, s.refs, s.lifted, s.keyFilters, s.refFilters, s.reseal, s.walk,
	} {
		spent, err := table(w)
		if err != nil {
			return err
		}
		s.budget -= spent
	}
	s.swept.More = s.budget <= 0
	return w.dropUnanswered(s.from, s.now, unansweredStep)
}

func (s *sweep) parked(w *writeTx) (n int, err error) {
	n, err = w.ledger().DropParked(s.budget, s.now.Add(-ledger.ParkedRetention))
	s.swept.Parked = n
	return n, err
}

func (s *sweep) shipments(w *writeTx) (n int, err error) {
	n, err = drop(w.shipments(), s.budget, w.oldShipment(s.cut))
	s.swept.Shipments = n
	return n, err
}

// walk goes on with each walk.
func (s *sweep) walk(w *writeTx) (spent int, err error) {
	for i := range s.walks {
		looked, removed, err := w.walk(&s.walks[i], s.now, s.budget-spent)
		if err != nil {
			return spent, err
		}
		spent += looked
		s.swept.Shipments += removed
	}
	return spent, nil
}

// walk looks at n shipments at most, and removes those that leave. A record that can't be read stays for the
// retention of all: nobody knows whose it is.
func (w *writeTx) walk(walk *ledger.Walk, now time.Time, n int) (looked, removed int, err error) {
	cut := now.Add(-walk.Retention)
	old := w.oldShipment(cut)
	var keys [][]byte
	c := w.shipments().Cursor()
	for k, v := c.Seek(walk.Next[:]); k != nil && looked < n; k, v = c.Next() {
		id, err := uuid.FromBytes(k)
		if err == nil && idMicro(id) >= cut.UnixMicro() {
			break
		}
		s, unread := decodeShipment(id, v, true, nil)
		if err == nil && unread == nil && slices.Contains(walk.Organisations, s.Organisation) {
			if !old(k, v) {
				break
			}
			keys = append(keys, bytes.Clone(k))
		}
		looked++
		if err == nil {
			walk.Next = ledger.After(id)
		}
	}
	for _, k := range keys {
		if err := w.shipments().Delete(k); err != nil {
			return looked, 0, err
		}
	}
	return looked, len(keys), nil
}

func (s *sweep) deadlines(w *writeTx) (int, error) {
	return drop(w.deadlines(), s.budget, func(k, _ []byte) bool { return bytes.Compare(k, s.mark) < 0 })
}

func (s *sweep) keys(w *writeTx) (int, error) { return s.left(w.keys().drain(s.cut, s.budget)) }

func (s *sweep) refs(w *writeTx) (int, error) {
	return s.left(w.refs().drain(s.now.Add(-refRetention), s.budget))
}

func (s *sweep) lifted(w *writeTx) (int, error) { return w.dropLifted(s.now, s.budget) }

func (s *sweep) keyFilters(w *writeTx) (int, error) {
	return s.left(w.keys().build(s.now, s.cut, s.budget))
}

func (s *sweep) refFilters(w *writeTx) (int, error) {
	return s.left(w.refs().build(s.now, s.now.Add(-refRetention), s.budget))
}

func (s *sweep) reseal(w *writeTx) (int, error) { return w.reseal(s.budget) }

// left returns what was spent when so much of the budget is left.
func (s *sweep) left(budget int, err error) (spent int, _ error) { return s.budget - budget, err }

func olderThan(cut time.Time) func(key []byte) bool {
	return func(key []byte) bool {
		return len(key) >= 8 && int64(binary.BigEndian.Uint64(key)) < cut.UnixMicro()
	}
}

// overdue is how long before what is old an unsettled shipment's deadline has passed that will
// never be kept.
const overdue = 24 * time.Hour

// oldShipment reports which shipments may leave. An unsettled one stays, and those after it, until its
// deadline makes its status final: unless its record is corrupt, or the deadline passed more than a
// whole retention ago.
func (w *writeTx) oldShipment(cut time.Time) func(k, v []byte) bool {
	return func(k, v []byte) bool {
		id, err := uuid.FromBytes(k)
		if err != nil {
			return w.oldAfter(k, cut)
		}
		if idMicro(id) >= cut.UnixMicro() {
			return false
		}
		s, err := decodeShipment(id, v, false, nil)
		if err != nil {
			return w.oldAfter(k, cut)
		}
		if s.Status.Final() || s.Status.Free() {
			return true
		}
		if s.Deadline.After(cut.Add(-overdue)) {
			return false
		}
		w.opt.Log.Error("shipment removed unsettled: its deadline was not kept", "shipment", id)
		return true
	}
}

// oldAfter reports whether the shipment after the one of this key is old, by its key. If the record of
// this key can't be read, it may be the key that has changed: were it taken out too early, nobody
// would notice any more that a shipment is missing.
func (w *writeTx) oldAfter(key []byte, cut time.Time) bool {
	c := w.shipments().Cursor()
	if k, _ := c.Seek(key); !bytes.Equal(k, key) {
		return false
	}
	k, _ := c.Next()
	id, err := uuid.FromBytes(k)
	return err == nil && idMicro(id) < cut.UnixMicro()
}

func (s *sweep) feeds(w *writeTx) (spent int, err error) {
	feeds := w.feed()
	var names [][]byte
	c := feeds.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		names = append(names, append([]byte(nil), name...))
	}
	for _, name := range names {
		scope, cut := feedScope(name), s.now.Add(-s.retention.Of(string(name)))
		n, err := drop(feeds.Bucket(name), s.budget-spent, func(k, v []byte) bool {
			en, err := decodeEntry(scope, k, v)
			return err != nil || en.at.Before(cut) || w.gone(en.shipment)
		})
		if err != nil {
			return spent, err
		}
		spent += n
	}
	return spent, nil
}

// gone reports whether a shipment has left.
func (w *writeTx) gone(id uuid.UUID) bool {
	v, err := shipmentScope.lookUp(w.shipments().Cursor(), id[:])
	return v == nil && err == nil
}

// liftedRetention is how long a lifted block is kept (orders.Block).
const liftedRetention = 24 * time.Hour

// dropLifted removes blocks that were lifted more than a day before now, and suppressions that ended long ago:
// at most n, and returns how many.
func (w *writeTx) dropLifted(now time.Time, n int) (int, error) {
	old := olderThan(now.Add(-liftedRetention))
	var failed error
	dropped, err := drop(w.lifted(), n, func(k, _ []byte) bool {
		if failed != nil || !old(k) {
			return false
		}
		v := w.blocked().Get(k[8:])
		if b, err := decodeBlock(k[8:], v, nil); err == nil && bytes.Equal(liftedKey(lastOf(&b), k[8:]), k) {
			failed = errors.Join(w.countSuppressions(b.Suppression(), false), w.blocked().Delete(k[8:]))
		}
		return failed == nil
	})
	return dropped, errors.Join(failed, err)
}
