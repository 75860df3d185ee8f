package orders_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

func TestSameKeySameMoment(t *testing.T) {
	w := newWorld(t, orders.Config{})
	gate := make(chan struct{})
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return orderstest.Accepts(ctx, m) })
	type result struct {
		s       orders.Shipment
		created bool
		err     error
	}
	results := make(chan result)
	for range 24 {
		go func() {
			s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
			results <- result{s, created, err}
		}()
	}
	eventually.True(t, "the message to leave", func() bool { return len(w.network.Sent()) > 0 })
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
	if created != 1 || len(ids) != 1 || len(w.network.Sent()) != 1 {
		t.Errorf("%d created, %d shipments, %d sent", created, len(ids), len(w.network.Sent()))
	}
}

func TestNotSentMayBeTriedAgain(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.Sends(outcome(handover.NotSent))
	if _, _, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, orders.ErrNotSent) {
		t.Fatal(err)
	}
	first := w.network.Sent()[0].Shipment
	w.network.Sends(orderstest.Accepts)
	s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || !created || s.ID != first || s.Status != orders.SMSAccepted {
		t.Errorf("retry: %+v, %v, %v; want shipment %v", s, created, err, first)
	}
	again, created, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || created || again.ID != first || len(w.network.Sent()) != 2 {
		t.Errorf("repeat: %+v, %v, %v, %d sent", again, created, err, len(w.network.Sent()))
	}
}

func TestUnknownIsNeverSentAgain(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.Sends(outcome(handover.Unknown))
	s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || !created || s.Status != orders.SMSSending {
		t.Fatalf("%+v, %v, %v", s, created, err)
	}
	if _, created, _ := w.Place(t.Context(), orderstest.SMS("k")); created || len(w.network.Sent()) != 1 {
		t.Errorf("sent %d times", len(w.network.Sent()))
	}
	late := orders.Answer{Shipment: s.ID, At: time.Now(), Outcome: handover.Accepted, Carrier: "telco", Total: 1,
		Parts: []orders.PartAnswer{{Refs: []string{"id:1"}, Taken: true}}}
	if err := w.Late(late); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the late answer", func() bool { return w.status(t, s.ID) == orders.SMSAccepted })
}

func TestRefusedIsFinalAtOnce(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.Sends(outcome(handover.Refused))
	s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || !created || s.Status != orders.SMSFailedRejected {
		t.Errorf("%+v, %v, %v", s, created, err)
	}
}

func TestAbandonedOrderIsCarriedOn(t *testing.T) {
	w := newWorld(t, orders.Config{})
	gate := make(chan struct{})
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return orderstest.Accepts(ctx, m) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually.True(t, "the message to leave", func() bool { return len(w.network.Sent()) > 0 })
		cancel()
	}()
	if _, _, err := w.Place(ctx, orderstest.SMS("k")); !errors.Is(err, orders.ErrAbandoned) {
		t.Fatal(err)
	}
	close(gate)
	s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || created || s.Status != orders.SMSAccepted || len(w.network.Sent()) != 1 {
		t.Errorf("%+v, %v, %v, %d sent", s, created, err, len(w.network.Sent()))
	}
}

func TestSendDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders.Config{SendDeadline: time.Second})
		w.network.Sends(func(ctx context.Context, _ orders.Message) orders.Handover {
			<-ctx.Done()
			return orders.Handover{Outcome: handover.NotSent, Detail: "no bind is up"}
		})
		if _, _, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, orders.ErrNotSent) || !strings.HasSuffix(err.Error(), ": no bind is up") {
			t.Error(err)
		}
	})
}

// A message's time to live is measured by the monotonic clock: from acceptance, like the
// deadline, but a wall clock that is set back does not lengthen it.
func TestMessageExpires(t *testing.T) {
	w := newWorld(t, orders.Config{})
	s, _, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil {
		t.Fatal(err)
	}
	expires := w.network.Sent()[0].Expires
	if off := expires.Sub(s.Deadline).Abs(); off > time.Second { // of a minute; each is of its own look at the clock
		t.Errorf("%v off the deadline", off)
	}
	if expires == expires.Round(0) {
		t.Error("by the wall clock only")
	}
}

