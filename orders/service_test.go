package orders_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/dlr"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt"
)

// network is a carrier whose answers the test gives.
type network struct {
	mu   sync.Mutex
	sent []orders.Message
	send func(context.Context, orders.Message) orders.Handover
}

func (n *network) Check(orders.Message) []orders.Fault { return nil }
func (n *network) Ready() error                        { return nil }
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
		Parts: []orders.PartAnswer{{Refs: []string{dlr.Dialect{}.AnswerRef(m.Shipment.String())}, Taken: true}}}
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
	acceptKeeps             atomic.Bool // stores, and then says that it does not know
}

func (j *sick) Accept(ctx context.Context, in orders.Intake) (orders.Shipment, bool, error) {
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
	return j.Journal.Apply(ctx, events)
}

type world struct {
	*orders.Service
	network *network
	journal *sick
}

func newWorld(t *testing.T, cfg orders.Config) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := bolt.Create(path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	journal, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{network: &network{send: accepts}, journal: &sick{Journal: journal}}
	cfg.Journal, cfg.SMS = w.journal, w.network
	w.Service = orders.NewService(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		eventually(t, "flights to land", func() bool { return w.InFlight() == 0 })
		if err := journal.Check(context.Background()); err != nil {
			t.Error(err)
		}
		journal.Close()
	})
	return w
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

func TestSameKeySameMoment(t *testing.T) {
	w := newWorld(t, orders.Config{})
	gate := make(chan struct{})
	w.network.send = func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return accepts(ctx, m) }
	type result struct {
		s       orders.Shipment
		created bool
		err     error
	}
	results := make(chan result)
	for range 24 {
		go func() {
			s, created, err := w.Place(t.Context(), order("k"))
			results <- result{s, created, err}
		}()
	}
	eventually(t, "the message to leave", func() bool { return w.network.count() > 0 })
	close(gate)
	created, ids := 0, map[uuid.UUID]bool{}
	for range 24 {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		if r.created {
			created++
		}
		ids[r.s.ID] = true
	}
	if created != 1 || len(ids) != 1 || w.network.count() != 1 {
		t.Errorf("%d created, %d shipments, %d sent", created, len(ids), w.network.count())
	}
}

func TestNotSentMayBeTriedAgain(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.send = outcome(handover.NotSent)
	if _, _, err := w.Place(t.Context(), order("k")); !errors.Is(err, orders.ErrNotSent) {
		t.Fatal(err)
	}
	first := w.network.sent[0].Shipment
	w.network.send = accepts
	s, created, err := w.Place(t.Context(), order("k"))
	if err != nil || !created || s.ID != first || s.Status != orders.SMSAccepted {
		t.Errorf("retry: %+v, %v, %v; want shipment %v", s, created, err, first)
	}
	again, created, err := w.Place(t.Context(), order("k"))
	if err != nil || created || again.ID != first || w.network.count() != 2 {
		t.Errorf("repeat: %+v, %v, %v, %d sent", again, created, err, w.network.count())
	}
}

func TestUnknownIsNeverSentAgain(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.send = outcome(handover.Unknown)
	s, created, err := w.Place(t.Context(), order("k"))
	if err != nil || !created || s.Status != orders.SMSSending {
		t.Fatalf("%+v, %v, %v", s, created, err)
	}
	if _, created, _ := w.Place(t.Context(), order("k")); created || w.network.count() != 1 {
		t.Errorf("sent %d times", w.network.count())
	}
	late := orders.Answer{Shipment: s.ID, At: time.Now(), Outcome: handover.Accepted, Carrier: "telco", Total: 1,
		Parts: []orders.PartAnswer{{Refs: []string{"id:1"}, Taken: true}}}
	if err := w.Late(late); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the late answer", func() bool { return w.status(t, s.ID) == orders.SMSAccepted })
}

func TestRefusedIsFinalAtOnce(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.send = outcome(handover.Refused)
	s, created, err := w.Place(t.Context(), order("k"))
	if err != nil || !created || s.Status != orders.SMSFailedRejected {
		t.Errorf("%+v, %v, %v", s, created, err)
	}
}

