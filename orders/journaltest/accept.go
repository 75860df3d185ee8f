package journaltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

func acceptStored(f *fixture) {
	in := f.acceptRequest("k")
	got, claimed := f.accept(in)
	want := orders.Claim(in)
	if !claimed || !reflect.DeepEqual(got, want) {
		f.Fatalf("claimed %v, %+v, want %+v", claimed, got, want)
	}
	if stored := f.status(in.Shipment, orders.SMSSending); !reflect.DeepEqual(stored, want) {
		f.Fatalf("stored %+v, want %+v", stored, want)
	}
	f.wantFeed()
	if _, err := f.j.Shipment(ctx(), "other", in.Shipment); !errors.Is(err, orders.ErrNotFound) {
		f.Fatalf("another organisation's look-up: %v", err)
	}
	if _, err := f.j.Shipment(ctx(), org, f.id()); !errors.Is(err, orders.ErrNotFound) {
		f.Fatalf("look-up of nothing: %v", err)
	}
}

func acceptRepeated(f *fixture) {
	in := f.acceptRequest("k")
	first, _ := f.accept(in)
	again, claimed := f.accept(in)
	if !claimed || !reflect.DeepEqual(first, again) {
		f.Fatalf("a repeated call: claimed %v, %+v, first %+v", claimed, again, first)
	}
}

func acceptKnownKey(f *fixture) {
	first := f.sent("k")
	f.pass(80 * 24 * time.Hour)
	other := f.acceptRequest("k")
	other.Recipient, other.Channel = "a@example.org", orders.Email
	again, claimed := f.accept(other)
	if claimed || !reflect.DeepEqual(first, again) {
		f.Fatalf("claimed %v, %+v, first %+v", claimed, again, first)
	}
}

// acceptKnown asks for a key in each state that it has.
func acceptKnown(f *fixture) {
	known := func(organisation, key string, want orders.Shipment) {
		f.Helper()
		got, ok, err := f.j.Known(ctx(), organisation, key, f.now.Add(claim))
		if err != nil || ok != (want.ID != uuid.Nil) || !reflect.DeepEqual(got, want) {
			f.Fatalf("%s/%s known: %v, %v, %+v, want %+v", organisation, key, ok, err, got, want)
		}
	}
	none := orders.Shipment{}
	known(org, "k", none)
	first := f.sent("k")
	known(org, "k", first)
	known("other", "k", none)
	known(org, "", none)
	f.reopen()
	known(org, "k", first)
	f.apply(f.answer(first, handover.NotSent))
	known(org, "k", none)
	second := f.sent("k")
	f.apply(f.answer(second, handover.Unknown))
	known(org, "k", f.status(second.ID, orders.SMSSending))
}

func acceptSameMoment(f *fixture) {
	const callers = 24
	var wg sync.WaitGroup
	var claims atomic.Int32
	var ids sync.Map
	for range callers {
		in := f.acceptRequest("k")
		wg.Go(func() {
			s, claimed, err := f.j.Accept(ctx(), in)
			if err != nil {
				f.Errorf("accept: %v", err)
				return
			}
			if claimed {
				claims.Add(1)
			}
			ids.Store([2]uuid.UUID{s.ID, s.OrderID}, true)
		})
	}
	wg.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if claims.Load() != 1 || n != 1 {
		f.Fatalf("%d claims, %d different shipments", claims.Load(), n)
	}
}

func acceptFreeKey(f *fixture) {
	first := f.sent("k")
	freed := f.apply(f.answer(first, handover.NotSent))
	if !freed.Found || freed.Shipment.Status != orders.SMSNew {
		f.Fatalf("not sent: %+v", freed)
	}
	f.reopen()
	f.pass(time.Minute)
	retry := f.acceptRequest("k")
	retry.Recipient = "+4798888888"
	got, claimed := f.accept(retry)
	want := first
	want.Retry(retry)
	want.Listed = true // its id may be too old to be found among the newest
	if !claimed || !reflect.DeepEqual(got, want) {
		f.Fatalf("retry: claimed %v, %+v, want %+v", claimed, got, want)
	}
	if again, claimed := f.accept(f.acceptRequest("k")); claimed || again.ID != first.ID {
		f.Fatal("the key was claimed twice")
	}
	f.apply(f.answer(got, handover.Accepted, "m1"))
	f.wantFeed(orders.SMSAccepted)
}

