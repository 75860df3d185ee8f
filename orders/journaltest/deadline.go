package journaltest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// due asks for everything that is due, as its keeper does.
func (f *fixture) due() (all []uuid.UUID, next time.Time) {
	f.Helper()
	for range 1000 {
		due, next, err := f.j.Due(ctx(), f.now, 500)
		if err != nil {
			f.Fatalf("due: %v", err)
		}
		if all = append(all, due...); len(due) > 0 || next.IsZero() || next.After(f.now) {
			return all, next
		}
	}
	f.Fatal("Due asks to be asked again, for ever")
	return nil, time.Time{}
}

// expire expires what is due, and returns how many.
func (f *fixture) expire() (n int) {
	f.Helper()
	for {
		due, _ := f.due()
		if len(due) == 0 {
			return n
		}
		for _, id := range due {
			f.apply(orders.Expiry{Shipment: id, At: f.now})
		}
		n += len(due)
	}
}

func deadlineDue(f *fixture) {
	if due, next := f.due(); len(due) > 0 || !next.IsZero() {
		f.Fatalf("an empty journal: %v, %v", due, next)
	}
	sending := f.sent("sending")
	taken := f.taken("taken", "m1")
	if due, next := f.due(); len(due) > 0 || next.After(sending.Deadline) || !next.After(f.now) {
		f.Fatalf("before the deadline: %v, %v", due, next)
	}
	f.pass(5*time.Minute - time.Microsecond)
	if due, _ := f.due(); len(due) > 0 {
		f.Fatal("due before the deadline")
	}
	f.reopen()
	f.pass(time.Microsecond)
	if due, _, _ := f.j.Due(ctx(), f.now, 1); len(due) != 1 {
		f.Fatalf("limit 1: %v", due)
	}
	due, _ := f.due()
	if len(due) != 2 || !slices.Contains(due, sending.ID) || !slices.Contains(due, taken.ID) {
		f.Fatalf("due %v", due)
	}
	if n := f.expire(); n != 2 {
		f.Fatalf("%d expired", n)
	}
	f.status(sending.ID, orders.SMSFailedTTL)
	f.wantFeed(orders.SMSAccepted, orders.SMSFailedTTL, orders.SMSFailedTTL)
}

func deadlineSettled(f *fixture) {
	s := f.taken("k", "m1")
	f.apply(f.report(orders.SMSDelivered, "m1"))
	free := f.sent("free")
	f.apply(f.answer(free, handover.NotSent))
	f.pass(time.Hour)
	if n := f.expire(); n != 0 {
		f.Fatalf("%d settled shipments expired", n)
	}
	f.apply(orders.Expiry{Shipment: s.ID, At: f.now})
	f.status(s.ID, orders.SMSDelivered)
	f.sent("free") // claimed again: its deadline counts from now
	f.pass(4 * time.Minute)
	if n := f.expire(); n != 0 {
		f.Fatal("expired by the deadline of an older claim")
	}
	f.pass(time.Minute)
	if n := f.expire(); n != 1 {
		f.Fatalf("%d expired", n)
	}
}

// deadlineCorrection has an SMSC deliver its receipts hours late, as after an outage: they count,
// though they name no recipient.
func deadlineCorrection(f *fixture) {
	a, b := f.taken("a", "m1"), f.taken("b", "m2")
	f.pass(5 * time.Hour)
	f.expire()
	f.apply(f.report(orders.SMSDelivered, "m1"))
	f.apply(f.report(orders.SMSFailedUndelivered, "m2"))
	f.status(a.ID, orders.SMSDelivered)
	f.status(b.ID, orders.SMSFailedTTL)
	f.wantFeed(orders.SMSAccepted, orders.SMSAccepted, orders.SMSFailedTTL, orders.SMSFailedTTL, orders.SMSDelivered)
}

// deadlineNearer has orders come in with deadlines before ones that Due has
// been asked about.
func deadlineNearer(f *fixture) {
	for i := range 5 {
		in := f.acceptRequest(fmt.Sprint(i))
		in.TTL = time.Duration(10-i) * time.Minute
		f.accept(in)
		f.due()
	}
	f.pass(6 * time.Minute)
	if n := f.expire(); n != 1 {
		f.Fatalf("%d expired, want the last", n)
	}
	back := f.acceptRequest("clock went back")
	back.At = f.now.Add(-2 * time.Minute)
	back.TTL = time.Minute
	f.accept(back)
	if n := f.expire(); n != 1 {
		f.Fatalf("%d expired, want the one that is due already", n)
	}
}

const retention = 90 * 24 * time.Hour

// sweep sweeps until nothing more waits.
func (f *fixture) sweep() (sum orders.Swept) {
	f.Helper()
	return f.sweepOf(orders.Retention{All: retention})
}

func (f *fixture) sweepOf(r orders.Retention) (sum orders.Swept) {
	f.Helper()
	for range 10_000 {
		s, err := f.j.Sweep(ctx(), f.now, r, 10)
		if err != nil {
			f.Fatalf("sweep: %v", err)
		}
		f.check()
		sum.Shipments += s.Shipments
		sum.Parked += s.Parked
		if !s.More {
			return sum
		}
	}
	f.Fatal("sweep never ends")
	return sum
}

