package orders_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/dlr"
	"straks/internal/logtest"
	"straks/orders"
)

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

// While nothing can be stored the SMSC sends again as fast as it likes; the log,
// often on the same full disk, must not grow with that.
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

// counter is a log whose lines are counted.
type counter struct{ lines atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.lines.Add(1)
	return len(p), nil
}

func TestReceiptThatCannotBeStoredSpoilsNoOther(t *testing.T) {
	w := newWorld(t, orders.Config{})
	bad := "poison"
	w.journal.poison.Store(dlr.Dialect{}.ReceiptRef(bad))
	const n = 500
	failed := make(chan bool, n)
	for i := range n {
		id := bad
		if i%100 != 50 {
			id = uuid.NewString()
		}
		err := w.Receive(orders.Arrival{Carrier: "telco", Receipt: delivered(id), At: time.Now().UTC(),
			Done: func(err error) { failed <- err != nil }})
		if err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for range n {
		if <-failed {
			count++
		}
	}
	if count != 5 {
		t.Errorf("%d receipts were not stored, 5 can't be", count)
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
	for _, r := range []dlr.Receipt{{ID: "1"}, {State: dlr.Delivered}, {ID: "1", Cause: dlr.CauseBarred, Intermediate: true}} {
		if err := w.receive(t, r); !errors.Is(err, orders.ErrUnreadable) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// What is acknowledged and lost is told, with what may be shown of the word that nobody knows, and not for each.
func TestUnreadableReceiptIsTold(t *testing.T) {
	var log logtest.Log
	w := newWorld(t, orders.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	for range 100 {
		r, _ := dlr.Parse(dlr.Deliver{ESMClass: 4, Source: "4799999999", Text: []byte("id:42 stat:QUUX err:013 text:hemmelig")})
		if err := w.receive(t, r); !errors.Is(err, orders.ErrUnreadable) {
			t.Fatal(err)
		}
	}
	told := log.String()
	if n := strings.Count(told, `"smsc":"telco","id":true,"state":"QU**","error_code":"013"`); n < 1 || n > 5 {
		t.Errorf("%d lines: %s", n, told)
	}
	if strings.Contains(told, "hemmelig") || strings.Contains(told, "4799999999") {
		t.Error(told)
	}
}

// A state that nobody knows is no loss where the error code is known.
func TestErrorCodeDecidesWhereTheStateIsUnknown(t *testing.T) {
	table, err := dlr.NewErrorTable(map[string]string{"13": "barred", "27": "absent"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want orders.Status
	}{
		{"stat:QUUX err:013", orders.SMSFailedBarredReceiver},
		{"stat:QUUX err:027", orders.SMSFailedUndelivered},
		{"err:013", orders.SMSFailedBarredReceiver},
		{"stat:DELIVRD err:013", orders.SMSDelivered},
		{"stat:ENROUTE err:013", orders.SMSAccepted},
		{"stat:BARRED err:000", orders.SMSFailedBarredReceiver},
	} {
		w := newWorld(t, orders.Config{Dialects: map[string]dlr.Dialect{"telco": {Errors: table}}})
		s, _, err := w.Place(t.Context(), order("k"))
		if err != nil {
			t.Fatal(err)
		}
		r, _ := dlr.Parse(dlr.Deliver{ESMClass: 4, Text: []byte("id:" + s.ID.String() + " " + c.text)})
		if err := w.receive(t, r); err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if got := w.status(t, s.ID); got != c.want {
			t.Errorf("%s makes %v, want %v", c.text, got, c.want)
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

// stuck is a journal that fails every Apply after a while, whatever its context says.
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

// When Run has ended, nobody is in the journal any more: it is closed next.
func TestRunJoinsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &stuck{}
		s := orders.NewService(orders.Config{Journal: j, Log: slog.New(slog.DiscardHandler)})
		if err := s.Late(orders.Answer{Shipment: uuid.New()}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // in the midst of the second try
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if j.calls.Load() < 2 || j.inside.Load() != 0 {
			t.Errorf("%d calls, %d of them still under way", j.calls.Load(), j.inside.Load())
		}
	})
}

// A late answer that finds no room is lost, and not counted among what comes again.
func TestTurnedAwayIsWhatComesAgain(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := orders.NewService(orders.Config{Registerer: reg, Log: slog.New(slog.DiscardHandler)}) // nobody takes from its inbox
	turnedAway := func() float64 {
		return counted(t, reg, "straks_receipts_turned_away_total", "", "")[" "]
	}
	var err error
	for range 100_000 {
		if err = s.Late(orders.Answer{}); err != nil {
			break
		}
	}
	if !errors.Is(err, orders.ErrBusy) || turnedAway() != 0 {
		t.Errorf("%v, %v counted", err, turnedAway())
	}
	err = s.Receive(orders.Arrival{Carrier: "telco", Receipt: delivered("1"), Done: func(error) {}})
	if !errors.Is(err, orders.ErrBusy) || turnedAway() != 1 {
		t.Errorf("%v, %v counted", err, turnedAway())
	}
}

// lists is a journal that takes its time for the first change of a block list.
type lists struct {
	idle
	mu     sync.Mutex
	calls  int
	stored []bool // those that block
}

func (j *lists) Apply(_ context.Context, events []orders.Event) ([]orders.Effect, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.calls++; j.calls == 1 {
		j.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
		j.mu.Lock()
	}
	for _, e := range events {
		j.stored = append(j.stored, !e.(orders.Block).Off)
	}
	return make([]orders.Effect, len(events)), nil
}

// Who asks for messages again after having stopped them gets them, whichever of the two the
// journal takes longer for.
func TestBlocksKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &lists{}
		s := orders.NewService(orders.Config{Journal: j, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { s.Run(ctx) })
		for _, off := range []bool{false, true} {
			if err := s.Block(orders.Block{Organisation: "ttd", Channel: orders.SMS, Recipient: "+4799999999", Off: off}, func(error) {}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until it is on its way into the journal, or waits for the other
		}
		cancel()
		run.Wait()
		if want := []bool{true, false}; !slices.Equal(j.stored, want) {
			t.Errorf("blocked %v, want %v", j.stored, want)
		}
	})
}
