package orders_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/orders"
	"straks/orders/orderstest"
)

func reports(id string, status orders.Status) orders.Report {
	return orders.Report{Carrier: "telco", Refs: []string{id}, At: time.Now().UTC(), Status: status}
}

func delivered(id string) orders.Report { return reports(id, orders.SMSDelivered) }

func (w *world) receive(t *testing.T, r orders.Report) error {
	t.Helper()
	done := make(chan error, 1)
	if err := w.Receive(r, func(err error) { done <- err }); err != nil {
		return err
	}
	return <-done
}

func TestReceiptIsDoneWhenStored(t *testing.T) {
	w := newWorld(t, orders.Config{})
	s, _, err := w.Place(t.Context(), orderstest.SMS("k"))
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

// While nothing can be stored, the SMSC may repeat receipts at any rate. The log, often
// on the same full disk, must not grow with them.
func TestReceiptsThatCannotBeStoredFillNoLog(t *testing.T) {
	var log counter
	w := newWorld(t, orders.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	w.journal.applyFails.Store(true)
	for range 100 {
		if err := w.receive(t, delivered(uuid.NewString())); !errors.Is(err, orders.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n := log.lines.Load(); n < 1 || n > 5 {
		t.Errorf("100 failures made %d lines", n)
	}
}

// counter counts the lines of a log.
type counter struct{ lines atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.lines.Add(1)
	return len(p), nil
}

func TestReceiptThatCannotBeStoredSpoilsNoOther(t *testing.T) {
	w := newWorld(t, orders.Config{})
	bad := "poison"
	w.journal.poison.Store(bad)
	const n = 500
	refused := make(chan bool, n)
	var send func(id string)
	send = func(id string) {
		if err := w.Receive(delivered(id), func(err error) {
			if errors.Is(err, orders.ErrUnavailable) { // the machine is slow: the SMSC sends it again
				send(id)
				return
			}
			refused <- err != nil
		}); err != nil {
			t.Error(err)
		}
	}
	for i := range n {
		id := bad
		if i%100 != 50 {
			id = uuid.NewString()
		}
		send(id)
	}
	count := 0
	for range n {
		if <-refused {
			count++
		}
	}
	if count != 5 {
		t.Errorf("%d receipts were not stored, 5 can't be", count)
	}
}

func TestReceiptBeforeItsAnswer(t *testing.T) {
	w := newWorld(t, orders.Config{})
	w.network.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		if err := w.receive(t, delivered(m.Shipment.String())); err != nil {
			t.Error(err)
		}
		return orderstest.Accepts(ctx, m)
	})
	s, _, err := w.Place(t.Context(), orderstest.SMS("k"))
	if err != nil || s.Status != orders.SMSDelivered {
		t.Errorf("%v, %v", s.Status, err)
	}
}

// stuck is a journal whose every Apply fails after a second, whatever its context.
type stuck struct {
	idle
	calls, inside atomic.Int32
}

func (j *stuck) Apply(context.Context, []orders.Event) ([]orders.Effect, error) {
	j.calls.Add(1)
	j.inside.Add(1)
	defer j.inside.Add(-1)
	time.Sleep(time.Second)
	return nil, orders.ErrUnavailable
}

// When Run has ended, no call to the journal is under way: it is closed next.
func TestRunJoinsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &stuck{}
		s := orders.NewService(orders.Config{Journal: j, Log: slog.New(slog.DiscardHandler)})
		if err := s.Late(orders.Answer{Shipment: uuid.New()}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // during the second attempt
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if j.calls.Load() < 2 || j.inside.Load() != 0 {
			t.Errorf("%d calls, %d of them still under way", j.calls.Load(), j.inside.Load())
		}
	})
}

