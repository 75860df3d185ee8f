package orders_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

// elsewhere is another process over the same store: it claims keys, and answers them when the
// test says so.
type elsewhere struct {
	t       *testing.T
	journal orders.Journal
}

// claim claims the key of order for a time.
func (e *elsewhere) claim(o orders.Order, lasts time.Duration) orders.Shipment {
	e.t.Helper()
	s, claimed, err := e.journal.Accept(e.t.Context(), orders.AcceptRequest{Shipment: uuid.Must(uuid.NewV7()), OrderID: uuid.Must(uuid.NewV7()), Claim: uuid.New(),
		Key: o.Key, At: time.Now().UTC(), ClaimFor: lasts, Organisation: o.Organisation, Channel: o.Message.Channel, Recipient: o.Message.To, TTL: o.TTL})
	if err != nil || !claimed {
		e.t.Fatalf("claimed: %v, %v", claimed, err)
	}
	return s
}

func (e *elsewhere) answer(s orders.Shipment, outcome handover.Outcome) {
	e.t.Helper()
	a := orders.Answer{Shipment: s.ID, Claim: s.Claim, At: time.Now().UTC(), Outcome: outcome, Status: orders.SMSFailedRejected, Carrier: "telco", Total: 1}
	if outcome == handover.Accepted {
		a.Parts = []orders.PartAnswer{{Refs: []string{"id"}, Taken: true}}
	}
	if _, err := e.journal.Apply(e.t.Context(), []orders.Event{a}); err != nil {
		e.t.Error(err)
	}
}

// A key that another process has in flight is answered with the outcome there: 200 for what can't
// become free any more, a claim of our own where it has become free.
func TestKeyInFlightElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		outcome handover.Outcome
		lasts   time.Duration // of the claim; where it is over before the answer, there is none
		created bool
		status  orders.Status
		end     string // of the wait, as it is counted
	}{
		"accepted":    {handover.Accepted, time.Hour, false, orders.SMSAccepted, "known"},
		"refused":     {handover.Refused, time.Hour, false, orders.SMSFailedRejected, "known"},
		"unknown":     {handover.Unknown, time.Hour, false, orders.SMSSending, "unknown"},
		"not sent":    {handover.NotSent, time.Hour, true, orders.SMSAccepted, "free"},
		"claim ended": {0, 300 * time.Millisecond, false, orders.SMSSending, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				w := newWorld(t, orders.Config{SendDeadline: time.Minute, Registerer: reg})
				other := &elsewhere{t, w.journal.Journal}
				first := other.claim(orderstest.SMS("k"), c.lasts)
				type result struct {
					s       orders.Shipment
					created bool
					err     error
				}
				placed := make(chan result, 1)
				go func() {
					s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
					placed <- result{s, created, err}
				}()
				if c.lasts == time.Hour {
					select {
					case r := <-placed:
						t.Fatalf("answered while the first is in flight: %+v", r)
					case <-time.After(50 * time.Millisecond):
					}
					other.answer(first, c.outcome)
				}
				r := <-placed
				if r.err != nil || r.created != c.created || r.s.ID != first.ID || r.s.Status != c.status {
					t.Errorf("%+v", r)
				}
				if s, known, err := w.repeated(t.Context(), "ttd", "k"); err != nil || !known || s.ID != first.ID {
					t.Errorf("the repeat: %+v, %v, %v", s, known, err)
				}
				waits(t, reg, map[string]float64{c.end: 1})
			})
		})
	}
}

// waits compares the ends of repeats that waited.
func waits(t *testing.T, reg *prometheus.Registry, want map[string]float64) {
	t.Helper()
	got := make(map[string]float64)
	for end, n := range counted(t, reg, "straks_repeats_waited_total", "end", "") {
		got[strings.TrimSpace(end)] = n
	}
	if !maps.Equal(got, want) {
		t.Errorf("waits ended %v, want %v", got, want)
	}
}

