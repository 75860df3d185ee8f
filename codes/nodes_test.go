package codes_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"straks/codes"
	"straks/internal/eventually"
	"straks/orders"
	"straks/orders/orderstest"
)

// another is another node over the store of a world: with its own carriers, and orders in flight.
type another struct {
	*codes.Service
	email *orderstest.Carrier
	asked atomic.Int32 // how often it looked whether it can send
}

func (w *world) another(store codes.Store, deadline time.Duration) *another {
	n := &another{email: &orderstest.Carrier{}}
	log := slog.New(slog.DiscardHandler)
	own := orders.NewService(orders.Config{Journal: w.journal, SMS: &orderstest.Carrier{}, Email: n.email, Now: w.clock, SendDeadline: deadline, Log: log})
	w.t.Cleanup(func() { eventually.True(w.t, "orders to end", func() bool { return own.InFlight() == 0 }) })
	n.Service = codes.New(codes.Config{Keys: w.keys, Store: store, Orders: own, Language: "nb", Organisations: []string{"ttd"}, Now: w.clock, Log: log,
		Elsewhere: func(o orders.Order) bool {
			n.asked.Add(1)
			_, now := own.Reach(o)
			return !now && o.Message.To == "ola@example.org" && o.Message.Channel == orders.Email && o.Organisation == "ttd"
		}})
	return n
}

// runs runs a node's keeper until the test ends or stop is called.
func runs(t *testing.T, s *codes.Service) (stop func()) { return (&world{t: t, Service: s}).run() }

// TestFallsBackElsewhere: a node that can't send on the other channel leaves the message to one that can. If none does for
// a while, it tries itself.
func TestFallsBackElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := w.another(w.journal, 0)
	down.email.Down(true)
	down.email.Does(notSent)
	st := w.start(withMail(request("1")))
	w.pass(time.Minute)
	stop := runs(t, down.Service)
	eventually.True(t, "a look", func() bool { return down.asked.Load() > 1 })
	if got, err := w.Get(t.Context(), "ttd", st.ID); err != nil || len(got.Channels) != 1 || len(down.email.Sent()) != 0 {
		t.Errorf("messages %v, %d attempts, %v", got.Channels, len(down.email.Sent()), err)
	}
	w.run()
	eventually.True(t, "the mail", func() bool { return len(w.email.Sent()) == 1 })
	stop()
	if len(down.email.Sent()) != 0 {
		t.Error("sent by a node that can't")
	}

	w = newWorld(t)
	down = w.another(w.journal, 0)
	down.email.Down(true)
	down.email.Does(notSent)
	w.start(withMail(request("1")))
	w.pass(time.Minute + 11*time.Second)
	runs(t, down.Service)
	eventually.True(t, "an attempt", func() bool { return len(down.email.Sent()) == 1 })
}

// second is a store whose second change waits.
type second struct {
	codes.Store
	calls            atomic.Int32
	came, gate, done chan struct{}
}

func (s *second) UpdateCodes(ctx context.Context, change func(codes.Tx) error) error {
	if s.calls.Add(1) == 2 {
		close(s.came)
		<-s.gate
		defer close(s.done)
	}
	return s.Store.UpdateCodes(ctx, change)
}

// TestFallsBackOnce: a node that has waited in vain for another one's message, and notes that after it was sent, sends no
// second one.
func TestFallsBackOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := &second{Store: w.journal, came: make(chan struct{}), gate: make(chan struct{}), done: make(chan struct{})}
	waits := w.another(store, 100*time.Millisecond)
	st := w.start(withMail(request("1")))
	sends := make(chan struct{})
	w.email.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		<-sends
		return orderstest.Accepts(ctx, m)
	})
	w.pass(time.Minute)
	w.run()
	eventually.True(t, "the mail under way", func() bool { return len(w.email.Sent()) == 1 })
	runs(t, waits.Service)
	<-store.came // the order's key is held for longer than it waits
	close(sends)
	noted := func() codes.State {
		v, err := w.Get(t.Context(), "ttd", st.ID)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	eventually.True(t, "the mail to be noted", func() bool { return noted().FallbackAt.IsZero() })
	close(store.gate)
	<-store.done
	if v := noted(); !v.FallbackAt.IsZero() || len(v.Channels) != 2 {
		t.Errorf("due again at %v, messages %v", v.FallbackAt, v.Channels)
	}
	if len(waits.email.Sent()) != 0 {
		t.Error("sent twice")
	}
}
