package orders_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

// memory is a journal that takes no time. Its methods do what orders.Journal says, for one
// organisation and without reports.
type memory struct {
	idle
	mu      sync.Mutex
	keys    map[string]orders.Shipment
	ids     map[uuid.UUID]string // to keys
	accepts int
	sick    error // of Apply
}

func newMemory() *memory {
	return &memory{keys: make(map[string]orders.Shipment), ids: make(map[uuid.UUID]string)}
}

func (m *memory) Accept(_ context.Context, in orders.AcceptRequest) (orders.Shipment, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepts++
	s, known := m.keys[in.Key]
	switch {
	case !known:
		s = orders.Claim(in)
	case s.Status.Free():
		s.Retry(in)
	default:
		s.Held = s.InFlight(in.At)
		return s, false, nil
	}
	m.keys[in.Key], m.ids[s.ID] = s, in.Key
	return s, true, nil
}

func (m *memory) Known(_ context.Context, _, key string, at time.Time) (orders.Shipment, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, known := m.keys[key]
	s.Held = s.InFlight(at)
	return s, known && !s.Status.Free(), nil
}

func (m *memory) Apply(_ context.Context, events []orders.Event) ([]orders.Effect, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sick != nil {
		return nil, m.sick
	}
	effects := make([]orders.Effect, len(events))
	for i, e := range events {
		a := e.(orders.Answer)
		key := m.ids[a.Shipment]
		s := m.keys[key]
		s.Answer(a)
		m.keys[key] = s
		effects[i] = orders.Effect{Shipment: s, Found: true}
	}
	return effects, nil
}

func (m *memory) setSick(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sick = err
}

// carriers has a lane for each recipient, with a window, and takes a time for each message. A
// recipient without a time hangs until the send deadline.
type carriers struct {
	orderstest.Carrier
	takes map[orders.Recipient]time.Duration
}

const fast, hung = orders.Recipient("+4790000001"), orders.Recipient("+4790000002")

func newCarriers(window int, takes time.Duration) *carriers {
	c := &carriers{takes: map[orders.Recipient]time.Duration{fast: takes}}
	c.Window = window
	c.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		if takes, ok := c.takes[m.To]; ok {
			time.Sleep(takes)
			return orders.Handover{Outcome: handover.Unknown}
		}
		<-ctx.Done()
		return orders.Handover{Outcome: handover.NotSent}
	})
	return c
}

func (c *carriers) Lane(m orders.Message) orders.Lane {
	return orders.Lane{Name: string(m.To), Window: c.Window}
}

// loaded is a service between a journal that takes no time and simulated carriers, in a synctest bubble.
type loaded struct {
	*orders.Service
	t       *testing.T
	journal *memory
	reg     *prometheus.Registry
	wg      sync.WaitGroup

	mu      sync.Mutex
	created []string // keys, in the order of their answers
	busy    []string
	waits   []time.Duration // of those created
}

func newLoad(t *testing.T, c orders.Carrier, cfg orders.Config) *loaded {
	w := &loaded{t: t, journal: newMemory(), reg: prometheus.NewRegistry()}
	if cfg.Journal == nil {
		cfg.Journal = w.journal
	}
	cfg.SMS, cfg.Registerer, cfg.Log = c, w.reg, slog.New(slog.DiscardHandler)
	w.Service = orders.NewService(cfg)
	return w
}

// place places an order on a goroutine of its own.
func (w *loaded) place(ctx context.Context, key string, to orders.Recipient) {
	w.wg.Go(func() {
		o := orderstest.SMS(key)
		o.Message.To = to
		began := time.Now()
		_, created, err := w.Place(ctx, o)
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case created:
			w.created, w.waits = append(w.created, key), append(w.waits, time.Since(began))
		case errors.Is(err, orders.ErrBusy):
			w.busy = append(w.busy, key)
		}
	})
}

func (w *loaded) count() (created, busy int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.created), len(w.busy)
}

func (w *loaded) gauge(name string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && !strings.Contains(fmt.Sprint(m.GetLabel()), "Email") {
				return m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no %s", name)
	return 0
}

// A burst that can be sent in time waits, first come, first served: nothing of it is refused.
func TestBurstWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLoad(t, newCarriers(100, 40*time.Millisecond), orders.Config{AtWork: 64})
		var keys []string
		for i := range 1000 {
			keys = append(keys, fmt.Sprintf("%04d", i))
			w.place(t.Context(), keys[i], fast)
			synctest.Wait()
		}
		w.wg.Wait()
		if created, busy := w.count(); created != 1000 || busy != 0 {
			t.Fatalf("%d created, %d refused", created, busy)
		}
		round := 0
		for i, wait := range w.waits { // answers within a round have no order
			if wait < time.Duration(round)*40*time.Millisecond {
				t.Errorf("the %dth answer came after %v", i, wait)
			}
			round = int(wait / (40 * time.Millisecond))
		}
		if slices.Max(w.waits) > 400*time.Millisecond {
			t.Errorf("the last waited for %v", slices.Max(w.waits))
		}
	})
}