func TestAbandonedOrderIsCarriedOn(t *testing.T) {
	w := newWorld(t, orders.Config{})
	gate := make(chan struct{})
	w.network.send = func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return accepts(ctx, m) }
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually(t, "the message to leave", func() bool { return w.network.count() > 0 })
		cancel()
	}()
	if _, _, err := w.Place(ctx, order("k")); !errors.Is(err, orders.ErrAbandoned) {
		t.Fatal(err)
	}
	close(gate)
	s, created, err := w.Place(t.Context(), order("k"))
	if err != nil || created || s.Status != orders.SMSAccepted || w.network.count() != 1 {
		t.Errorf("%+v, %v, %v, %d sent", s, created, err, w.network.count())
	}
}

func TestTooManyInFlight(t *testing.T) {
	w := newWorld(t, orders.Config{MaxInFlight: 1})
	gate := make(chan struct{})
	w.network.send = func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return accepts(ctx, m) }
	done := make(chan error, 1)
	go func() { _, _, err := w.Place(t.Context(), order("a")); done <- err }()
	eventually(t, "the first order", func() bool { return w.network.count() == 1 })
	if _, _, err := w.Place(t.Context(), order("b")); !errors.Is(err, orders.ErrBusy) {
		t.Errorf("second order: %v", err)
	}
	close(gate)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSendDeadline(t *testing.T) {
	w := newWorld(t, orders.Config{SendDeadline: 20 * time.Millisecond})
	w.network.send = func(ctx context.Context, _ orders.Message) orders.Handover {
		<-ctx.Done()
		return orders.Handover{Outcome: handover.NotSent}
	}
	if _, _, err := w.Place(t.Context(), order("k")); !errors.Is(err, orders.ErrNotSent) {
		t.Error(err)
	}
}

// An order that the journal could not confirm is 503, its key free as soon as
// the journal is well, whether or not it had been stored.
func TestJournalFailsAtAccept(t *testing.T) {
	for name, fault := range map[string]func(*sick) *atomic.Bool{
		"not stored": func(j *sick) *atomic.Bool { return &j.acceptFails },
		"stored":     func(j *sick) *atomic.Bool { return &j.acceptKeeps },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, orders.Config{})
			fault(w.journal).Store(true)
			if _, _, err := w.Place(t.Context(), order("k")); !errors.Is(err, orders.ErrUnavailable) {
				t.Fatal(err)
			}
			if _, _, err := w.Place(t.Context(), order("k")); !errors.Is(err, orders.ErrUnavailable) {
				t.Fatalf("while the journal is failing: %v", err)
			}
			fault(w.journal).Store(false)
			eventually(t, "the key to be free", func() bool { return w.InFlight() == 0 })
			s, created, err := w.Place(t.Context(), order("k"))
			if err != nil || !created || s.Status != orders.SMSAccepted || w.network.count() != 1 {
				t.Errorf("%+v, %v, %v, %d sent", s, created, err, w.network.count())
			}
		})
	}
}

// The carrier has the message, but the journal can't store that now: the caller
// is told the truth, nothing is sent again, and the answer is stored later.
func TestJournalFailsAtAnswer(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.send = func(ctx context.Context, m orders.Message) orders.Handover {
		w.journal.applyFails.Store(true)
		return accepts(ctx, m)
	}
	s, created, err := w.Place(t.Context(), order("k"))
	if err != nil || !created || s.Status != orders.SMSAccepted {
		t.Fatalf("%+v, %v, %v", s, created, err)
	}
	if again, created, err := w.Place(t.Context(), order("k")); err != nil || created || again.ID != s.ID {
		t.Errorf("repeat: %+v, %v, %v", again, created, err)
	}
	if got := w.status(t, s.ID); got != orders.SMSSending {
		t.Errorf("stored as %v while the journal failed", got)
	}
	w.journal.applyFails.Store(false)
	eventually(t, "the answer to be stored", func() bool { return w.status(t, s.ID) == orders.SMSAccepted })
	if w.network.count() != 1 {
		t.Errorf("sent %d times", w.network.count())
	}
}