func sweepRetention(f *fixture) {
	var old []orders.Shipment
	for i := range 30 {
		ref := fmt.Sprint("m", i)
		old = append(old, f.taken(ref, ref))
		f.apply(f.report(orders.SMSDelivered, ref))
	}
	f.pass(retention / 2)
	young := f.taken("young", "y")
	f.apply(f.report(orders.SMSDelivered, "y"))
	f.pass(retention/2 - time.Hour)
	if s := f.sweep(); s.Shipments != 0 {
		f.Fatalf("swept %d shipments before their time", s.Shipments)
	}
	f.pass(2 * time.Hour)
	if s := f.sweep(); s.Shipments != len(old) {
		f.Fatalf("swept %d shipments, want %d", s.Shipments, len(old))
	}
	if _, err := f.j.Shipment(ctx(), org, old[0].ID); !errors.Is(err, orders.ErrNotFound) {
		f.Fatalf("after the retention: %v", err)
	}
	f.status(young.ID, orders.SMSDelivered)
	page, _ := f.j.Feed(ctx(), orders.FeedQuery{Organisation: org, Limit: 500})
	if len(page) != 2 || page[0].Seq != 61 || page[1].Seq != 62 {
		f.Fatalf("feed after the sweep: %d entries", len(page))
	}
	again := f.sent("m0") // the key is as new
	if again.ID == old[0].ID {
		f.Fatal("a key outlived its retention")
	}
	f.apply(f.answer(again, handover.Accepted, "m0"))
	if page, _ = f.j.Feed(ctx(), orders.FeedQuery{Organisation: org, Seq: 62, Limit: 500}); len(page) != 1 || page[0].Seq != 63 {
		f.Fatal("sequence numbers do not go on after a sweep")
	}
}

func sweepParked(f *fixture) {
	f.apply(f.report(orders.SMSDelivered, "m1", "u1"))
	f.pass(23 * time.Hour)
	f.apply(f.report(orders.SMSDelivered, "m2", "u2"))
	if s := f.sweep(); s.Parked != 0 {
		f.Fatal("a parked report left too early")
	}
	f.pass(2 * time.Hour)
	if s := f.sweep(); s.Parked != 1 {
		f.Fatalf("%d parked reports left", s.Parked)
	}
	if s := f.sweep(); s.Parked != 0 {
		f.Fatal("a parked report left twice")
	}
}

func sweepUnsettled(f *fixture) {
	s := f.sent("k")
	f.pass(retention + time.Hour)
	if swept := f.sweep(); swept.Shipments != 0 {
		f.Fatal("an unsettled shipment was swept")
	}
	f.expire()
	f.status(s.ID, orders.SMSFailedTTL)
	if swept := f.sweep(); swept.Shipments != 1 {
		f.Fatal("a settled shipment was not swept")
	}
}

func restart(f *fixture) {
	sending, taken := f.sent("sending"), f.taken("taken", "m1")
	done := f.taken("done", "m2")
	f.apply(f.report(orders.SMSDelivered, "m2"))
	before := f.feed(org)
	f.reopen()
	f.check()
	f.status(sending.ID, orders.SMSSending)
	f.status(taken.ID, orders.SMSAccepted)
	f.status(done.ID, orders.SMSDelivered)
	f.wantFeed(before...)
	if _, claimed := f.accept(f.acceptRequest("sending")); claimed {
		f.Fatal("a key was forgotten")
	}
	f.apply(f.report(orders.SMSDelivered, "m1"))
	f.wantFeed(append(before, orders.SMSDelivered)...)
	if err := f.j.Close(); err != nil {
		f.Fatal(err)
	}
	if _, _, err := f.j.Accept(ctx(), f.acceptRequest("closed")); !errors.Is(err, orders.ErrUnavailable) {
		f.Fatalf("after Close: %v", err)
	}
	f.j = f.engine.Open(f.T, f.dir)
}

// deadlineInFlight has a deadline pass while the order is in flight: its answer may still free the
// key, so the shipment is not due before its claim has ended, and holds up no other.
func deadlineInFlight(f *fixture) {
	flying := f.acceptRequest("flying")
	flying.TTL, flying.ClaimFor = time.Minute, 3*time.Minute
	f.accept(flying)
	freed := flying
	freed.Key, freed.Shipment, freed.Claim = "freed", f.id(), uuid.New()
	free, _ := f.accept(freed)
	taken := f.acceptRequest("taken")
	taken.TTL = time.Minute + time.Second
	s, _ := f.accept(taken)
	f.apply(f.answer(s, handover.Accepted, "m1"))

	f.pass(2 * time.Minute)
	due, next := f.due()
	if len(due) != 1 || due[0] != taken.Shipment || !next.After(f.now) || next.After(flying.At.Add(flying.ClaimFor)) {
		f.Fatalf("due %v, next at %v", due, next)
	}
	f.apply(orders.Expiry{Shipment: flying.Shipment, At: f.now})
	f.status(flying.Shipment, orders.SMSSending)
	f.apply(orders.Expiry{Shipment: taken.Shipment, At: f.now})
	f.apply(f.answer(free, handover.NotSent))
	f.status(free.ID, orders.SMSNew)
	if due, next = f.due(); len(due) != 0 || !next.Equal(flying.At.Add(flying.ClaimFor)) {
		f.Fatalf("due %v, next at %v, want the end of the claim", due, next)
	}
	f.reopen()
	f.pass(time.Minute)
	if n := f.expire(); n != 1 {
		f.Fatalf("%d expired", n)
	}
	f.status(flying.Shipment, orders.SMSFailedTTL)
	f.wantFeed(orders.SMSAccepted, orders.SMSFailedTTL, orders.SMSFailedTTL)
}
