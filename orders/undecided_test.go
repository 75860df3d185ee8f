package orders_test

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/orders"
	"straks/orders/orderstest"
)

// TestChangesOfUndecidedCalls: changes count once, also those of an answer and of a receipt that the journal has stored and said
// that it does not know.
func TestChangesOfUndecidedCalls(t *testing.T) {
	reg := prometheus.NewRegistry()
	var settled atomic.Int32
	w := newWorld(t, orders.Config{Registerer: reg, Organisations: []string{"ttd"}, Settled: func(*orders.Shipment) { settled.Add(1) }})
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		w.journal.applyKeeps.Store(true)
		return orderstest.Accepts(ctx, m)
	})
	counts := func(want map[string]float64) {
		t.Helper()
		eventually.True(t, "the changes to be counted", func() bool {
			return maps.Equal(counted(t, reg, "straks_status_changes_total", "status", "organisation"), want)
		})
	}
	s, _, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || s.Status != orders.SMSAccepted {
		t.Fatal(s.Status, err)
	}
	if got := w.status(t, s.ID); got != orders.SMSAccepted {
		t.Fatalf("the first attempt stored %v", got)
	}
	counts(map[string]float64{})
	w.journal.applyKeeps.Store(false)
	counts(map[string]float64{"SMS_Accepted ttd": 1})

	w.journal.applyKeeps.Store(true)
	if err := w.receive(t, delivered(s.ID.String())); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatal(err)
	}
	w.journal.applyKeeps.Store(false)
	if err := w.receive(t, delivered(s.ID.String())); err != nil {
		t.Fatal(err)
	}
	counts(map[string]float64{"SMS_Accepted ttd": 1, "SMS_Delivered ttd": 1})
	eventually.True(t, "both receipts to be counted", func() bool {
		return maps.Equal(counted(t, reg, "straks_receipts_total", "status", "result"), map[string]float64{"SMS_Delivered applied": 1, "SMS_Delivered repeated": 1})
	})
	if n := settled.Load(); n != 1 {
		t.Errorf("settled %d times", n)
	}
}
