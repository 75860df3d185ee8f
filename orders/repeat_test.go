package orders_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

// repeated looks up the key of an order that has faults.
func (w *world) repeated(ctx context.Context, organisation, key string) (orders.Shipment, bool, error) {
	return w.Repeated(ctx, orders.Order{Organisation: organisation, Key: key, Message: orders.Message{Channel: orders.SMS}})
}

func TestRepeated(t *testing.T) {
	w := newWorld(t, orders.Config{})
	unknown := func(organisation, key string) {
		t.Helper()
		if s, known, err := w.repeated(t.Context(), organisation, key); known || err != nil {
			t.Errorf("%s/%s: %+v, %v", organisation, key, s, err)
		}
	}
	unknown("ttd", "k")
	w.network.Sends(outcome(handover.NotSent))
	w.Place(t.Context(), orderstest.SMS("k"))
	unknown("ttd", "k")
	w.network.Sends(outcome(handover.Unknown))
	first, _, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil {
		t.Fatal(err)
	}
	if s, known, err := w.repeated(t.Context(), "ttd", "k"); !known || s.ID != first.ID || s.OrderID != first.OrderID || err != nil {
		t.Errorf("%+v, %v, %v; want %+v", s, known, err, first)
	}
	unknown("other", "k")
	if len(w.network.Sent()) != 2 || w.InFlight() != 0 {
		t.Errorf("%d sent, %d in flight", len(w.network.Sent()), w.InFlight())
	}
}

// An order in flight is waited for, and its outcome shared.
func TestRepeatedInFlight(t *testing.T) {
	for name, c := range map[string]struct {
		outcome handover.Outcome
		known   bool
		err     error
	}{
		"may have left": {handover.Unknown, true, nil},
		"not sent":      {handover.NotSent, false, orders.ErrNotSent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders.Config{})
				gate := make(chan struct{})
				w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return outcome(c.outcome)(ctx, m) })
				go w.Place(t.Context(), orderstest.SMS("k"))
				eventually.True(t, "the message to leave", func() bool { return len(w.network.Sent()) > 0 })
				gone, leave := context.WithCancel(t.Context())
				leave()
				if _, known, err := w.repeated(gone, "ttd", "k"); known || !errors.Is(err, orders.ErrAbandoned) {
					t.Errorf("the caller left: %v, %v", known, err)
				}
				told := make(chan error)
				go func() {
					_, known, err := w.repeated(t.Context(), "ttd", "k")
					if known != c.known {
						t.Errorf("known: %v", known)
					}
					told <- err
				}()
				synctest.Wait() // until it waits for the order
				close(gate)
				if err := <-told; !errors.Is(err, c.err) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// around is a journal that calls functions before and after the first look-up of a key.
type around struct {
	orders.Journal
	before, after func()
}

func (a *around) Known(ctx context.Context, organisation, key string, at time.Time) (orders.Shipment, bool, error) {
	before, after := a.before, a.after
	a.before, a.after = func() {}, func() {}
	before()
	defer after()
	return a.Journal.Known(ctx, organisation, key, at)
}

// A key that is read while its order is with the carrier is not known yet: it may become free.
func TestRepeatedWhileAnOrderComesAndGoes(t *testing.T) {
	w, _ := idleWorld(t, orders.Config{})
	gate, landed := make(chan struct{}), make(chan struct{})
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		<-gate
		return outcome(handover.NotSent)(ctx, m)
	})
	w.journal.Journal = &around{w.journal.Journal, func() {
		go func() {
			defer close(landed)
			w.Place(context.Background(), orderstest.SMS("k"))
		}()
		eventually.True(t, "the message to leave", func() bool { return len(w.network.Sent()) > 0 })
	}, func() {
		close(gate)
		<-landed
	}}
	if s, known, err := w.repeated(t.Context(), "ttd", "k"); known || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
}
