package daemon_test

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// pastWeek stores orders of the last days: 30 an hour at home, and as many as the attack has in the last minutes abroad.
func pastWeek(w *daemontest.World, attack int) {
	w.T.Helper()
	j, err := bolt.Open(w.JournalFile(), bolt.Options{StallAfter: time.Hour})
	if err != nil {
		w.T.Fatal(err)
	}
	defer j.Close()
	n := 0
	store := func(at time.Time, to string) {
		n++
		id := uuid.Must(uuid.NewV7())
		ms := at.UnixMilli()
		for i := range 6 {
			id[i] = byte(ms >> (40 - 8*i))
		}
		in := orders.AcceptRequest{Shipment: id, OrderID: uuid.New(), Claim: uuid.New(), Key: fmt.Sprint("past ", n), At: at.UTC(), ClaimFor: time.Minute,
			Organisation: "ttd", Channel: orders.SMS, Recipient: orders.Recipient(to), TTL: time.Hour, Total: 1}
		s, _, err := j.Accept(w.T.Context(), in)
		if err == nil {
			_, err = j.Apply(w.T.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: at.UTC(), Outcome: handover.Accepted,
				Carrier: "telco", Total: 1, Parts: []orders.PartAnswer{{Refs: []string{fmt.Sprint("past", n)}, Taken: true}}}})
		}
		if err != nil {
			w.T.Fatal(err)
		}
	}
	now := time.Now()
	for hour := 40; hour > 0; hour-- {
		for i := range 10 {
			store(now.Add(-time.Duration(hour)*time.Hour+time.Duration(i)*time.Minute), fmt.Sprintf("+4790%06d", 100*hour+i))
		}
	}
	for i := range attack {
		store(now.Add(-3*time.Minute+time.Duration(i)*time.Millisecond), fmt.Sprintf("+3712100%04d", i))
	}
}

// TestPumping: an attack that has begun before the start is stopped after it, operators see that, and lift it; the audit
// says who.
func TestPumping(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("recipient = []\n", "recipient = []\npumping = \"stop\"\n")
	w.EditConfig("[journal]\n", fmt.Sprintf("[audit]\ndir = %q\n[journal]\n", filepath.Join(w.Dir, "audit")))
	log := w.KeepLog()
	pastWeek(w, 120)
	w.Start()
	eventually.True(t, "the past to be read", func() bool { return len(w.Daemon.Status().Pumping) == 1 })
	p := w.Refused("a", "+37121009999")
	if p.Status != 429 || p.Code != "NOT-00005" || p.RetryAfter <= 0 || !strings.Contains(p.Detail, "no orders to numbers that begin with +371210, which are suspected of pumping, is reached (limits.pumping)") {
		t.Errorf("%+v", p)
	}
	w.Send("b", "+37129009999")
	w.Send("c", "+4799999999")
	if code, text := w.Admin("/limits"); code != 200 || !strings.Contains(text, `"prefix":"+371210","reason":"share"`) || !strings.Contains(text, `"stopped":true`) {
		t.Errorf("%d %s", code, text)
	}
	if n := counter(t, w, "straks_pumping_suspected", "organisation", "ttd"); n != 1 {
		t.Errorf("%v suspected", n)
	}
	if n := counter(t, w, "straks_pumping_refused_total", "organisation", "ttd"); n != 1 {
		t.Errorf("%v refused", n)
	}
	for body, want := range map[string]int{
		`{"organisation":"ttd","prefix":"+371210","by":"ola"}`:                   400,
		`{"organisation":"ttd","prefix":"+46","reason":"no","by":"ola"}`:         400,
		`{"organisation":"ttd","prefix":"+371210","reason":"a cup","by":"ola"}`:  200,
		`{"organisation":"ttd","prefix":"+371211","reason":"a cup","be":"nosy"}`: 400,
	} {
		if code, text := post(w, "/limits/lift", body); code != want {
			t.Errorf("%s: %d %s, want %d", body, code, text, want)
		}
	}
	w.Send("a", "+37121009999")
	w.Stop()
	if text := log.String(); strings.Contains(text, "371210099") || !strings.Contains(text, "pumping suspected since before the start") {
		t.Error(text)
	}
	if text := wholeAudit(t, filepath.Join(w.Dir, "audit")); !strings.Contains(text, `"action":"limit.lift","organisation":"ttd"`) || !strings.Contains(text, "as ola") {
		t.Error(text)
	}
}

// post sends JSON to the admin listener.
func post(w *daemontest.World, path, body string) (code int, text string) {
	w.T.Helper()
	resp, err := daemontest.AdminClient(w.Daemon.AdminAddr()).Post("http://localhost"+path, "application/json", strings.NewReader(body))
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}