// A late answer that finds the inbox full is lost: it is not counted with the receipts
// that are sent again.
func TestTurnedAwayIsWhatComesAgain(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := orders.NewService(orders.Config{Registerer: reg, Log: slog.New(slog.DiscardHandler)}) // its inbox is not read: Run does not run
	turnedAway := func() float64 {
		return counted(t, reg, "straks_receipts_turned_away_total", "", "")[" "]
	}
	var err error
	for range 100_000 {
		if err = s.Late(orders.Answer{Carrier: "telco"}); err != nil {
			break
		}
	}
	if !errors.Is(err, orders.ErrBusy) || turnedAway() != 0 {
		t.Errorf("%v, %v counted", err, turnedAway())
	}
	err = s.Receive(delivered("1"), func(error) {})
	if !errors.Is(err, orders.ErrBusy) || turnedAway() != 1 {
		t.Errorf("%v, %v counted", err, turnedAway())
	}
	other := delivered("1")
	other.Carrier = "other"
	if err := s.Receive(other, func(error) {}); err != nil {
		t.Errorf("another SMSC has no room: %v", err)
	}
}

// held is a journal that holds back everything of one carrier.
type held struct {
	orders.Journal
	carrier string
	release chan struct{}
	most    atomic.Int32 // facts of the carrier in one call
}

func (j *held) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	n := int32(0)
	for _, e := range events {
		if r, ok := e.(orders.Report); ok && r.Carrier == j.carrier {
			n++
		}
	}
	if n > 0 {
		<-j.release
	}
	if n > j.most.Load() {
		j.most.Store(n)
	}
	return j.Journal.Apply(context.Background(), events)
}

// However many receipts of one SMSC wait for the journal, another's are stored.
func TestFloodTakesNotAllReceivers(t *testing.T) {
	w, run := idleWorld(t, orders.Config{})
	j := &held{Journal: w.journal.Journal, carrier: "flood", release: make(chan struct{})}
	w.journal.Journal = j
	run()
	var flood sync.WaitGroup
	receive := func(carrier string, n int, done func(error)) {
		for i := range n {
			r := delivered(fmt.Sprint("unknown", i))
			r.Carrier = carrier
			if err := w.Receive(r, done); err != nil {
				t.Fatal(err)
			}
		}
	}
	flood.Add(2000)
	receive("flood", 2000, func(error) { flood.Done() })
	for range 5 {
		stored := make(chan error)
		receive("other", 1, func(err error) { stored <- err })
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	close(j.release)
	flood.Wait()
	j.most.Store(0)
	flood.Add(2000) // by now it is known that they match nothing
	receive("flood", 2000, func(error) { flood.Done() })
	flood.Wait()
	if n := j.most.Load(); n > 100 {
		t.Errorf("%d receipts that match nothing are stored at a time", n)
	}
}

// slowFirst is a journal that holds back the first change of a block list until a later one is stored.
type slowFirst struct {
	orders.Journal
	first atomic.Bool
	once  sync.Once
	later chan struct{}
}

func (j *slowFirst) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	if j.first.CompareAndSwap(false, true) {
		<-j.later
		return j.Journal.Apply(ctx, events)
	}
	defer j.once.Do(func() { close(j.later) })
	return j.Journal.Apply(ctx, events)
}

// A person who asks for messages again after stopping them gets them, whichever of the two
// changes the journal stores first.
func TestLaterBlockCounts(t *testing.T) {
	w, run := idleWorld(t, orders.Config{})
	w.journal.Journal = &slowFirst{Journal: w.journal.Journal, later: make(chan struct{})}
	run()
	now, stored := time.Now(), make(chan error)
	for i, off := range []bool{false, true} {
		b := orders.Block{Organisation: "ttd", Channel: orders.SMS, Recipient: "+4799999999", Off: off, At: now.Add(time.Duration(i) * time.Second)}
		if err := w.Block(b, func(err error) { stored <- err }); err != nil {
			t.Fatal(err)
		}
		if !off {
			eventually.True(t, "the first to be on its way", w.journal.Journal.(*slowFirst).first.Load)
		}
	}
	for range 2 {
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	if s, _, err := w.Place(t.Context(), orderstest.SMS("k")); err != nil || s.Status != orders.SMSAccepted {
		t.Errorf("%v, %v", s.Status, err)
	}
}
