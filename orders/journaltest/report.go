package journaltest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

func answerOutcomes(f *fixture) {
	refused := f.answer(f.sent("refused"), handover.Refused)
	refused.Status, refused.Detail = orders.SMSFailedInvalidRecipient, "ESME_RINVDSTADR"
	for _, c := range []struct {
		answer orders.Answer
		want   orders.Status
	}{
		{f.answer(f.sent("accepted"), handover.Accepted, "m1"), orders.SMSAccepted},
		{refused, orders.SMSFailedInvalidRecipient},
		{f.answer(f.sent("unknown"), handover.Unknown, "u1"), orders.SMSSending},
		{f.answer(f.sent("free"), handover.NotSent), orders.SMSNew},
	} {
		for range 2 { // a repeat changes nothing
			if e := f.apply(c.answer); !e.Found || e.Shipment.Status != c.want {
				f.Fatalf("%v: %+v", c.answer.Outcome, e)
			}
		}
		f.status(c.answer.Shipment, c.want)
	}
	f.wantFeed(orders.SMSAccepted, orders.SMSFailedInvalidRecipient)
}

func answerOtherClaim(f *fixture) {
	s := f.sent("k")
	stale := f.answer(s, handover.Accepted, "m1")
	f.apply(f.answer(s, handover.NotSent))
	f.accept(f.acceptRequest("k"))
	if e := f.apply(stale); !e.Found || len(e.Changes) > 0 {
		f.Fatalf("an answer to an older claim: %+v", e)
	}
	f.status(s.ID, orders.SMSSending)
	if e := f.apply(f.report(orders.SMSDelivered, "m1")); e.Found {
		f.Fatal("an answer to an older claim bound its reference")
	}
}

func answerLate(f *fixture) {
	s := f.sent("k")
	f.apply(f.answer(s, handover.Unknown, "u1"))
	late := f.answer(s, handover.Accepted, "m1")
	late.Claim = uuid.Nil
	e := f.apply(late)
	if len(e.Changes) != 1 || e.Changes[0].From != orders.SMSSending || e.Changes[0].To != orders.SMSAccepted {
		f.Fatalf("late answer: %+v", e.Changes)
	}
	f.apply(f.report(orders.SMSDelivered, "m1"))
	f.wantFeed(orders.SMSAccepted, orders.SMSDelivered)
}

func answerUnknownShipment(f *fixture) {
	effects, err := f.j.Apply(ctx(), []orders.Event{
		orders.Answer{Shipment: f.id(), Claim: uuid.New(), At: f.now, Outcome: handover.Accepted},
		orders.Expiry{Shipment: f.id(), At: f.now},
	})
	if err != nil || len(effects) != 2 || effects[0].Found || effects[1].Found {
		f.Fatalf("%+v, %v", effects, err)
	}
}

func reportAfterAnswer(f *fixture) {
	s := f.taken("k", "m1")
	f.pass(time.Second)
	r := f.report(orders.SMSFailedUndelivered, "m1")
	r.Detail = "err:013"
	e := f.apply(r)
	if !e.Found || e.Parked || len(e.Changes) != 1 || e.Shipment.Detail != "err:013" || !e.Shipment.Updated.Equal(f.now) {
		f.Fatalf("%+v", e)
	}
	f.status(s.ID, orders.SMSFailedUndelivered)
	other := f.report(orders.SMSDelivered, "m1")
	other.Carrier = "other"
	if e := f.apply(other); e.Found || !e.Parked {
		f.Fatalf("another carrier's message id: %+v", e)
	}
}