// While more come than can be sent, as many are sent as can be, those that are
// sent are sent in time, and a refused one costs no commit. Afterwards none is refused.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window, takes = 80, 100 * time.Millisecond // and a quarter of 80 on the way: 1,000/s
		w := newLoad(t, newCarriers(window, takes), orders.Config{AtWork: 80})
		const offered = 2 * 20 * 1000
		for i := range offered {
			w.place(t.Context(), fmt.Sprint(i), fast)
			time.Sleep(500 * time.Microsecond)
		}
		w.wg.Wait()
		created, busy := w.count()
		if created < 19_500 || created+busy != offered {
			t.Errorf("%d created, %d refused", created, busy)
		}
		slices.Sort(w.waits)
		if p99 := w.waits[len(w.waits)*99/100]; p99 > 600*time.Millisecond {
			t.Errorf("a hundredth waited for more than %v", p99)
		}
		if w.journal.accepts != created {
			t.Errorf("%d orders were stored, of %d that were sent", w.journal.accepts, created)
		}
		for i := range 1000 {
			w.place(t.Context(), fmt.Sprint("after ", i), fast)
			time.Sleep(2 * time.Millisecond)
		}
		w.wg.Wait()
		if after, still := w.count(); after != created+1000 || still != busy {
			t.Errorf("afterwards, %d of 1000 created, %d refused", after-created, still-busy)
		}
		if n := w.gauge("straks_orders_queue_length") + w.gauge("straks_orders_at_work"); n != 0 || w.InFlight() != 0 {
			t.Errorf("%v orders are still counted, %d in flight", n, w.InFlight())
		}
	})
}

// A carrier that hangs keeps no order from another. Its own orders wait no longer than half a second,
// and those that come once that is known are refused at once.
func TestCarrierThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window, most = 10, 10 + 8/4
		w := newLoad(t, newCarriers(window, time.Millisecond), orders.Config{AtWork: 8, SendDeadline: time.Hour})
		for i := range 1000 {
			w.place(t.Context(), fmt.Sprint("hung ", i), hung)
			w.place(t.Context(), fmt.Sprint("fast ", i), fast)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if created, busy := w.count(); created != 1000 || busy < 400 {
			t.Errorf("%d created, %d refused", created, busy)
		}
		if slices.Max(w.waits) > time.Millisecond {
			t.Errorf("beside a carrier that hangs one took %v", slices.Max(w.waits))
		}
		time.Sleep(time.Second)
		if _, busy := w.count(); busy != 1000-most {
			t.Errorf("%d refused, want all but the %d that are with their carrier", busy, most)
		}
		began := time.Now()
		if _, _, err := w.Place(t.Context(), orders.Order{Organisation: "ttd", Key: "one more", TTL: time.Minute,
			Message: orders.Message{Channel: orders.SMS, To: hung}}); !errors.Is(err, orders.ErrBusy) || time.Since(began) > 0 {
			t.Errorf("one more: %v, after %v", err, time.Since(began))
		}
		time.Sleep(time.Hour)
		w.wg.Wait()
	})
}

// Repeats of a key that is known, or in flight, are never refused.
func TestRepeatsInAnOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarriers(1, time.Millisecond)
		w := newLoad(t, c, orders.Config{AtWork: 4, SendDeadline: 10 * time.Second})
		known, _, err := w.Place(t.Context(), orderstest.SMS("known"))
		if err == nil { // whose lane is a third one, that hangs
			t.Fatal("sent")
		}
		first := orderstest.SMS("known")
		first.Message.To = fast
		if known, _, err = w.Place(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 { // more than the carrier takes; the first is with it
			w.place(t.Context(), fmt.Sprint(i), hung)
			synctest.Wait()
		}
		first.Message.To = hung
		accepts := w.journal.accepts
		began := time.Now()
		if s, created, err := w.Place(t.Context(), first); err != nil || created || s.ID != known.ID || time.Since(began) > 0 {
			t.Errorf("known: %+v, %v, %v after %v", s, created, err, time.Since(began))
		}
		if w.journal.accepts != accepts {
			t.Error("the answer to a known key cost a commit")
		}
		joined := make(chan error, 1)
		go func() {
			o := orderstest.SMS("0")
			o.Message.To = hung
			_, _, err := w.Place(t.Context(), o)
			joined <- err
		}()
		time.Sleep(5 * time.Second) // the rest is refused
		select {
		case err := <-joined:
			t.Fatalf("in flight: %v", err)
		default:
		}
		if err := <-joined; !errors.Is(err, orders.ErrNotSent) {
			t.Errorf("in flight: %v", err)
		}
		w.wg.Wait()
	})
}