// An order that the journal could not confirm is 503, and its key is free once the journal
// has recovered, whether or not it had been stored.
func TestJournalFailsAtAccept(t *testing.T) {
	for name, fault := range map[string]func(*sick) *atomic.Bool{
		"not stored": func(j *sick) *atomic.Bool { return &j.acceptFails },
		"stored":     func(j *sick) *atomic.Bool { return &j.acceptKeeps },
	} {
		t.Run(name, func(t *testing.T) {
			w := placedOn(t, fault)
			if _, _, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, orders.ErrUnavailable) {
				t.Fatalf("while the journal is failing: %v", err)
			}
			fault(w.journal).Store(false)
			eventually.True(t, "the key to be free", func() bool { return w.InFlight() == 0 })
			s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
			if err != nil || !created || s.Status != orders.SMSAccepted || len(w.network.Sent()) != 1 {
				t.Errorf("%+v, %v, %v, %d sent", s, created, err, len(w.network.Sent()))
			}
		})
	}
}

// So it is where the journal has recovered only after the order's claim would have ended, or has.
func TestJournalFailsForLong(t *testing.T) {
	for name, fault := range map[string]func(*sick) *atomic.Bool{
		"not stored":      func(j *sick) *atomic.Bool { return &j.acceptFails },
		"stored":          func(j *sick) *atomic.Bool { return &j.acceptKeeps },
		"answer not sent": func(j *sick) *atomic.Bool { return &j.applyFails },
	} {
		t.Run(name, func(t *testing.T) {
			var passed atomic.Int64
			w, _ := idleWorld(t, orders.Config{Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }})
			w.network.Sends(outcome(handover.NotSent))
			fault(w.journal).Store(true)
			if _, _, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, orders.ErrUnavailable) {
				t.Fatal(err)
			}
			w.network.Sends(orderstest.Accepts)
			passed.Store(int64(time.Hour))
			fault(w.journal).Store(false)
			eventually.True(t, "the key to be free", func() bool { return w.InFlight() == 0 })
			s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
			if err != nil || !created || s.Status != orders.SMSAccepted {
				t.Errorf("%+v, %v, %v", s, created, err)
			}
		})
	}
}

// placedOn returns a world whose journal has a fault, which failed an order with the key k.
func placedOn(t *testing.T, fault func(*sick) *atomic.Bool) *world {
	t.Helper()
	w := newWorld(t, orders.Config{})
	fault(w.journal).Store(true)
	if _, _, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatal(err)
	}
	return w
}

// An order that the journal refused at once, or whose key it can't read, leaves
// nothing that has to wait for the journal to recover.
func TestJournalRefuses(t *testing.T) {
	for name, fault := range map[string]func(*sick) *atomic.Bool{
		"not stored": func(j *sick) *atomic.Bool { return &j.acceptRefuses },
		"corrupt":    func(j *sick) *atomic.Bool { return &j.acceptBreaks },
	} {
		t.Run(name, func(t *testing.T) {
			w := placedOn(t, fault)
			eventually.True(t, "the order to land", func() bool { return w.InFlight() == 0 })
			fault(w.journal).Store(false)
			if _, created, err := w.Place(t.Context(), orderstest.SMS("k")); err != nil || !created {
				t.Errorf("%v, %v", created, err)
			}
		})
	}
}

// slow is a journal on a disk that takes its time.
type slow struct {
	idle
	takes time.Duration
}

func (j *slow) wait(ctx context.Context) error {
	select {
	case <-time.After(j.takes):
		return nil
	case <-ctx.Done():
		return orders.ErrUnavailable
	}
}

func (j *slow) Accept(ctx context.Context, in orders.AcceptRequest) (orders.Shipment, bool, error) {
	return orders.Claim(in), true, j.wait(ctx)
}

func (j *slow) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	return make([]orders.Effect, len(events)), j.wait(ctx)
}

