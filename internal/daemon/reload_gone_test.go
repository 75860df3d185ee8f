package daemon_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
)

// seriesOf returns the sum of each metric's series that name an SMSC or relay, except of what is in the journal.
func (w *reloading) seriesOf(name string) map[string]float64 {
	w.T.Helper()
	families, err := w.Registry.Gather()
	if err != nil {
		w.T.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "straks_journal_parked_") {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == name {
					all[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	return all
}

// TestReloadRemovesSeries: the series of an SMSC and of a relay that a reload has removed are removed when these are
// drained. If they come back, their series begin at 0.
func TestReloadRemovesSeries(t *testing.T) {
	w := newReloading(t, "")
	second, mx2 := moreCarriers(t)
	with := fmt.Sprintf("\n[[smsc]]\nname = \"second\"\naddr = %q\nsystem_id = \"straks\"\n[[relay]]\nname = \"mx2\"\naddr = %q\ntls = \"off\"\n"+
		"[[route]]\nname = \"all\"\nsmscs = [\"second\"]\n[[mail_route]]\nname = \"all\"\nrelays = [\"mx2\"]\n", second.Addr(), mx2.Addr())
	for i := range 2 {
		w.write(with)
		w.reload()
		eventually.True(t, "the second SMSC to be bound", func() bool { return w.seriesOf("second")["straks_smpp_binds_total"] == 1 })
		for _, m := range []struct{ counter, carrier string }{{"straks_smpp_sends_total", "second"}, {"straks_smtp_replies_total", "mx2"}, {"straks_status_changes_total", "second"}} {
			if got := w.seriesOf(m.carrier)[m.counter]; got != 0 {
				t.Errorf("%s of %s begins at %v", m.counter, m.carrier, got)
			}
		}
		if _, err := w.Client.SendSMS(t.Context(), daemontest.SMS(fmt.Sprint("k", i), "+4799999999")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Client.SendEmail(t.Context(), daemontest.Mail(fmt.Sprint("m", i), "kari@mottaker.example")); err != nil {
			t.Fatal(err)
		}
		eventually.True(t, "the SMS to be delivered", func() bool { return w.seriesOf("second")["straks_status_changes_total"] == 2 })
		if sms, mails := w.seriesOf("second"), w.seriesOf("mx2"); sms["straks_smpp_sends_total"] != 1 || mails["straks_smtp_replies_total"] != 1 || mails["straks_status_changes_total"] != 1 {
			t.Errorf("%v, %v", sms, mails)
		}
		w.write("")
		w.reload()
		left := make(map[string]float64)
		eventually.True(t, "the series to go", func() bool {
			left = w.seriesOf("second")
			maps.Copy(left, w.seriesOf("mx2"))
			return len(left) == 0
		})
	}
	if got := w.seriesOf("telco")["straks_smpp_binds_total"]; got != 1 {
		t.Errorf("the SMSC that stayed: %v binds", got)
	}
}
