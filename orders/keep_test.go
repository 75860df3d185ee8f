package orders_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

// An order whose caller was told that its key is free is not expired while that is
// still to be stored, however long the journal takes for it: as Failed_TTL it would be
// final, and the retry be answered with that instead of being sent. So it is with a key
// that was free before, whose shipment the order does not know yet.
func TestDeadlineWaitsForTheOutcome(t *testing.T) {
	for name, free := range map[string]bool{"new key": false, "free key": true} {
		t.Run(name, func(t *testing.T) {
			w, run := idleWorld(t, orders.Config{})
			late := orderstest.SMS("late")
			late.TTL = time.Millisecond
			w.network.Sends(outcome(handover.Unknown))
			other, _, err := w.Place(t.Context(), late)
			if err != nil {
				t.Fatal(err)
			}
			late.Key = "k"
			if free {
				w.network.Sends(outcome(handover.NotSent))
				if _, _, err := w.Place(t.Context(), late); !errors.Is(err, orders.ErrNotSent) {
					t.Fatal(err)
				}
			}
			w.network.Sends(orderstest.Accepts)
			w.journal.acceptKeeps.Store(true)
			if _, _, err := w.Place(t.Context(), late); !errors.Is(err, orders.ErrUnavailable) {
				t.Fatal(err)
			}
			passed := time.Now().Add(late.TTL)
			eventually.True(t, "the deadlines to pass", func() bool { return time.Now().After(passed) })
			run()
			eventually.True(t, "the other to expire", func() bool { return w.status(t, other.ID) == orders.SMSFailedTTL })
			w.journal.acceptKeeps.Store(false)
			eventually.True(t, "the key to be free", func() bool { return w.InFlight() == 0 })
			s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
			if err != nil || !created || s.Status != orders.SMSAccepted {
				t.Errorf("retry: %v, %v, %v", s.Status, created, err)
			}
		})
	}
}

// The answer of an order counts, though the journal could not store it until long after the order's deadline.
func TestAnswerAfterTheDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		outcome handover.Outcome
		created bool // by the repeat
	}{
		"accepted": {handover.Accepted, false},
		"not sent": {handover.NotSent, true},
	} {
		t.Run(name, func(t *testing.T) {
			var passed atomic.Int64
			w, run := idleWorld(t, orders.Config{Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }})
			w.network.Sends(outcome(handover.Unknown))
			other, _, err := w.Place(t.Context(), orderstest.SMS("other"))
			if err != nil {
				t.Fatal(err)
			}
			w.journal.answerFails.Store(true)
			w.network.Sends(orderstest.Ends(orders.Handover{Outcome: c.outcome, Total: 1, Parts: []orders.PartAnswer{{Refs: []string{"m"}, Taken: true}}}))
			if _, _, err := w.Place(t.Context(), orderstest.SMS("k")); (err != nil) != c.created {
				t.Fatal(err)
			}
			w.network.Sends(orderstest.Accepts)
			passed.Store(int64(time.Hour))
			run()
			eventually.True(t, "the other to expire", func() bool { return w.status(t, other.ID) == orders.SMSFailedTTL })
			w.journal.answerFails.Store(false)
			eventually.True(t, "the order to land", func() bool { return w.InFlight() == 0 })
			s, created, err := w.Place(t.Context(), orderstest.SMS("k"))
			if err != nil || created != c.created || s.Status != orders.SMSAccepted {
				t.Errorf("%+v, %v, %v", s, created, err)
			}
		})
	}
}

// A deadline that can't be stored keeps no other from being kept.
func TestBadDeadline(t *testing.T) {
	w, run := idleWorld(t, orders.Config{})
	w.network.Sends(outcome(handover.Unknown))
	var placed []orders.Shipment
	for _, key := range []string{"a", "bad", "b"} {
		o := orderstest.SMS(key)
		o.TTL = time.Millisecond
		s, _, err := w.Place(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		placed = append(placed, s)
	}
	w.journal.poison.Store(placed[1].ID)
	eventually.True(t, "the deadlines to pass", func() bool { return time.Now().After(placed[2].Deadline) })
	run()
	for _, s := range []orders.Shipment{placed[0], placed[2]} {
		eventually.True(t, "the others to expire", func() bool { return w.status(t, s.ID) == orders.SMSFailedTTL })
	}
	if got := w.status(t, placed[1].ID); got != orders.SMSSending {
		t.Errorf("the bad one: %v", got)
	}
}