// An order counts until its work ends, though its client has gone. One that waits is dropped
// then, unless another client waits for it.
func TestClientsThatHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLoad(t, newCarriers(3, 200*time.Millisecond), orders.Config{AtWork: 4}) // four at a time
		for range 10 {
			ctx, leave := context.WithCancel(t.Context())
			for i := range 8 {
				w.place(ctx, fmt.Sprint(time.Now(), i), fast)
			}
			synctest.Wait()
			if n := w.InFlight(); n != 8 {
				t.Errorf("%d in flight, want 8", n)
			}
			leave()
			synctest.Wait()
			last := orderstest.SMS(fmt.Sprint("last ", time.Now()))
			last.Message.To = fast
			began := time.Now()
			if _, created, err := w.Place(t.Context(), last); !created || err != nil || time.Since(began) != 400*time.Millisecond {
				t.Errorf("created %v, %v, after %v", created, err, time.Since(began))
			}
		}
		synctest.Wait()
		if n := len(w.journal.keys); n != 10*(4+1) || w.InFlight() != 0 {
			t.Errorf("%d stored, %d in flight", n, w.InFlight())
		}
	})
}

// An order that its client leaves while it waits is sent for another client with the same key.
func TestClientThatJoinsAWaitingOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLoad(t, newCarriers(1, 200*time.Millisecond), orders.Config{AtWork: 1})
		w.place(t.Context(), "before", fast)
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		w.place(ctx, "k", fast)
		synctest.Wait()
		o := orderstest.SMS("k")
		o.Message.To = fast
		joined := make(chan error)
		go func() {
			_, _, err := w.Place(t.Context(), o)
			joined <- err
		}()
		synctest.Wait()
		leave()
		if err := <-joined; err != nil {
			t.Error(err)
		}
		w.wg.Wait()
	})
}

// No order waits longer than half a second, and a queue holds no more octets than it may.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLoad(t, newCarriers(1, time.Minute), orders.Config{AtWork: 1, SendDeadline: time.Hour})
		w.place(t.Context(), "before", fast)
		synctest.Wait()
		large := strings.Repeat("x", 1<<20)
		began := time.Now()
		refused := make(chan time.Duration, 40)
		for i := range cap(refused) {
			go func() {
				o := orderstest.SMS(fmt.Sprint(i))
				o.Message.To, o.Message.Body = fast, large
				if _, _, err := w.Place(t.Context(), o); errors.Is(err, orders.ErrBusy) {
					refused <- time.Since(began)
				}
			}()
		}
		synctest.Wait()
		if n := len(refused); n != cap(refused)-31 { // 32 MiB, each with some octets more
			t.Errorf("%d refused at once", n)
		}
		for i := range cap(refused) {
			if after := <-refused; after != 0 && (i < cap(refused)-31 || after != 500*time.Millisecond) {
				t.Errorf("refused after %v", after)
			}
		}
		w.wg.Wait()
	})
}

// An order whose outcome can't be stored is not at work: it keeps no other from being sent
// until there are MaxInFlight.
func TestOutcomesThatWaitForTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLoad(t, newCarriers(10, time.Millisecond), orders.Config{AtWork: 4, MaxInFlight: 9})
		w.journal.setSick(orders.ErrUnavailable)
		for i := range 12 {
			w.place(t.Context(), fmt.Sprint(i), fast)
			time.Sleep(time.Second)
		}
		if created, busy := w.count(); created != 9 || busy != 3 {
			t.Errorf("%d created, %d refused, want 9 and 3", created, busy)
		}
		w.journal.setSick(nil)
		time.Sleep(time.Minute)
		w.place(t.Context(), "after", fast)
		w.wg.Wait()
		if created, _ := w.count(); created != 10 || w.InFlight() != 0 {
			t.Errorf("%d created, %d in flight", created, w.InFlight())
		}
	})
}

// Each reason to refuse an order is counted, and so is the time for which orders waited.
func TestAdmissionMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLoad(t, newCarriers(1, 50*time.Millisecond), orders.Config{AtWork: 1})
		for i := range 1000 {
			w.place(t.Context(), fmt.Sprint(i), fast)
			time.Sleep(5 * time.Millisecond)
		}
		if n := w.gauge("straks_orders_queue_length"); n == 0 {
			t.Error("no queue")
		}
		if n := w.gauge("straks_orders_at_work_limit"); n != 1 {
			t.Errorf("the limit is %v", n)
		}
		w.wg.Wait()
		got := counted(t, w.reg, "straks_orders_refused_total", "channel", "reason")
		if _, busy := w.count(); got["SMS overload"] == 0 || got["SMS overload"]+got["SMS timeout"] != float64(busy) {
			t.Errorf("counted %v, refused %d", got, busy)
		}
	})
}
