package daemon_test

import (
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestNumberRefused: an order to a country that its organisation does not send to, or to a costly number, gets 400, which
// says why; a reload changes the countries; and a repeat of a known key is answered all the same.
func TestNumberRefused(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	log := w.KeepLog()
	w.Start()
	first := w.Send("a", "+37120000001")
	refused := func(key, to, why string) {
		t.Helper()
		p := w.Refused(key, to)
		if p.Status != 400 || !strings.Contains(strings.Join(p.Errors["recipientSms.phoneNumber"], ""), why) {
			t.Errorf("%+v, want %s", p, why)
		}
	}
	refused("b", "+4782012345", "a premium-rate number")
	refused("b", "+881612345678", "a satellite phone's")
	w.EditConfig("home = [\"*\"]", "home = [\"NO\", \"SE\"]")
	if _, err := w.Daemon.Reload(); err != nil {
		t.Fatal(err)
	}
	refused("c", "+37120000002", "NO, SE (numbers.home); this one is of LV")
	if again := w.Send("a", "+37120000001"); again.ShipmentID != first.ShipmentID {
		t.Errorf("a repeat is answered with %s", again.ShipmentID)
	}
	w.Send("d", "+4799999999")
	for rule, want := range map[string]float64{"country": 1, "type": 2, "prefix": 0} {
		if got := counter(t, w, "straks_orders_number_refused_total", "rule", rule); got != want {
			t.Errorf("%v refused by %s, want %v", got, rule, want)
		}
	}
	w.Stop()
	if text := log.String(); !strings.Contains(text, `"number_refused":"country"`) || strings.Contains(text, "20000002") {
		t.Error(text)
	}
}

// counter returns the sum of a metric's series with a label.
func counter(t *testing.T, w *daemontest.World, name, label, value string) (sum float64) {
	t.Helper()
	families, err := w.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			has := func(l *dto.LabelPair) bool { return l.GetName() == label && l.GetValue() == value }
			if f.GetName() == name && slices.ContainsFunc(m.GetLabel(), has) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
