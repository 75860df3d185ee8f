package limits

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/cost"
	"straks/orders"
)

// elsewhere is what other processes accept, as package postgres tells of it.
type elsewhere struct {
	history
	next []orders.Shipment
}

func (e *elsewhere) Read(_ context.Context, visit func(orders.Shipment)) error {
	for _, s := range e.next {
		visit(s)
	}
	e.next = nil
	return nil
}

// TestFollower: an order of another process counts as one of this one: while it is under way with the most that it can
// cost, then with what it did cost, and not at all if it did not leave. Under other limits, each counts once.
func TestFollower(t *testing.T) {
	t.Parallel()
	const to = "+4799999999"
	order := func(at time.Time, status orders.Status, amount cost.Amount) orders.Shipment {
		return orders.Shipment{Claim: uuid.New(), Organisation: org, Channel: orders.SMS, Recipient: to, Accepted: at, Status: status, Cost: costs(amount), Held: status == orders.SMSSending}
	}
	o := Organisation{Budget: 10 * cost.Unit, Day: 4, Recipient: []Window{{3, time.Hour}}}
	cfg := func(o Organisation) Config {
		return Config{Organisations: map[string]Organisation{org: o}, Priced: true, Currency: "NOK", Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()}
	}
	l := New(cfg(o))
	e := &elsewhere{history: history{order(noon.Add(-time.Minute), orders.SMSDelivered, cost.Unit)}}
	if err := l.Recover(t.Context(), e, noon); err != nil {
		t.Fatal(err)
	}
	f := NewFollower(e, l.Count)
	read := func(all ...orders.Shipment) {
		t.Helper()
		e.next = all
		if err := f.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	spent := func(want cost.Amount) {
		t.Helper()
		if got := l.Spending(noon)[0].Spent; got != want {
			t.Errorf("%v are spent, want %v", got, want)
		}
	}
	one, two := order(noon, orders.SMSSending, 4*cost.Unit), order(noon, orders.SMSSending, 5*cost.Unit)
	read(one, two, order(noon.Add(-time.Second), orders.SMSAccepted, 0))
	spent(10 * cost.Unit)
	take(t, l, org, to, noon, RuleDay, 12*time.Hour)
	one.Held, one.Status, one.Cost = false, orders.SMSAccepted, costs(2*cost.Unit)
	two.Held, two.Status = false, orders.SMSNew
	read(one, two)
	spent(3 * cost.Unit)
	take(t, l, org, to, noon, RuleRecipient, 59*time.Minute)
	take(t, l, org, "+4799999998", noon, "", 0)
	take(t, l, org, "+4799999997", noon, RuleDay, 12*time.Hour)
	if n, behind := f.State(); n != 3 || behind <= 0 || len(f.open) != 0 {
		t.Errorf("%d orders, %v behind, %d open", n, behind, len(f.open))
	}

	// A limit that a reload brings has counted from the journal what came before.
	at := noon.Add(10 * time.Minute)
	o.Prefixes = []Prefix{{Prefix: "+47", Per: time.Hour, Orders: 5}}
	o.Day, o.Recipient = 100, []Window{{10, time.Hour}}
	past := append(e.history, one, order(at.Add(-time.Second), orders.SMSAccepted, 0))
	if err := l.Reconfigure(t.Context(), past, cfg(o), at); err != nil {
		t.Fatal(err)
	}
	read(past[2], order(at, orders.SMSAccepted, 0))
	take(t, l, org, to, at, "", 0)
	take(t, l, org, to, at, RulePrefix, 54*time.Minute)
}