// acceptFreeKeyOld has a key be tried again when a short retention is nearly over: it is
// known for two days all the same, in which what was sent with it may be unsettled.
func acceptFreeKeyOld(f *fixture) {
	for i, age := range []time.Duration{time.Hour, day - time.Hour, day + time.Hour, 3*day - time.Hour} {
		key, ref := fmt.Sprint("k", i), fmt.Sprint("m", i)
		f.apply(f.answer(f.sent(key), handover.NotSent))
		f.pass(age)
		retry := f.sent(key)
		f.apply(f.answer(retry, handover.Accepted, ref))
		f.apply(f.report(orders.SMSDelivered, ref))
		f.pass(2*day - time.Minute)
		for more := true; more; {
			swept, err := f.j.Sweep(ctx(), f.now, orders.Retention{All: 3 * day}, 100)
			if err != nil {
				f.Fatal(err)
			}
			more = swept.More
		}
		if again, claimed := f.accept(f.acceptRequest(key)); claimed || again.ID != retry.ID {
			f.Fatalf("tried again after %v: claimed two days later", age)
		}
	}
}

func acceptScoped(f *fixture) {
	a := f.acceptRequest("k")
	b := f.acceptRequest("k")
	b.Organisation = "other"
	if _, claimed := f.accept(a); !claimed {
		f.Fatal("not claimed")
	}
	if s, claimed := f.accept(b); !claimed || s.ID != b.Shipment {
		f.Fatal("a key of one organisation is known in another")
	}
	// The boundary between organisation and key must not shift.
	c := f.acceptRequest("dk")
	c.Organisation = "tt"
	if _, claimed := f.accept(c); !claimed {
		f.Fatal("tt/dk is taken for ttd/k")
	}
}

func acceptBlocked(f *fixture) {
	block := orders.Block{Organisation: org, Channel: orders.SMS, Recipient: "+4799999999", At: f.now}
	f.apply(block)
	f.apply(block)
	f.reopen()
	in := f.acceptRequest("k")
	for range 2 {
		s, claimed := f.accept(in)
		if !claimed || s.Status != orders.SMSFailedRecipientReserved {
			f.Fatalf("blocked: claimed %v, %v", claimed, s.Status)
		}
	}
	f.wantFeed(orders.SMSFailedRecipientReserved)
	if due, _, _ := f.j.Due(ctx(), f.now.Add(time.Hour), 10); len(due) != 0 {
		f.Fatal("a blocked order is due")
	}
	other := f.acceptRequest("k")
	other.Organisation = "other"
	if s, _ := f.accept(other); s.Status != orders.SMSSending {
		f.Fatalf("blocked in another organisation: %v", s.Status)
	}
	f.pass(time.Second)
	block.Off, block.At = true, f.now
	f.apply(block)
	if s := f.sent("k2"); s.Status != orders.SMSSending {
		f.Fatalf("unblocked: %v", s.Status)
	}
}

