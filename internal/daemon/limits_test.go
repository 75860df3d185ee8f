package daemon_test

import (
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestLimits: beyond a limit the answer is 429 and says which limit and when to come again; a restart forgets nothing,
// and a repeat of a known key is answered all the same.
func TestLimits(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("recipient = []", "recipient = [\"2 in 1h\"]")
	w.Start()
	first := w.Send("a", "+4799999999")
	w.Send("b", "+4799999999")
	refused := func(key string) {
		t.Helper()
		p := w.Refused(key, "+4799999999")
		if p.Status != 429 || p.Code != "NOT-00005" || p.RetryAfter <= 0 || !strings.Contains(p.Detail, "The limit of 2 orders in an hour to one recipient is reached (limits.recipient).") {
			t.Errorf("%+v", p)
		}
	}
	refused("c")
	w.Stop()
	w.Start()
	refused("c")
	if again := w.Send("a", "+4799999999"); again.ShipmentID != first.ShipmentID {
		t.Errorf("a repeat is answered with %s", again.ShipmentID)
	}
	w.Send("d", "+4799999998")

	// Other limits hold from a reload on, with what was counted before.
	w.EditConfig("[\"2 in 1h\"]", "[\"3 in 2h\"]")
	reloaded, err := w.Daemon.Reload()
	if err != nil || len(reloaded.Restart) > 0 {
		t.Fatal(reloaded, err)
	}
	w.Send("c", "+4799999999")
	if p := w.Refused("e", "+4799999999"); p.Status != 429 || !strings.Contains(p.Detail, "3 orders in 2 hours") {
		t.Errorf("%+v", p)
	}
	w.Stop()
}
