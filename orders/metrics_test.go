package orders_test

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/orders"
	"straks/orders/orderstest"
)

// counted returns what a counter's series are where they are not 0, by the values of
// two of its labels.
func counted(t *testing.T, reg *prometheus.Registry, name, label, second string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if n := m.GetCounter().GetValue(); n > 0 {
				counts[labels[label]+" "+labels[second]] = n
			}
		}
	}
	return counts
}

// Receipts are counted by what they say and by what became of them.
func TestReceiptsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := newWorld(t, orders.Config{Registerer: reg})
	s, _, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []orders.Report{
		reports("nobody's", orders.SMSFailedRejected),
		reports(s.ID.String(), orders.SMSAccepted),
		reports(s.ID.String(), orders.SMSFailedUndelivered),
		reports(s.ID.String(), orders.SMSFailedUndelivered),
		reports(s.ID.String(), orders.SMSFailedUndelivered),
	} {
		if err := w.receive(t, r); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]float64{"SMS_Failed_Rejected parked": 1, "SMS_Accepted noted": 1,
		"SMS_Failed_Undelivered applied": 1, "SMS_Failed_Undelivered repeated": 2}
	got := counted(t, reg, "straks_receipts_total", "status", "result")
	if len(got) != len(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %v, want %v", k, got[k], n)
		}
	}
}

// What the operator does about a full queue is not what is done about a failing disk.
func TestBusyJournalIsNotUnavailable(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := newWorld(t, orders.Config{Registerer: reg})
	w.journal.acceptBusy.Store(true)
	if _, _, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, orders.ErrBusy) {
		t.Errorf("%v", err)
	}
	got := counted(t, reg, "straks_orders_total", "channel", "outcome")
	if len(got) != 1 || got["SMS busy"] != 1 {
		t.Errorf("counted %v", got)
	}
}
