package orders_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"straks/internal/cost"
	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/internal/limits"
	"straks/orders"
	"straks/orders/orderstest"
)

// spent returns what the limits count for "ttd" this month.
func spent(l *limits.Limits) cost.Amount { return l.Spending(time.Now())[0].Spent }

// TestCost: a shipment has the cost that was expected until its carrier has answered, then the real one; what did not
// leave costs nothing, and limits and journal say the same.
func TestCost(t *testing.T) {
	t.Parallel()
	w, l := limited(t, limits.Organisation{Budget: 100})
	w.network.Most = orders.Cost{Parts: 2, Amount: 20, Class: "+47"}
	total := cost.Amount(0)
	place := func(key string, h orders.Handover, want orders.Cost) {
		t.Helper()
		w.network.Sends(func(_ context.Context, m orders.Message) orders.Handover {
			if h.Outcome == handover.Accepted {
				h.Parts = []orders.PartAnswer{{Refs: []string{m.Shipment.String()}, Taken: true}}
			}
			h.Total = 1
			return h
		})
		s, _, err := w.Place(t.Context(), smsTo(key, "+4799999999"))
		if (err != nil) != (h.Outcome == handover.NotSent) || s.Cost != want {
			t.Errorf("%s: %+v, %v, want %+v", key, s.Cost, err, want)
		}
		total += want.Amount
		eventually.True(t, key+" to be counted, soon after the answer", func() bool { return spent(l) == total })
	}
	real := orders.Cost{Parts: 1, Amount: 7, Class: "home"}
	place("real", orders.Handover{Outcome: handover.Accepted, Cost: real}, real)
	place("unsent", orders.Handover{Outcome: handover.NotSent}, orders.Cost{})
	place("unknown", orders.Handover{Outcome: handover.Unknown, Cost: real}, real)
	place("nowhere", orders.Handover{Outcome: handover.Unknown}, w.network.Most)
	place("no price there", orders.Handover{Outcome: handover.Accepted, Cost: orders.Cost{Parts: 1}}, orders.Cost{Parts: 1, Amount: 20, Class: "+47"})
	place("refused", orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Cost: orders.Cost{Parts: 1, Class: "home"}}, orders.Cost{Parts: 1, Class: "home"})
	place("unsent", orders.Handover{Outcome: handover.Accepted, Cost: real}, real) // again
	again := newLimits(limits.Organisation{Budget: 100})
	if err := again.Recover(t.Context(), w.journal.Journal.(limits.History), time.Now()); err != nil || spent(again) != total {
		t.Errorf("after a restart %v are spent, want %v: %v", spent(again), total, err)
	}
}

// TestBudgetUsedUp: an order that could exceed the budget is refused until the month ends, and nothing is sent. A repeat
// of a known key is answered.
func TestBudgetUsedUp(t *testing.T) {
	t.Parallel()
	w, _ := limited(t, limits.Organisation{Budget: 50})
	w.network.Most = orders.Cost{Parts: 1, Amount: 20, Class: "+47"}
	first, _, err := w.Place(t.Context(), smsTo("a", "+4799999999"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Place(t.Context(), smsTo("b", "+4799999999")); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Place(t.Context(), smsTo("c", "+4799999999"))
	var limit *orders.LimitError
	if !errors.As(err, &limit) || limit.Rule != limits.RuleBudget {
		t.Fatalf("%v", err)
	}
	if again, created, err := w.Place(t.Context(), smsTo("a", "+4799999999")); err != nil || created || again.ID != first.ID || again.Cost != w.network.Most {
		t.Errorf("a repeat: %+v, %v, %v", again, created, err)
	}
	if n := len(w.network.Sent()); n != 2 {
		t.Errorf("%d were sent", n)
	}
}

// TestBudgetClients: 64 clients, some of whose orders do not leave or cost less than was expected, never spend more than
// the budget, and another service over the same journal counts the same.
func TestBudgetClients(t *testing.T) {
	t.Parallel()
	const budget = 1000
	w, l := limited(t, limits.Organisation{Budget: budget})
	w.network.Most = orders.Cost{Parts: 1, Amount: 30, Class: "+47"}
	var n, real atomic.Int64
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		i := n.Add(1)
		if i%4 == 0 {
			return orders.Handover{Outcome: handover.NotSent}
		}
		h := orderstest.Accepts(ctx, m)
		h.Cost = orders.Cost{Parts: 1, Amount: cost.Amount(10 * (i % 4)), Class: "+47"}
		real.Add(int64(h.Cost.Amount))
		return h
	})
	var clients sync.WaitGroup
	for c := range 64 {
		clients.Go(func() {
			for i := range 4 {
				for range 2 { // each key comes twice
					w.Place(context.Background(), smsTo(fmt.Sprint(c/2, "-", i), fmt.Sprintf("+479%07d", c)))
				}
			}
		})
	}
	clients.Wait()
	if real.Load() > budget || real.Load() < budget/2 {
		t.Errorf("%d were spent of %d", real.Load(), budget)
	}
	again := newLimits(limits.Organisation{Budget: budget})
	if err := again.Recover(t.Context(), w.journal.Journal.(limits.History), time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the last answer to be counted", func() bool { return spent(l) == cost.Amount(real.Load()) })
	if spent(again) != spent(l) {
		t.Errorf("%d were spent, %v are counted, and %v after a restart", real.Load(), spent(l), spent(again))
	}
}