// acceptBlocksInDisorder stores changes of a block list in another order than they were made in: the
// latest counts, also against an older one that comes within a day.
func acceptBlocksInDisorder(f *fixture) {
	n := 0
	change := func(off bool, at time.Time, blocked bool) {
		f.Helper()
		f.apply(orders.Block{Organisation: org, Channel: orders.SMS, Recipient: "+4799999999", Off: off, At: at})
		f.sweep()
		n++
		want := orders.SMSSending
		if blocked {
			want = orders.SMSFailedRecipientReserved
		}
		if s := f.sent(fmt.Sprint("k", n)); s.Status != want {
			f.Fatalf("order %d: %v, want %v", n, s.Status, want)
		}
	}
	change(true, f.now, false)
	change(false, f.now.Add(-time.Second), false)
	f.pass(time.Hour)
	change(false, f.now, true)
	change(true, f.now.Add(-time.Minute), true)
	change(true, f.now, false)
	change(false, f.now, true) // of two at the same time, the one stored later
	f.pass(time.Hour)
	change(true, f.now, false)
	f.reopen()
	f.pass(23 * time.Hour)
	change(false, f.now.Add(-23*time.Hour-time.Minute), false)
	f.pass(2 * time.Hour)
	change(false, f.now, true)
	f.pass(30 * time.Hour)
	change(true, f.now.Add(-2*time.Hour), false)
}

func acceptContext(f *fixture) {
	done, cancel := context.WithCancel(ctx())
	cancel()
	if _, _, err := f.j.Accept(done, f.acceptRequest("k")); err != nil && !errors.Is(err, orders.ErrUnavailable) {
		f.Fatalf("with a context that has ended: %v", err)
	}
	f.accept(f.acceptRequest("k"))
}

// acceptHeld has callers find a claim that is not their own: in flight, with an end that has
// passed, answered, and free.
func acceptHeld(f *fixture) {
	first := f.sent("k")
	held := func(want bool) {
		f.Helper()
		s, claimed := f.accept(f.acceptRequest("k"))
		known, ok, err := f.j.Known(ctx(), org, "k", f.now)
		if claimed || s.ID != first.ID || s.Held != want || !ok || err != nil || !reflect.DeepEqual(known, s) {
			f.Fatalf("claimed %v, held %v, want %v; known %v, %v, %+v", claimed, s.Held, want, ok, err, known)
		}
	}
	held(true)
	f.reopen()
	f.pass(claim - time.Microsecond)
	held(true)
	f.pass(time.Microsecond)
	held(false)

	// The caller of the claim comes back late, before anybody was told that the message was sent; and after that.
	if eff := f.apply(f.answer(first, handover.NotSent)); !eff.Shipment.Status.Free() {
		f.Fatalf("not sent, after the claim's time: %+v", eff)
	}
	first = f.sent("k")
	f.pass(claim)
	f.apply(orders.Answer{Shipment: first.ID, Claim: first.Claim, At: f.now, Outcome: handover.Unknown, Total: 1}) // of somebody else
	for i := range 2 {
		if eff := f.apply(f.answer(first, handover.NotSent)); !eff.Found || len(eff.Changes) != 1-i || eff.Shipment.Status != orders.SMSFailed {
			f.Fatalf("not sent, after the claim's end: %+v", eff)
		}
		held(false)
	}
	f.apply(f.answer(first, handover.Accepted, "m1"))
	f.status(first.ID, orders.SMSFailed)

	first = f.sent("k1")
	f.apply(f.answer(first, handover.Unknown))
	f.apply(f.answer(first, handover.NotSent)) // after the carrier may have got it
	f.status(first.ID, orders.SMSSending)
	f.apply(f.answer(first, handover.Accepted, "m2"))
	f.status(first.ID, orders.SMSAccepted)

	first = f.sent("k2")
	f.apply(f.answer(first, handover.Unknown))
	if s, claimed := f.accept(f.acceptRequest("k2")); claimed || s.Held {
		f.Fatalf("answered: claimed %v, held %v", claimed, s.Held)
	}
	eff := f.apply(f.answer(f.sent("k3"), handover.NotSent))
	if s, claimed := f.accept(f.acceptRequest("k3")); !claimed || s.Held || s.ID != eff.Shipment.ID {
		f.Fatalf("free: claimed %v, held %v", claimed, s.Held)
	}
}
