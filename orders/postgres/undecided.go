package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// A commit whose answer is lost may be stored. Nobody waits for its effects any more, but they are counted
// (orders.UndecidedError): so the writer looks what became of it before it writes again.

// commitError is a failure of a transaction from which its commit may be stored all the same.
type commitError struct{ err error }

func (e *commitError) Error() string { return e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// transaction is one of facts whose commit may be stored.
type transaction []*request

// finish gives calls of one transaction their answer.
func (w *writer) finish(batch []*request, err error) {
	var commit *commitError
	undecided := err != nil && faultOf(err) == faultLost && errors.As(err, &commit)
	if undecided {
		w.undecided = append(w.undecided, slices.Clone(batch))
	}
	answer := w.answer(err)
	for _, r := range batch {
		r.done <- answer
		switch {
		case err == nil:
			r.later.Stored(r.effects)
		case !undecided:
			r.later.NotStored()
		}
	}
}

// decide tells what became of transactions whose commit may be stored.
func (w *writer) decide() error {
	if len(w.undecided) == 0 {
		return nil
	}
	var of []uuid.UUID
	for _, t := range w.undecided {
		t.changes(func(s *orders.Shipment, _ orders.Change) { of = append(of, s.ID) })
	}
	var now map[uuid.UUID]*shipmentRow
	err := w.write(func(ctx context.Context, conn *connection) (err error) {
		now, err = w.j.durable(ctx, conn, of)
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range w.undecided {
		stored := t.stored(now)
		for _, r := range t {
			if stored {
				r.later.Stored(r.effects)
			} else {
				r.later.NotStored()
			}
		}
	}
	w.undecided = nil
	return nil
}

// changes calls do with each shipment that the transaction has changed, and its last change.
func (t transaction) changes(do func(*orders.Shipment, orders.Change)) {
	for _, r := range t {
		for i := range r.effects {
			if n := len(r.effects[i].Changes); n > 0 {
				do(&r.effects[i].Shipment, r.effects[i].Changes[n-1])
			}
		}
	}
}

// stored reports whether the transaction is stored, by shipments as they are now: the time of a shipment's last change never goes
// back. So it is not stored where that time is an earlier one. Where another node has changed all of them since, it
// counts as stored: a receipt finds its message after the answer only.
func (t transaction) stored(now map[uuid.UUID]*shipmentRow) (stored bool) {
	earlier := false
	t.changes(func(s *orders.Shipment, last orders.Change) {
		if is := now[s.ID]; is != nil && is.bad == nil {
			stored = true
			earlier = earlier || is.Updated.Before(last.At)
		}
	})
	return stored && !earlier
}

// durable returns shipments as no failover can take them back: a write that is made after they were read is on a standby. A
// session that ends may still be committing: its locks are waited for.
func (j *Journal) durable(ctx context.Context, conn *connection, of []uuid.UUID) (map[uuid.UUID]*shipmentRow, error) {
	w := j.newWork(conn)
	b := &pgx.Batch{}
	b.Queue(selectShipments+"any($1::uuid[]) order by id for update", ids(of)).Query(w.scanShipments)
	j.raise(b)
	return w.rows, conn.send(ctx, b)
}