func reportBeforeAnswer(f *fixture) {
	s := f.sent("k")
	if e := f.apply(f.report(orders.SMSDelivered, "m1")); e.Found || !e.Parked {
		f.Fatalf("early report: %+v", e)
	}
	f.reopen()
	e := f.apply(f.answer(s, handover.Accepted, "m1"))
	if len(e.Changes) != 2 || e.Changes[0].To != orders.SMSAccepted || e.Changes[1].To != orders.SMSDelivered {
		f.Fatalf("changes %+v", e.Changes)
	}
	f.wantFeed(orders.SMSAccepted, orders.SMSDelivered)
	if e := f.apply(f.report(orders.SMSDelivered, "m1")); !e.Found || len(e.Changes) != 0 {
		f.Fatalf("repeat: %+v", e)
	}
}

func reportRepeated(f *fixture) {
	f.taken("k", "m1")
	for _, status := range []orders.Status{orders.SMSAccepted, orders.SMSDelivered, orders.SMSDelivered, orders.SMSFailedUndelivered, orders.SMSAccepted} {
		if e := f.apply(f.report(status, "m1")); !e.Found {
			f.Fatalf("%v: %+v", status, e)
		}
	}
	f.wantFeed(orders.SMSAccepted, orders.SMSDelivered)
}

func reportBetterWaits(f *fixture) {
	for i, c := range []struct {
		early []orders.Status
		want  orders.Status
	}{
		{[]orders.Status{orders.SMSAccepted, orders.SMSDelivered}, orders.SMSDelivered},
		{[]orders.Status{orders.SMSDelivered, orders.SMSAccepted}, orders.SMSDelivered},
		{[]orders.Status{orders.SMSFailedExpired, orders.SMSDelivered}, orders.SMSFailedExpired},
		{[]orders.Status{orders.SMSDelivered, orders.SMSDelivered}, orders.SMSDelivered},
		{[]orders.Status{orders.SMSAccepted}, orders.SMSAccepted},
	} {
		ref := fmt.Sprint("m", i)
		s := f.sent(ref)
		for _, status := range c.early {
			if e := f.apply(f.report(status, ref)); !e.Parked {
				f.Fatalf("%v: %v not parked", c.early, status)
			}
		}
		f.apply(f.answer(s, handover.Accepted, ref))
		f.status(s.ID, c.want)
	}
}

func reportSeveralRefs(f *fixture) {
	a, b := f.sent("a"), f.sent("b")
	f.apply(f.report(orders.SMSDelivered, "m1", "u1"))
	e := f.apply(f.answer(a, handover.Accepted, "m1", "u1"))
	if len(e.Changes) != 2 {
		f.Fatalf("changes %+v", e.Changes)
	}
	// The report was about one message: its other reference waits no more.
	if e := f.apply(f.answer(b, handover.Accepted, "m2", "u1")); e.Shipment.Status != orders.SMSAccepted {
		f.Fatalf("one report was applied twice: %v", e.Shipment.Status)
	}

	// A part without a message id is found by the other reference.
	c := f.sent("c")
	f.apply(f.report(orders.SMSDelivered, "m3", "u3"))
	f.apply(f.answer(c, handover.Unknown, "u3"))
	f.status(c.ID, orders.SMSDelivered)
}

func reportLesserRef(f *fixture) {
	old := f.sent("old")
	f.apply(f.answer(old, handover.Accepted, "m1", "u7"))
	next := f.sent("next")
	// The receipt of next overtakes its answer; u7 has come round.
	if e := f.apply(f.report(orders.SMSDelivered, "m2", "u7")); e.Found || !e.Parked {
		f.Fatalf("a report found the part of another message id: %+v", e)
	}
	f.apply(f.answer(next, handover.Accepted, "m2", "u7"))
	f.status(old.ID, orders.SMSAccepted)
	f.status(next.ID, orders.SMSDelivered)

	unknown := f.sent("unknown")
	f.apply(f.answer(unknown, handover.Unknown, "u8"))
	f.apply(f.report(orders.SMSDelivered, "m3", "u8"))
	f.status(unknown.ID, orders.SMSDelivered)
}