// Where the outcome elsewhere is not known at the send deadline nothing is known: it is never 200, nor said
// to be free.
func TestKeyHeldForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that a slow disk takes none of the send deadline
		reg := prometheus.NewRegistry()
		w := newWorld(t, orders.Config{SendDeadline: 100 * time.Millisecond, Registerer: reg})
		other := &elsewhere{t, w.journal.Journal}
		first := other.claim(orderstest.SMS("k"), time.Hour)
		if s, created, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, orders.ErrHeld) || created {
			t.Errorf("%+v, %v, %v", s, created, err)
		}
		synctest.Wait() // until the order is no longer in flight here, where a repeat would join it
		if s, known, err := w.repeated(t.Context(), "ttd", "k"); !errors.Is(err, orders.ErrHeld) || known {
			t.Errorf("repeated: %+v, %v, %v", s, known, err)
		}
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, _, err := w.repeated(ctx, "ttd", "k"); !errors.Is(err, orders.ErrAbandoned) {
			t.Errorf("the caller left: %v", err)
		}
		other.answer(first, handover.NotSent)
		if _, created, err := w.Place(t.Context(), orderstest.SMS("k")); !created || err != nil {
			t.Errorf("then: %v, %v", created, err)
		}
		waits(t, reg, map[string]float64{"held": 2, "abandoned": 1})
	})
}

// A NotSent frees the key however late it comes, if no caller elsewhere was told that the key is known; else the order
// has failed.
func TestNotSentAfterTheClaim(t *testing.T) {
	for name, told := range map[string]bool{"nobody was told": false, "a caller elsewhere was told": true} {
		t.Run(name, func(t *testing.T) {
			var frozen atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(frozen.Load())) }
			w, _ := idleWorld(t, orders.Config{Now: now})
			other := orders.NewService(orders.Config{Journal: w.journal.Journal, SMS: w.network, Log: slog.New(slog.DiscardHandler), Now: now})
			w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
				frozen.Store(int64(time.Hour))
				if told {
					if s, created, err := other.Place(ctx, orderstest.SMS("k")); err != nil || created || s.Status != orders.SMSSending {
						t.Errorf("elsewhere: %+v, %v, %v", s, created, err)
					}
				}
				w.network.Sends(orderstest.Accepts)
				return outcome(handover.NotSent)(ctx, m)
			})
			want := orders.ErrNotSent
			if told {
				want = orders.ErrUnavailable
			}
			if _, created, err := w.Place(t.Context(), orderstest.SMS("k")); !errors.Is(err, want) || created {
				t.Errorf("%v, %v", created, err)
			}
			if s, created, err := w.Place(t.Context(), orderstest.SMS("k")); err != nil || created == told || told != (s.Status == orders.SMSFailed) {
				t.Errorf("the repeat: %+v, %v, %v", s, created, err)
			}
		})
	}
}

// Whatever is stored has the time of Config.Now.
func TestClock(t *testing.T) {
	at := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	w, _ := idleWorld(t, orders.Config{Now: func() time.Time { return at }})
	s, _, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || !s.Accepted.Equal(at) || !s.Updated.Equal(at) || !s.Deadline.Equal(at.Add(time.Minute)) {
		t.Errorf("%+v, %v", s, err)
	}
}

// The wait for a receipt's commit is a setting of its carrier.
func TestReceiptWait(t *testing.T) {
	j := &deadlines{idle: idle{began: time.Now()}, left: make(chan time.Duration, 1)}
	wait := func(carrier string) time.Duration {
		if carrier == "telco" {
			return time.Hour
		}
		return time.Second
	}
	s := orders.NewService(orders.Config{Journal: j, ReceiptWait: wait, Log: slog.New(slog.DiscardHandler)})
	if err := s.Receive(orders.Report{Carrier: "telco"}, func(error) {}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	if left := <-j.left; left < 59*time.Minute {
		t.Errorf("the journal has %v", left)
	}
	cancel()
	<-ran
}

// deadlines is a journal that reports how long Apply may take.
type deadlines struct {
	idle
	left chan time.Duration
}

func (j *deadlines) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	end, _ := ctx.Deadline()
	j.left <- time.Until(end)
	return make([]orders.Effect, len(events)), nil
}
