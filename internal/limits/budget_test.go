package limits

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/cost"
	"straks/orders"
)

// priced returns limits of organisations with prices, one of them with a budget.
func priced(budget cost.Amount) (*Limits, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	return New(Config{Organisations: map[string]Organisation{org: {Budget: budget}, "other": {}}, Priced: true, Currency: "NOK",
		Log: slog.New(slog.DiscardHandler), Registerer: reg}), reg
}

func costs(a cost.Amount) orders.Cost { return orders.Cost{Parts: 1, Amount: a, Class: "+47"} }

// TestBudget: what an order costs at the most is reserved, what it did cost is spent, and a month begins with nothing.
func TestBudget(t *testing.T) {
	t.Parallel()
	l, reg := priced(10 * cost.Unit)
	end := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	spend := func(at time.Time, most cost.Amount, wait time.Duration) func(orders.Cost) {
		t.Helper()
		settle, err := l.Spend(org, costs(most), at)
		var limit *orders.LimitError
		switch {
		case wait == 0 && err != nil:
			t.Fatal(err)
		case wait != 0 && (!errors.As(err, &limit) || limit.Rule != RuleBudget || limit.After != wait):
			t.Fatalf("%v, want a wait of %v", err, wait)
		}
		return settle
	}
	first := spend(noon, 6*cost.Unit, 0)
	spend(noon, 6*cost.Unit, soon) // there is room if the first costs less
	first(costs(2 * cost.Unit))
	second := spend(noon, 8*cost.Unit, 0)
	second(orders.Cost{}) // it did not leave
	spend(noon, 8*cost.Unit, 0)(costs(8 * cost.Unit))
	spend(noon, 1, end.Sub(noon))
	spend(noon, 0, 0)(orders.Cost{Parts: 1}) // what costs nothing goes
	_, err := l.Spend(org, costs(1), noon)
	if want := "the limit of 10.00 NOK in a month (of UTC) for your organisation, its budget, is reached (organisation.budget_per_month)"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if _, err := l.Spend("other", costs(100*cost.Unit), noon); err != nil {
		t.Errorf("an organisation without a budget: %v", err)
	}
	if got := l.Spending(noon); len(got) != 2 || got[1] != (Spending{org, 10 * cost.Unit, 10 * cost.Unit}) || got[0] != (Spending{"other", 100 * cost.Unit, 0}) {
		t.Errorf("%+v", got)
	}
	last := spend(end, 9*cost.Unit, 0)
	spend(end, 2*cost.Unit, soon)
	last(costs(9 * cost.Unit))
	late := spend(end.Add(-time.Second), 1*cost.Unit, 0) // by the clock of before
	late(costs(cost.Unit))
	if got := l.Spending(end)[1].Spent; got != 9*cost.Unit {
		t.Errorf("%v in March", got)
	}
	if got := l.Spending(end.AddDate(0, 1, 0))[1].Spent; got != 0 {
		t.Errorf("%v in April", got)
	}
	if n := testutil.ToFloat64(l.metrics.unpriced.WithLabelValues(org)); n != 1 {
		t.Errorf("%v without a price, want 1", n)
	}
	families, err := reg.Gather()
	var names []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "straks_cost") {
			names = append(names, f.GetName())
		}
	}
	if err != nil || strings.Join(names, " ") != "straks_cost_month straks_cost_month_budget straks_cost_unpriced_total" {
		t.Errorf("%v, %v", names, err)
	}
}

// TestBudgetExact: 64 clients spend the budget and no more, though they reserve more than they spend.
func TestBudgetExact(t *testing.T) {
	t.Parallel()
	l, _ := priced(300)
	var spent atomic.Int64
	var clients sync.WaitGroup
	for c := range 64 {
		clients.Go(func() {
			for i := range 200 {
				settle, err := l.Spend(org, costs(3), noon)
				if err != nil {
					continue
				}
				real := int64((c + i) % 4) // 0: it did not leave
				spent.Add(real)
				settle(costs(cost.Amount(real)))
			}
		})
	}
	clients.Wait()
	if got := l.Spending(noon)[1].Spent; int64(got) != spent.Load() || got > 300 || got < 298 {
		t.Errorf("%d are spent, %d counted, of 300", spent.Load(), got)
	}
}

// TestBudgetRecover: after a restart, what shipments of this month did cost counts, whatever the prices are now.
func TestBudgetRecover(t *testing.T) {
	t.Parallel()
	var h history
	for at, amount := range map[time.Time]cost.Amount{noon: 3 * cost.Unit, noon.AddDate(0, 0, -3): 4 * cost.Unit, noon.AddDate(0, 0, -4): 100 * cost.Unit} {
		h = append(h, orders.Shipment{Organisation: org, Channel: orders.SMS, Recipient: "+4799999999", Accepted: at, Cost: costs(amount)})
	}
	l, _ := priced(10 * cost.Unit)
	if err := l.Recover(t.Context(), h, noon); err != nil {
		t.Fatal(err)
	}
	if got := l.Spending(noon)[1].Spent; got != 7*cost.Unit {
		t.Errorf("%v", got)
	}
}