// reportSecondID has receipts with two message ids, of which the first is another system's. The
// second finds the message that it is bound to, before or after the answer, if the recipient is
// right too.
func reportSecondID(f *fixture) {
	two := func(to orders.Recipient, ids ...string) orders.Report {
		r := f.report(orders.SMSDelivered, ids...)
		r.IDs, r.Recipient = len(ids), to
		return r
	}
	s := f.taken("k", "m1")
	for _, to := range []orders.Recipient{"", "4790000000"} {
		r := two(to, "x1", "m1")
		r.Hints = []orders.MismatchHint{{Form: "second", Ref: "m1"}}
		if e := f.apply(r); e.Found || !e.Parked || e.Hint != r.Hints[0] {
			f.Fatalf("to %q: %+v", to, e)
		}
	}
	f.apply(two("4799999999", "x1", "m1", "u1"))
	f.status(s.ID, orders.SMSDelivered)

	early := f.sent("early")
	if e := f.apply(two("4799999999", "x2", "m2")); e.Found || !e.Parked {
		f.Fatalf("%+v", e)
	}
	f.reopen()
	f.apply(f.answer(early, handover.Accepted, "m2"))
	f.status(early.ID, orders.SMSDelivered)

	// One part has the ids of all, as at SMSCs that send one receipt for all parts.
	all := f.taken("all", "m3")
	late := f.answer(all, handover.Accepted, "m4")
	f.apply(late)
	f.apply(two("4799999999", "x3", "m4"))
	f.status(all.ID, orders.SMSDelivered)

	// The first id that is bound wins.
	a, b := f.taken("a", "m5"), f.taken("b", "m6")
	f.apply(two("4799999999", "m5", "m6"))
	f.status(a.ID, orders.SMSDelivered)
	f.status(b.ID, orders.SMSAccepted)
}

func reportOlderThanOrder(f *fixture) {
	f.apply(f.report(orders.SMSDelivered, "m1"))
	f.pass(time.Hour)
	s := f.sent("k")
	f.apply(f.answer(s, handover.Accepted, "m1"))
	f.status(s.ID, orders.SMSAccepted)
	f.apply(f.report(orders.SMSFailedUndelivered, "m1"))
	f.status(s.ID, orders.SMSFailedUndelivered)
}

func reportReusedRef(f *fixture) {
	old := f.taken("old", "m1")
	f.pass(30 * time.Hour)
	s := f.taken("k", "m1")
	f.apply(f.report(orders.SMSDelivered, "m1"))
	f.status(old.ID, orders.SMSAccepted)
	f.status(s.ID, orders.SMSDelivered)
}

// reportReusedEarly has a message id come round, and the new message's receipt
// overtake its answer.
func reportReusedEarly(f *fixture) {
	old := f.taken("old", "m1")
	f.apply(f.report(orders.SMSDelivered, "m1"))
	f.pass(30 * time.Hour)
	s := f.sent("k")
	if e := f.apply(f.report(orders.SMSFailedUndelivered, "m1")); e.Found || !e.Parked {
		f.Fatalf("taken for a repeat of the old one: %+v", e)
	}
	f.apply(f.answer(s, handover.Accepted, "m1"))
	f.status(s.ID, orders.SMSFailedUndelivered)
	f.status(old.ID, orders.SMSDelivered)
}

func reportHint(f *fixture) {
	f.taken("k", "26")
	r := f.report(orders.SMSDelivered, "1A")
	hints := []orders.MismatchHint{{Form: "upper", Ref: "1a"}, {Form: "hex", Ref: "26"}}
	r.Hints = hints
	if e := f.apply(r); e.Found || e.Hint != hints[1] {
		f.Fatalf("hint %+v", e)
	}
	r.Refs, r.Hints = []string{"7"}, nil
	if e := f.apply(r); e.Hint != (orders.MismatchHint{}) {
		f.Fatalf("hint %+v", e)
	}
}

