package orders_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt"
)

// network is a carrier whose answers the test gives.
type network struct {
	mu     sync.Mutex
	sent   []orders.Message
	send   func(context.Context, orders.Message) orders.Handover
	window int // messages at a time; 100
}

func (n *network) Check(orders.Message) []orders.Fault { return nil }

func (n *network) Lane(orders.Message) orders.Lane { return orders.Lane{Window: cmp.Or(n.window, 100)} }

func (n *network) Ready() error { return nil }
func (n *network) Send(ctx context.Context, m orders.Message) orders.Handover {
	n.mu.Lock()
	n.sent = append(n.sent, m)
	n.mu.Unlock()
	return n.send(ctx, m)
}

func (n *network) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.sent)
}

func accepts(_ context.Context, m orders.Message) orders.Handover {
	return orders.Handover{Outcome: handover.Accepted, Carrier: "telco", Total: 1,
		Parts: []orders.PartAnswer{{Refs: []string{m.Shipment.String()}, Taken: true}}}
}

func outcome(o handover.Outcome) func(context.Context, orders.Message) orders.Handover {
	return func(context.Context, orders.Message) orders.Handover {
		return orders.Handover{Outcome: o, Status: orders.SMSFailedRejected}
	}
}

// sick is the real journal, some of whose calls do not come through.
type sick struct {
	orders.Journal
	acceptFails, applyFails atomic.Bool
	acceptBusy              atomic.Bool
	acceptRefuses           atomic.Bool  // knows that it can't store
	acceptBreaks            atomic.Bool  // can't read what it has of the key
	acceptKeeps             atomic.Bool  // stores, and then says that it does not know
	poison                  atomic.Value // reference of reports, or shipment of expiries, that can't be stored
}

func (j *sick) Accept(ctx context.Context, in orders.Intake) (orders.Shipment, bool, error) {
	if j.acceptBusy.Load() {
		return orders.Shipment{}, false, orders.ErrBusy
	}
	if j.acceptRefuses.Load() {
		return orders.Shipment{}, false, errors.Join(orders.ErrNotStored, orders.ErrUnavailable)
	}
	if j.acceptBreaks.Load() {
		return orders.Shipment{}, false, errors.New("corrupt")
	}
	if j.acceptKeeps.Load() {
		j.Journal.Accept(ctx, in)
	}
	if j.acceptFails.Load() || j.acceptKeeps.Load() {
		return orders.Shipment{}, false, orders.ErrUnavailable
	}
	return j.Journal.Accept(ctx, in)
}

func (j *sick) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	if j.applyFails.Load() {
		return nil, orders.ErrUnavailable
	}
	for _, e := range events {
		r, ok := e.(orders.Report)
		x, expiry := e.(orders.Expiry)
		if ok && r.Refs[0] == j.poison.Load() || expiry && x.Shipment == j.poison.Load() {
			return nil, errors.New("corrupt")
		}
	}
	return j.Journal.Apply(ctx, events)
}

type world struct {
	*orders.Service
	network *network
	journal *sick
}

// newWorld returns a service that runs.
func newWorld(t *testing.T, cfg orders.Config) *world {
	t.Helper()
	w, run := idleWorld(t, cfg)
	run()
	return w
}

// idleWorld returns a service that takes orders, and what makes it run: call it once.
func idleWorld(t *testing.T, cfg orders.Config) (w *world, run func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := bolt.Create(path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	journal, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w = &world{network: &network{send: accepts}, journal: &sick{Journal: journal}}
	cfg.Journal, cfg.SMS, cfg.Log = w.journal, w.network, cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	w.Service = orders.NewService(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		runs.Wait()
		eventually(t, "flights to land", func() bool { return w.InFlight() == 0 })
		if err := journal.Check(context.Background()); err != nil {
			t.Error(err)
		}
		journal.Close()
	})
	return w, func() { runs.Go(func() { w.Run(ctx) }) }
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func order(key string) orders.Order {
	return orders.Order{Organisation: "ttd", Key: key, TTL: time.Minute,
		Message: orders.Message{Channel: orders.SMS, To: "+4799999999", Body: "123456"}}
}

func (w *world) status(t *testing.T, id uuid.UUID) orders.Status {
	t.Helper()
	s, err := w.Shipment(t.Context(), "ttd", id)
	if err != nil {
		t.Fatal(err)
	}
	return s.Status
}