// With a disk that is too slow, callers get an error after twice the time that it may take. Facts about their
// orders that must be stored get the time that they need.
func TestSlowJournal(t *testing.T) {
	for stallAfter, want := range map[time.Duration]error{0: orders.ErrUnavailable, 2 * time.Second: orders.ErrUnavailable, 3 * time.Second: nil} {
		synctest.Test(t, func(t *testing.T) {
			const takes = 5 * time.Second
			s := orders.NewService(orders.Config{Journal: &slow{takes: takes}, SMS: &orderstest.Carrier{}, StallAfter: stallAfter, SendDeadline: time.Minute,
				Log: slog.New(slog.DiscardHandler)})
			began, wait := time.Now(), 2*cmp.Or(stallAfter, orders.DefaultStallAfter)
			_, created, err := s.Place(t.Context(), orderstest.SMS("k"))
			took := time.Since(began)
			if want == nil {
				wait = takes + stallAfter // the outcome is known, and not on disk
			}
			if !errors.Is(err, want) || created != (want == nil) || took != wait {
				t.Errorf("%v: after %v: %v", stallAfter, took, err)
			}
			time.Sleep(time.Minute)
			if n := s.InFlight(); n != 0 {
				t.Errorf("%d orders still in flight", n)
			}
		})
	}
}

// corrupt is a journal that can't read what it has: from Apply on, or from the second Accept.
type corrupt struct {
	idle
	key   bool
	calls atomic.Int32
}

func (j *corrupt) Accept(_ context.Context, in orders.AcceptRequest) (orders.Shipment, bool, error) {
	if !j.key {
		return orders.Claim(in), true, nil
	}
	if j.calls.Add(1) == 1 {
		return orders.Shipment{}, false, orders.ErrUnavailable
	}
	return orders.Shipment{}, false, errors.New("corrupt")
}

func (j *corrupt) Apply(context.Context, []orders.Event) ([]orders.Effect, error) {
	j.calls.Add(1)
	return nil, errors.New("corrupt")
}

// A fact that can't be stored because the journal can't read its record is given up in the end, and counted: its
// order must not stay in flight for ever.
func TestOutcomeThatCannotBeStored(t *testing.T) {
	place := func(s *orders.Service) error {
		_, _, err := s.Place(context.Background(), orderstest.SMS("k"))
		return err
	}
	for name, c := range map[string]struct {
		do   func(*orders.Service) error
		want error
	}{
		"answer":      {place, nil},
		"late answer": {func(s *orders.Service) error { return s.Late(orders.Answer{Shipment: uuid.New()}) }, nil},
		"key":         {place, orders.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				j := &corrupt{key: name == "key"}
				s := orders.NewService(orders.Config{Journal: j, SMS: &orderstest.Carrier{}, Registerer: reg, Log: slog.New(slog.DiscardHandler)})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := c.do(s); !errors.Is(err, c.want) {
					t.Fatal(err)
				}
				if err := s.Run(ctx); err != nil {
					t.Fatal(err)
				}
				if n, given := s.InFlight(), counted(t, reg, "straks_outcomes_given_up_total", "", "")[" "]; n != 0 || given != 1 || j.calls.Load() > 40 {
					t.Errorf("%d in flight, %v given up, %d calls", n, given, j.calls.Load())
				}
			})
		})
	}
}

// The carrier has the message, but the journal can't store that now: the caller
// gets the true status, nothing is sent again, and the answer is stored later.
func TestJournalFailsAtAnswer(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		w.journal.applyFails.Store(true)
		return orderstest.Accepts(ctx, m)
	})
	s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || !created || s.Status != orders.SMSAccepted {
		t.Fatalf("%+v, %v, %v", s, created, err)
	}
	if again, created, err := w.Place(t.Context(), orderstest.SMS("k")); err != nil || created || again.ID != s.ID {
		t.Errorf("repeat: %+v, %v, %v", again, created, err)
	}
	if got := w.status(t, s.ID); got != orders.SMSSending {
		t.Errorf("stored as %v while the journal failed", got)
	}
	w.journal.applyFails.Store(false)
	eventually.True(t, "the answer to be stored", func() bool { return w.status(t, s.ID) == orders.SMSAccepted })
	if len(w.network.Sent()) != 1 {
		t.Errorf("sent %d times", len(w.network.Sent()))
	}
}

func TestDrainWaitsForFlights(t *testing.T) {
	w := newWorld(t, orders.Config{})
	gate := make(chan struct{})
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover { <-gate; return orderstest.Accepts(ctx, m) })
	go w.Place(t.Context(), orderstest.SMS("k"))
	eventually.True(t, "the order", func() bool { return len(w.network.Sent()) == 1 })
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
