package journaltest

import (
	"fmt"
	"sync"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// Two handles on one store are two nodes: neither knows what the other is doing.

// handles returns the fixture's handle and a second one on its store.
func (f *fixture) handles() [2]orders.Journal {
	f.Helper()
	second := f.engine.Second(f.T, f.dir)
	f.atEnd = append(f.atEnd, func() { second.Close() })
	return [2]orders.Journal{f.j, second}
}

// on has a step of a test use another handle.
func (f *fixture) on(j orders.Journal, step func()) {
	f.Helper()
	first := f.j
	f.j = j
	step()
	f.j = first
}

// twoAccept has 24 callers claim one key over both handles.
func twoAccept(f *fixture) {
	nodes := f.handles()
	const callers = 24
	var wg sync.WaitGroup
	var results [callers]struct {
		s       orders.Shipment
		claimed bool
	}
	for i := range callers {
		in := f.acceptRequest("k")
		wg.Go(func() {
			s, claimed, err := nodes[i%2].Accept(ctx(), in)
			if err != nil {
				f.Errorf("accept: %v", err)
			}
			results[i].s, results[i].claimed = s, claimed
		})
	}
	wg.Wait()
	claims := 0
	for _, r := range results {
		if r.claimed {
			claims++
		}
		if r.s.ID != results[0].s.ID || r.s.Held == r.claimed {
			f.Errorf("shipment %v, claimed %v, held %v", r.s.ID, r.claimed, r.s.Held)
		}
	}
	if claims != 1 {
		f.Errorf("%d claims", claims)
	}
}

// twoMeet has the answer come over one handle and the receipt over the other, at the same moment.
func twoMeet(f *fixture) {
	nodes := f.handles()
	const times = 150
	for i := range times {
		ref := fmt.Sprint("m", i)
		s := f.sent(ref)
		answer, report := f.answer(s, handover.Accepted, ref), f.report(orders.SMSDelivered, ref)
		var wg sync.WaitGroup
		for n, e := range []orders.Event{answer, report} {
			wg.Go(func() {
				if _, err := nodes[(i+n)%2].Apply(ctx(), []orders.Event{e}); err != nil {
					f.Errorf("%T: %v", e, err)
				}
			})
		}
		wg.Wait()
		f.on(nodes[i%2], func() { f.status(s.ID, orders.SMSDelivered) })
	}
	var want []orders.Status
	for range times {
		want = append(want, orders.SMSAccepted, orders.SMSDelivered)
	}
	f.wantFeed(want...)
	f.pass(2 * day)
	if swept := f.sweep(); swept.Parked != 0 {
		f.Errorf("%d receipts were left parked", swept.Parked)
	}
}

// twoClaims has one node find the other's claim: held, free, ended, and answered too late.
func twoClaims(f *fixture) {
	nodes := f.handles()
	first := f.sent("k")
	f.on(nodes[1], func() {
		if s, claimed := f.accept(f.acceptRequest("k")); claimed || !s.Held || s.ID != first.ID {
			f.Fatalf("the other's claim: claimed %v, held %v", claimed, s.Held)
		}
	})
	f.apply(f.answer(first, handover.NotSent))
	var second orders.Shipment
	f.on(nodes[1], func() { second = f.sent("k") })
	if s, claimed := f.accept(f.acceptRequest("k")); claimed || !s.Held || s.Claim != second.Claim {
		f.Fatalf("the other's second claim: claimed %v, held %v", claimed, s.Held)
	}
	if eff := f.apply(f.answer(first, handover.NotSent)); eff.Shipment.Claim != second.Claim || eff.Shipment.Status != orders.SMSSending {
		f.Fatalf("an answer of the first claim, again: %+v", eff)
	}
	f.pass(claim)
	f.on(nodes[1], func() {
		if eff := f.apply(f.answer(second, handover.NotSent)); !eff.Shipment.Status.Free() {
			f.Fatalf("not sent, late, while nobody was told: %+v", eff)
		}
		second = f.sent("k")
	})
	f.pass(claim)
	if s, claimed := f.accept(f.acceptRequest("k")); claimed || s.Held || !s.Claimed() {
		f.Fatalf("a claim that has ended: claimed %v, held %v, %+v", claimed, s.Held, s)
	}
	f.apply(orders.Answer{Shipment: second.ID, Claim: second.Claim, At: f.now, Outcome: handover.Unknown, Total: 1})
	f.on(nodes[1], func() {
		if eff := f.apply(f.answer(second, handover.NotSent)); len(eff.Changes) != 1 || eff.Shipment.Status != orders.SMSFailed {
			f.Fatalf("not sent, after another node ended the claim: %+v", eff)
		}
	})
	f.status(second.ID, orders.SMSFailed)
	third := f.sent("third")
	if due, _ := f.due(); len(due) != 0 {
		f.Fatal("due before its deadline")
	}
	f.pass(5 * time.Minute)
	if n := f.expire(); n != 1 {
		f.Fatalf("%d expired", n)
	}
	f.on(nodes[1], func() { f.status(third.ID, orders.SMSFailedTTL) })
}

// twoBlocks changes a block list over both handles, and places orders over the other.
func twoBlocks(f *fixture) {
	nodes := f.handles()
	for i, c := range []struct {
		off  bool
		at   time.Duration
		want orders.Status
	}{
		{false, 0, orders.SMSFailedRecipientReserved},
		{true, time.Second, orders.SMSSending},
		{false, time.Millisecond, orders.SMSSending}, // was stored late
		{false, time.Minute, orders.SMSFailedRecipientReserved},
		{true, time.Hour, orders.SMSSending},
	} {
		f.on(nodes[i%2], func() {
			f.apply(orders.Block{Organisation: org, Channel: orders.SMS, Recipient: "+4799999999", Off: c.off, At: f.now.Add(c.at)})
		})
		for _, j := range nodes {
			f.on(j, func() {
				if s := f.sent(fmt.Sprint(i, j == nodes[0])); s.Status != c.want {
					f.Errorf("change %d: %v, want %v", i, s.Status, c.want)
				}
			})
		}
	}
}