func reportParts(f *fixture) {
	s := f.sent("k")
	f.apply(f.report(orders.SMSDelivered, "p2"))
	a := f.answer(s, handover.Unknown)
	a.Total = 3
	a.Parts = []orders.PartAnswer{{Index: 0, Refs: []string{"p0"}, Taken: true}, {Index: 2, Refs: []string{"p2"}, Taken: true}}
	f.apply(a)
	f.status(s.ID, orders.SMSSending)
	f.apply(f.report(orders.SMSDelivered, "p0"))
	f.apply(f.report(orders.SMSDelivered, "p1")) // before its part's late answer
	late := a
	late.Claim, late.Outcome = uuid.Nil, handover.Accepted
	late.Parts = []orders.PartAnswer{{Index: 1, Refs: []string{"p1"}, Taken: true}}
	f.apply(late)
	f.status(s.ID, orders.SMSDelivered)

	failed := f.sent("k2")
	a = f.answer(failed, handover.Accepted)
	a.Total = 2
	a.Parts = []orders.PartAnswer{{Index: 0, Refs: []string{"q0"}, Taken: true}, {Index: 1, Refs: []string{"q1"}, Taken: true}}
	f.apply(a)
	f.apply(f.report(orders.SMSFailedUndelivered, "q1"))
	f.status(failed.ID, orders.SMSFailedUndelivered)
	f.apply(f.report(orders.SMSDelivered, "q0"))
	f.status(failed.ID, orders.SMSFailedUndelivered)
}

func reportBatch(f *fixture) {
	a, b := f.sent("a"), f.sent("b")
	effects, err := f.j.Apply(ctx(), []orders.Event{
		f.report(orders.SMSDelivered, "m1"),
		f.answer(a, handover.Accepted, "m1"),
		f.report(orders.SMSDelivered, "m1"),
		f.answer(b, handover.Accepted, "m2"),
		f.report(orders.SMSDelivered, "m2"),
		f.report(orders.SMSDelivered),
	})
	if err != nil {
		f.Fatal(err)
	}
	for i, changes := range []int{0, 2, 0, 1, 1, 0} {
		if len(effects[i].Changes) != changes {
			f.Fatalf("effect %d: %+v", i, effects[i])
		}
	}
	if effects[5].Found || effects[5].Parked {
		f.Fatalf("a report without references: %+v", effects[5])
	}
	f.wantFeed(orders.SMSAccepted, orders.SMSDelivered, orders.SMSAccepted, orders.SMSDelivered)
}

// A report that may be anybody's counts for a message to its own source only, and
// keeps no sure one from being parked.
func reportUnverified(f *fixture) {
	from := func(source orders.Recipient, status orders.Status, ref string) orders.Report {
		r := f.report(status, ref)
		r.Recipient, r.Unverified = source, true
		return r
	}
	s := f.taken("k", "m1")
	if e := f.apply(from("4790000000", orders.SMSFailedUndelivered, "m1")); e.Found {
		f.Fatalf("a stranger's report: %+v", e)
	}
	f.status(s.ID, orders.SMSAccepted)
	f.apply(from("99999999", orders.SMSDelivered, "m1")) // as some SMSCs write it
	f.status(s.ID, orders.SMSDelivered)

	early := f.sent("early")
	f.apply(from("4790000000", orders.SMSFailedUndelivered, "m2"))
	f.apply(f.report(orders.SMSDelivered, "m2"))
	f.reopen()
	if e := f.apply(f.answer(early, handover.Accepted, "m2")); e.Shipment.Status != orders.SMSDelivered {
		f.Fatalf("the sure report was not kept: %+v", e)
	}
	forged := f.sent("forged")
	f.apply(from("4790000000", orders.SMSFailedUndelivered, "m3"))
	f.reopen()
	if e := f.apply(f.answer(forged, handover.Accepted, "m3")); e.Shipment.Status != orders.SMSAccepted {
		f.Fatalf("a stranger's early report was applied: %+v", e)
	}
}