func delivered(id string) dlr.Receipt { return dlr.Receipt{ID: id, State: dlr.Delivered} }

func (w *world) receive(t *testing.T, r dlr.Receipt) error {
	t.Helper()
	done := make(chan error, 1)
	if err := w.Receive(orders.Arrival{Carrier: "telco", Receipt: r, At: time.Now().UTC(), Done: func(err error) { done <- err }}); err != nil {
		return err
	}
	return <-done
}

func TestReceiptIsDoneWhenStored(t *testing.T) {
	w := newWorld(t, orders.Config{})
	s, _, err := w.Place(t.Context(), order("k"))
	if err != nil {
		t.Fatal(err)
	}
	w.journal.applyFails.Store(true)
	if err := w.receive(t, delivered(s.ID.String())); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatalf("acknowledged without being stored: %v", err)
	}
	w.journal.applyFails.Store(false)
	if err := w.receive(t, delivered(s.ID.String())); err != nil {
		t.Fatal(err)
	}
	if got := w.status(t, s.ID); got != orders.SMSDelivered {
		t.Error(got)
	}
}

func TestReceiptBeforeItsAnswer(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.send = func(ctx context.Context, m orders.Message) orders.Handover {
		if err := w.receive(t, delivered(m.Shipment.String())); err != nil {
			t.Error(err)
		}
		return accepts(ctx, m)
	}
	s, _, err := w.Place(t.Context(), order("k"))
	if err != nil || s.Status != orders.SMSDelivered {
		t.Errorf("%v, %v", s.Status, err)
	}
}

func TestUnreadableReceipt(t *testing.T) {
	w := newWorld(t, orders.Config{})
	for _, r := range []dlr.Receipt{{ID: "1"}, {State: dlr.Delivered}} {
		if err := w.receive(t, r); !errors.Is(err, orders.ErrUnreadable) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestReceiptStatuses(t *testing.T) {
	for state, want := range map[dlr.State]orders.Status{
		dlr.Delivered: orders.SMSDelivered, dlr.Expired: orders.SMSFailedExpired, dlr.Deleted: orders.SMSFailedDeleted,
		dlr.Undeliverable: orders.SMSFailedUndelivered, dlr.Unknown: orders.SMSFailed, dlr.Rejected: orders.SMSFailedRejected,
		dlr.Enroute: orders.SMSAccepted, dlr.Accepted: orders.SMSAccepted,
	} {
		w := newWorld(t, orders.Config{})
		s, _, err := w.Place(t.Context(), order("k"))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.receive(t, dlr.Receipt{ID: s.ID.String(), State: state}); err != nil {
			t.Fatal(err)
		}
		if got := w.status(t, s.ID); got != want {
			t.Errorf("%v makes %v, want %v", state, got, want)
		}
	}
}

func TestIntermediateReceiptEndsNothing(t *testing.T) {
	w := newWorld(t, orders.Config{})
	s, _, err := w.Place(t.Context(), order("k"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		state dlr.State
		want  orders.Status
	}{{dlr.Undeliverable, orders.SMSAccepted}, {dlr.Enroute, orders.SMSAccepted}, {dlr.Delivered, orders.SMSDelivered}} {
		if err := w.receive(t, dlr.Receipt{ID: s.ID.String(), State: step.state, Intermediate: true}); err != nil {
			t.Fatal(err)
		}
		if got := w.status(t, s.ID); got != step.want {
			t.Errorf("an intermediate %v makes %v, want %v", step.state, got, step.want)
		}
	}
}

func TestDrainWaitsForFlights(t *testing.T) {
	w := newWorld(t, orders.Config{})
	gate := make(chan struct{})
	w.network.send = func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return accepts(ctx, m) }
	go w.Place(t.Context(), order("k"))
	eventually(t, "the order", func() bool { return w.network.count() == 1 })
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drained with an order in flight: %v", err)
	}
	close(gate)
	if err := w.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if w.InFlight() != 0 {
		t.Error("orders in flight after Drain")
	}
}
