package orders_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/internal/limits"
	"straks/orders"
)

// limited returns a service whose organisation "ttd" has limits.
func limited(t *testing.T, o limits.Organisation) (*world, *limits.Limits) {
	t.Helper()
	l := newLimits(o)
	return newWorld(t, orders.Config{Limiter: l}), l
}

func newLimits(o limits.Organisation) *limits.Limits {
	return limits.New(limits.Config{Organisations: map[string]limits.Organisation{"ttd": o}, Priced: o.Budget > 0, Currency: "NOK", Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
}

func smsTo(key, number string) orders.Order {
	return orders.Order{Organisation: "ttd", Key: key, TTL: time.Hour, Message: orders.Message{Channel: orders.SMS, To: orders.Recipient(number), Body: "1"}}
}

// TestLimit: beyond a limit an order is refused, and nothing is sent; a repeat of a known key is answered, and neither
// it nor an order that did not leave counts.
func TestLimit(t *testing.T) {
	t.Parallel()
	w, _ := limited(t, limits.Organisation{Recipient: []limits.Window{{Orders: 2, Per: time.Hour}}})
	place := func(key string, want error) orders.Shipment {
		t.Helper()
		s, _, err := w.Place(t.Context(), smsTo(key, "+4799999999"))
		var limit *orders.LimitError
		if want == nil && err != nil || want != nil && !errors.Is(err, want) && !errors.As(err, &limit) {
			t.Fatalf("%s: %v, want %v", key, err, want)
		}
		return s
	}
	w.network.Does(orders.Handover{Outcome: handover.NotSent})
	for i := range 5 {
		place(fmt.Sprint("unsent", i), orders.ErrNotSent)
	}
	w.network.Sends(nil)
	first := place("a", nil)
	for range 5 {
		place("a", nil)
	}
	place("unsent0", nil)
	sent := len(w.network.Sent())
	place("c", &orders.LimitError{})
	if again := place("a", nil); again.ID != first.ID {
		t.Errorf("a repeat beyond the limit is answered with %v, want %v", again.ID, first.ID)
	}
	if n := len(w.network.Sent()); n != sent {
		t.Errorf("%d more were sent", n-sent)
	}
	if _, _, err := w.Place(t.Context(), smsTo("d", "+4799999998")); err != nil {
		t.Errorf("another recipient: %v", err)
	}
}

// TestLimitGivenBack: a caller that learns that its order did not leave may try again at once.
func TestLimitGivenBack(t *testing.T) {
	t.Parallel()
	w, _ := limited(t, limits.Organisation{Recipient: []limits.Window{{Orders: 1, Per: time.Hour}}, Budget: 1})
	w.network.Does(orders.Handover{Outcome: handover.NotSent})
	for i := range 500 {
		if _, _, err := w.Place(t.Context(), smsTo(fmt.Sprint(i), "+4799999999")); !errors.Is(err, orders.ErrNotSent) {
			t.Fatal(err)
		}
		w.journal.acceptBusy.Store(i%2 == 0)
		if _, _, err := w.Place(t.Context(), smsTo(fmt.Sprint(i), "+4799999999")); !errors.Is(err, orders.ErrNotSent) && !errors.Is(err, orders.ErrBusy) {
			t.Fatal(err)
		}
		w.journal.acceptBusy.Store(false)
	}
}

// TestLimitExact: 64 clients, some of whose orders do not leave, get what the limit allows, and another service over the
// same journal counts the same.
func TestLimitExact(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]limits.Organisation{
		"prefix":       {Prefixes: []limits.Prefix{{Prefix: "+47", Per: time.Hour, Orders: mostExact}}},
		"country":      {Prefixes: []limits.Prefix{{Country: "NO", Per: time.Hour, Orders: mostExact}}},
		"each country": {Prefixes: []limits.Prefix{{Country: "*", Per: time.Hour, Orders: mostExact}}},
		"day, month":   {Day: mostExact, Month: 2 * mostExact},
		"recipient":    {Recipient: []limits.Window{{Orders: mostExact, Per: time.Hour}}},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); exact(t, o, name == "recipient") })
	}
}

const mostExact = 50

func exact(t *testing.T, o limits.Organisation, one bool) {
	const most = mostExact
	number := func(c int) string {
		if one {
			c = 0
		}
		return fmt.Sprintf("+47900%05d", c)
	}
	w, l := limited(t, o)
	var n atomic.Int64
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		if n.Add(1)%4 == 0 {
			return orders.Handover{Outcome: handover.NotSent}
		}
		return orders.Handover{Outcome: handover.Accepted, Carrier: "telco", Total: 1, Parts: []orders.PartAnswer{{Refs: []string{m.Shipment.String()}, Taken: true}}}
	})
	var created atomic.Int64
	var clients sync.WaitGroup
	for c := range 64 {
		clients.Go(func() {
			for i := range 4 {
				for range 2 { // each key comes twice
					if _, ok, _ := w.Place(context.Background(), smsTo(fmt.Sprint(c/2, "-", i), number(c))); ok {
						created.Add(1)
					}
				}
			}
		})
	}
	clients.Wait()
	// The last ones may have been refused for an order that was under way then, and did not leave.
	var limit *orders.LimitError
	for i := 0; limit == nil && i < 20*most; i++ {
		_, ok, err := w.Place(context.Background(), smsTo(fmt.Sprint("last-", i), number(0)))
		if ok {
			created.Add(1)
		}
		errors.As(err, &limit)
	}
	if created.Load() != most {
		t.Errorf("%d orders were taken, want %d", created.Load(), most)
	}
	again := newLimits(o)
	if err := again.Recover(t.Context(), w.journal.Journal.(limits.History), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := l.Reconfigure(t.Context(), w.journal.Journal.(limits.History), limits.Config{Organisations: map[string]limits.Organisation{"ttd": o}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for after, l := range map[string]*limits.Limits{"restart": again, "reload": l} {
		if _, err := l.Take("ttd", orders.SMS, orders.Recipient(number(0)), time.Now()); err == nil {
			t.Errorf("after a %s another order is taken", after)
		}
	}
}
