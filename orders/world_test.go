package orders_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
)

// outcome returns how a carrier ends every hand-over so.
func outcome(o handover.Outcome) orderstest.SendFunc {
	return orderstest.Ends(orders.Handover{Outcome: o, Status: orders.SMSFailedRejected})
}

// sick is the real journal, some of whose calls do not come through.
type sick struct {
	orders.Journal
	acceptFails, applyFails atomic.Bool
	answerFails             atomic.Bool
	applyKeeps              atomic.Bool // stores, and says that it does not know, before it does
	acceptBusy              atomic.Bool
	acceptRefuses           atomic.Bool  // knows that it can't store
	acceptBreaks            atomic.Bool  // can't read what it has of the key
	acceptKeeps             atomic.Bool  // stores, and then says that it does not know
	poison                  atomic.Value // reference of reports, or shipment of expiries, that can't be stored
}

func (j *sick) Accept(ctx context.Context, in orders.AcceptRequest) (orders.Shipment, bool, error) {
	if j.acceptBusy.Load() {
		return orders.Shipment{}, false, orders.ErrBusy
	}
	if j.acceptRefuses.Load() {
		return orders.Shipment{}, false, errors.Join(orders.ErrNotStored, orders.ErrUnavailable)
	}
	if j.acceptBreaks.Load() {
		return orders.Shipment{}, false, errors.New("corrupt")
	}
	if j.acceptKeeps.Load() {
		j.Journal.Accept(ctx, in)
	}
	if j.acceptFails.Load() || j.acceptKeeps.Load() {
		return orders.Shipment{}, false, orders.ErrUnavailable
	}
	return j.Journal.Accept(ctx, in)
}

func (j *sick) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	if j.applyFails.Load() {
		return nil, orders.ErrUnavailable
	}
	for _, e := range events {
		if _, ok := e.(orders.Answer); ok && j.answerFails.Load() {
			return nil, orders.ErrUnavailable
		}
		r, ok := e.(orders.Report)
		x, expiry := e.(orders.Expiry)
		if ok && r.Refs[0] == j.poison.Load() || expiry && x.Shipment == j.poison.Load() {
			return nil, errors.New("corrupt")
		}
	}
	if j.applyKeeps.Load() {
		later := make(chan []orders.Effect, 1)
		effects, err := j.Journal.Apply(ctx, events)
		if err != nil {
			return nil, err
		}
		later <- effects
		return nil, &orders.UndecidedError{Err: orders.ErrUnavailable, Effects: later}
	}
	return j.Journal.Apply(ctx, events)
}

type world struct {
	*orders.Service
	network *orderstest.Carrier
	journal *sick
}

// newWorld returns a service that runs.
func newWorld(t *testing.T, cfg orders.Config) *world {
	t.Helper()
	w, run := idleWorld(t, cfg)
	run()
	return w
}

// idleWorld returns a service that takes orders, and what makes it run: call it once.
func idleWorld(t *testing.T, cfg orders.Config) (w *world, run func()) {
	t.Helper()
	journal := bolttest.New(t)
	w = &world{network: &orderstest.Carrier{}, journal: &sick{Journal: journal}}
	cfg.Journal, cfg.SMS, cfg.Log = w.journal, w.network, cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.StallAfter = cmp.Or(cfg.StallAfter, time.Minute) // no machine is too slow for its tests
	if cfg.ReceiptWait == nil {
		cfg.ReceiptWait = orderstest.Patient
	}
	w.Service = orders.NewService(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		runs.Wait()
		eventually.True(t, "flights to land", func() bool { return w.InFlight() == 0 })
		if err := journal.Check(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w, func() { runs.Go(func() { w.Run(ctx) }) }
}

func (w *world) status(t *testing.T, id uuid.UUID) orders.Status {
	t.Helper()
	s, err := w.Shipment(t.Context(), "ttd", id)
	if err != nil {
		t.Fatal(err)
	}
	return s.Status
}
