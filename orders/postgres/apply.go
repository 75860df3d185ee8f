package postgres

import (
	"cmp"
	"context"
	"slices"

	"straks/orders"
)

// apply stores the facts of a batch: it loads and locks what they need in one trip, has the rules change that in
// memory, and writes and commits in another.
//
// Answers come before reports, so that a receipt which follows its answer closely finds it: parking the receipt and
// taking it out again would cost twice as much.
func (j *Journal) apply(ctx context.Context, conn *connection, batch []*request) error {
	slices.SortStableFunc(batch, func(a, b *request) int { return cmp.Compare(turnOf(a), turnOf(b)) })
	var events []orders.Event
	for _, r := range batch {
		events = append(events, r.events...)
	}
	w := j.newWork(conn)
	if err := w.load(ctx, events); err != nil {
		return err
	}
	l := w.ledger()
	for _, r := range batch {
		r.effects = make([]orders.Effect, len(r.events))
		for i, e := range r.events {
			var err error
			if r.effects[i], err = l.Apply(w.dated(e)); err != nil {
				return &callError{err}
			}
		}
	}
	if err := w.commit(ctx); err != nil {
		return &commitError{err}
	}
	w.done()
	return nil
}

func turnOf(r *request) int {
	if _, ok := r.events[0].(orders.Answer); ok {
		return 0
	}
	return 1
}

// dated returns an event with the time that counts: a deadline has not passed before it has by the database's clock.
func (w *work) dated(e orders.Event) orders.Event {
	if expiry, ok := e.(orders.Expiry); ok && !w.now.IsZero() && expiry.At.After(w.now) {
		expiry.At = w.now
		return expiry
	}
	return e
}

// done notes what the transaction has changed of what is counted in memory.
func (w *work) done() {
	if !w.claiming { // orders change neither
		w.j.counts.set(w.levels, w.suppressions)
	}
	if !w.deadline.IsZero() {
		w.j.due.near.brought(w.deadline)
	}
	for _, f := range w.feed {
		w.j.heads.know(f.organisation)
	}
}
