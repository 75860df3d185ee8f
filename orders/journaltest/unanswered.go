package journaltest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// endClaims ends the claims of processes that have ended, as the service does when it starts.
func (f *fixture) endClaims() (ended []orders.Shipment) {
	f.Helper()
	left, err := f.j.Abandoned(ctx())
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range left {
		ended = append(ended, f.apply(orders.Answer{Shipment: s.ID, Claim: s.Claim, At: f.now, Outcome: handover.Unknown, Total: s.Total}).Shipment)
	}
	return ended
}

func (f *fixture) matches(before time.Time) []orders.Match {
	f.Helper()
	found, err := f.j.Matches(ctx(), before, f.now, 100)
	if err != nil {
		f.Fatal(err)
	}
	return found
}

// matched applies what is found among the reports that have waited for a claim's time, and returns the
// effects.
func (f *fixture) matched() (all []orders.Effect) {
	f.Helper()
	for _, m := range f.matches(f.now.Add(-claim)) {
		all = append(all, f.apply(m))
	}
	return all
}

// abandoned returns a shipment of so many parts that was in flight when its process ended.
func (f *fixture) abandoned(key string, to orders.Recipient, parts int) orders.Shipment {
	f.Helper()
	in := f.acceptRequest(key)
	in.Recipient, in.Total = to, parts
	s, _ := f.accept(in)
	f.reopen()
	for _, ended := range f.endClaims() {
		if ended.ID == s.ID {
			return ended
		}
	}
	f.Fatalf("%s was in flight, and is not among the abandoned", key)
	return s
}

// from is a report by the recipient's number, and with an unknown id.
func (f *fixture) from(to orders.Recipient, status orders.Status, id string) orders.Report {
	r := f.report(status, id)
	r.Recipient, r.ByRecipient = to[1:], true
	return r
}

func echo(r orders.Report, s orders.Shipment, part int) orders.Report {
	r.Echoed, r.Reference = true, binary.BigEndian.Uint16(s.Claim[14:])+uint16(part)
	r.Refs = append(slices.Clone(r.Refs), fmt.Sprintf("u%d", r.Reference))
	return r
}

func unansweredAbandoned(f *fixture) {
	s := f.sent("k")
	told := f.taken("told", "m1")
	if left, err := f.j.Abandoned(ctx()); err != nil || len(left) > 0 {
		f.Fatalf("of this process: %+v, %v", left, err)
	}
	f.reopen()
	left, err := f.j.Abandoned(ctx())
	if err != nil || len(left) != 1 || left[0].ID != s.ID || left[0].Total != 1 {
		f.Fatalf("%+v, %v", left, err)
	}
	f.endClaims()
	if known, ok, err := f.j.Known(ctx(), org, "k", f.now); err != nil || !ok || known.Held || known.Status != orders.SMSSending {
		f.Fatalf("its outcome is unknown for good: %+v, %v", known, err)
	}
	if left, err := f.j.Abandoned(ctx()); err != nil || len(left) > 0 {
		f.Fatalf("again: %+v, %v", left, err)
	}
	f.status(told.ID, orders.SMSAccepted)

	// A key that was tried again has an old id.
	f.apply(f.answer(f.sent("again"), handover.NotSent))
	f.pass(time.Hour)
	f.taken("newer", "m2")
	in := f.acceptRequest("again")
	in.Recipient = bob
	f.accept(in)
	f.reopen()
	if ended := f.endClaims(); len(ended) != 1 || ended[0].Recipient != bob {
		f.Fatalf("%+v", ended)
	}
	f.apply(f.from(bob, orders.SMSDelivered, "m3"))
	f.pass(time.Minute)
	if e := f.matched(); len(e) != 1 {
		f.Fatalf("%+v", e)
	}

	// A mail is found too, however long ago its key was first tried: with the longest send deadline, at whose end the
	// process ends, and where another one only finds that out a while later.
	for _, ago := range []time.Duration{time.Second, 15 * time.Second, 50 * time.Second, time.Hour} {
		key := fmt.Sprint("mail", ago)
		first := f.mail(key)
		f.apply(f.answer(first, handover.NotSent))
		f.pass(ago)
		second := f.mail(key)
		f.pass(time.Minute + 30*time.Second)
		f.taken(key+"newer", key)
		f.reopen()
		if ended := f.endClaims(); len(ended) != 1 || ended[0].ID != second.ID {
			f.Fatalf("%v: %+v", ago, ended)
		}
	}
}

// unansweredClockAhead: an order whose id is of a clock that was ahead does not hide those of processes that have ended since.
func unansweredClockAhead(f *fixture) {
	f.now = time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	f.taken("ahead", "m1")
	f.pass(-time.Hour)
	s := f.sent("k")
	f.reopen()
	if ended := f.endClaims(); len(ended) != 1 || ended[0].ID != s.ID {
		f.Fatalf("%+v", ended)
	}
}

func unansweredByReference(f *fixture) {
	s, other := f.abandoned("k", alice, 2), f.abandoned("other", alice, 1)
	for part, want := range []orders.Status{orders.SMSSending, orders.SMSDelivered} {
		r := echo(f.from(alice, orders.SMSDelivered, fmt.Sprint("m", part)), s, part)
		r.ByRecipient = false
		if e := f.apply(r); e.Shipment.ID != s.ID || e.Shipment.Status != want || e.Matched != orders.MatchedByReference || e.Shipment.Carrier != "telco" {
			f.Fatalf("part %d: %+v", part, e)
		}
		r.Status = orders.SMSFailedExpired
		if e := f.apply(r); e.Shipment.ID != s.ID || len(e.Changes) > 0 {
			f.Fatalf("a repeat: %+v", e)
		}
	}
	f.status(other.ID, orders.SMSSending)

	// A receipt that came before the restart, and a user reference that nobody has.
	early := f.sent("early")
	f.apply(echo(f.from(alice, orders.SMSDelivered, "m7"), early, 0))
	f.apply(echo(f.from(alice, orders.SMSDelivered, "m8"), early, 77))
	f.reopen()
	f.endClaims()
	if found := f.matches(f.now); len(found) != 1 || found[0].Shipment != early.ID {
		f.Fatalf("%+v", found)
	}
	f.matched()
	f.status(early.ID, orders.SMSDelivered)
	f.pass(time.Minute)
	if found := f.matches(f.now); len(found) > 0 {
		f.Fatalf("another reference: %+v", found)
	}
}

func unansweredByRecipient(f *fixture) {
	s := f.abandoned("k", alice, 2)
	f.pass(2 * time.Second)
	for _, id := range []string{"m1", "m2"} {
		if e := f.apply(f.from(alice, orders.SMSAccepted, id)); !e.Parked {
			f.Fatalf("%+v", e)
		}
		if e := f.apply(f.from(alice, orders.SMSDelivered, id)); !e.Parked {
			f.Fatalf("%+v", e)
		}
	}
	f.pass(claim)
	if found := f.matched(); len(found) > 0 { // it may have overtaken an answer
		f.Fatalf("too early: %+v", found)
	}
	f.pass(time.Second)
	f.reopen()
	found := f.matched()
	if len(found) != 2 || found[0].Shipment.ID != s.ID || found[0].Matched != orders.MatchedByRecipient || len(found[0].Changes) > 0 {
		f.Fatalf("%+v", found)
	}
	f.wantFeed(orders.SMSDelivered)
	if e := f.apply(f.from(alice, orders.SMSFailedExpired, "m1")); e.Shipment.ID != s.ID || len(e.Changes) > 0 {
		f.Fatalf("a repeat: %+v", e)
	}
	f.pass(time.Hour)
	if found := f.matched(); len(found) > 0 {
		f.Fatalf("again: %+v", found)
	}
}

// unansweredTwo has two messages to one recipient.
func unansweredTwo(f *fixture) {
	first, second := f.abandoned("first", alice, 1), f.sent("second")
	f.apply(f.from(alice, orders.SMSDelivered, "m2"))
	f.apply(f.answer(second, handover.Unknown))
	f.apply(f.from(alice, orders.SMSFailedExpired, "m1"))
	f.pass(time.Minute)
	second, err := f.j.Shipment(ctx(), org, second.ID)
	if err != nil {
		f.Fatal(err)
	}
	if first.Recipient != second.Recipient {
		f.Fatal("they are to one recipient")
	}
	if found := f.matched(); len(found) > 0 {
		f.Fatalf("both are unanswered: %+v", found)
	}
	stale := orders.Match{Shipment: first.ID, Carrier: "telco", Refs: []string{"m1"}, Recipient: alice[1:], At: f.now}
	if e := f.apply(stale); e.Found {
		f.Fatalf("an older finding: %+v", e)
	}
	late := f.answer(second, handover.Accepted, "m2")
	late.Claim = uuid.Nil
	f.apply(late)
	f.status(second.ID, orders.SMSDelivered)
	if found := f.matched(); len(found) != 1 || found[0].Shipment.ID != first.ID {
		f.Fatalf("one is answered: %+v", found)
	}
	f.status(first.ID, orders.SMSFailedExpired)
}

// unansweredFits are reports that may not be about an unanswered shipment, and such that may.
func unansweredFits(f *fixture) {
	for i, c := range []struct {
		name   string
		change func(r *orders.Report)
		fits   bool
	}{
		{"plain", func(*orders.Report) {}, true},
		{"the setting is off", func(r *orders.Report) { r.ByRecipient = false }, false},
		{"unverified", func(r *orders.Report) { r.Unverified = true }, false},
		{"another number", func(r *orders.Report) { r.Recipient = "4798765432" }, false},
		{"the number in another form", func(r *orders.Report) { r.Recipient = "00" + r.Recipient }, true},
		{"no number", func(r *orders.Report) { r.Recipient = "" }, false},
		{"dates of another zone", func(r *orders.Report) { dated(r, f.now.Add(345*time.Minute), time.Second) }, true},
		{"submitted at another time", func(r *orders.Report) { dated(r, f.now.Add(67*time.Minute), time.Second) }, false},
		{"submitted long before it", func(r *orders.Report) { dated(r, f.now.Add(-2*time.Hour), 2*time.Hour) }, false},
		{"from before it", func(r *orders.Report) { r.At = r.At.Add(-time.Minute) }, false},
		{"long after its deadline", func(r *orders.Report) { r.At = r.At.Add(66 * time.Minute) }, false},
		{"a little after its deadline", func(r *orders.Report) { r.At = r.At.Add(30 * time.Minute) }, true},
		{"another user reference", func(r *orders.Report) { r.Echoed = true; r.Reference = ^r.Reference }, false},
	} {
		to := orders.Recipient(fmt.Sprintf("+4791%06d", i))
		f.pass(day)
		s := f.abandoned(c.name, to, 1)
		r := f.from(to, orders.SMSDelivered, fmt.Sprint("m", i))
		r.Reference = binary.BigEndian.Uint16(s.Claim[14:])
		c.change(&r)
		f.apply(r)
		if r.At.After(f.now) {
			f.now = r.At
			f.expire()
		}
		f.pass(claim + time.Second)
		if found := f.matched(); (len(found) == 1 && found[0].Shipment.Status == orders.SMSDelivered) != c.fits || len(found) > 1 {
			f.Fatalf("%s: %+v", c.name, found)
		}
	}
}

func dated(r *orders.Report, submitted time.Time, took time.Duration) {
	r.Submitted = submitted.Truncate(time.Minute)
	r.Done = submitted.Add(took).Truncate(time.Minute)
}

// unansweredReports has more reports than parts.
func unansweredReports(f *fixture) {
	s := f.abandoned("contradicted", alice, 1)
	f.apply(f.from(alice, orders.SMSDelivered, "m1"))
	f.apply(f.from(alice, orders.SMSFailedExpired, "m2"))
	same := f.abandoned("same", bob, 1)
	f.apply(f.from(bob, orders.SMSDelivered, "m3"))
	f.apply(f.from(bob, orders.SMSDelivered, "m4"))
	f.pass(time.Minute)
	if found := f.matched(); len(found) != 1 || found[0].Shipment.ID != same.ID {
		f.Fatalf("%+v", found)
	}
	f.status(s.ID, orders.SMSSending)

	// One report for all parts, and one of a part that failed: the other part's is not for the next message.
	third := orders.Recipient("+4791000003")
	whole := f.abandoned("whole", third, 3)
	r := f.from(third, orders.SMSDelivered, "m5")
	r.Whole = true
	f.apply(r)
	f.pass(time.Minute)
	if found := f.matched(); len(found) != 1 || found[0].Shipment.ID != whole.ID || found[0].Shipment.Status != orders.SMSDelivered {
		f.Fatalf("%+v", found)
	}
	// An answer that comes after all brings none of the parts back.
	in := f.acceptRequest("whole, and answered")
	in.Recipient = "+4791000005"
	lost, _ := f.accept(in)
	unknown := f.answer(lost, handover.Unknown)
	unknown.Total, unknown.Parts = 2, []orders.PartAnswer{{Refs: []string{"u1"}}, {Index: 1, Refs: []string{"u2"}}}
	f.apply(unknown)
	r = f.from(lost.Recipient, orders.SMSDelivered, "m8")
	r.Whole = true
	f.apply(r)
	f.pass(time.Minute)
	f.matched()
	late := f.answer(lost, handover.Accepted, "m9")
	late.Claim, late.Total = uuid.Nil, 2
	if e := f.apply(late); len(e.Shipment.Parts) != 1 || e.Shipment.Status != orders.SMSDelivered {
		f.Fatalf("%+v", e.Shipment)
	}
	fourth := orders.Recipient("+4791000004")
	f.abandoned("failed", fourth, 2)
	f.apply(f.from(fourth, orders.SMSFailedUndelivered, "m6"))
	f.pass(time.Minute)
	f.matched()
	next := f.abandoned("next", fourth, 1)
	f.apply(f.from(fourth, orders.SMSDelivered, "m7"))
	f.pass(time.Minute)
	if found := f.matched(); len(found) > 0 {
		f.Fatalf("%+v", found)
	}
	f.status(next.ID, orders.SMSSending)
}

// unansweredInFlight: a report that has overtaken its answer is not taken for another message's.
func unansweredInFlight(f *fixture) {
	lost := f.abandoned("lost", "+4799999999", 1)
	s := f.sent("in flight")
	f.apply(f.from("+4799999999", orders.SMSFailedUndelivered, "m2"))
	f.pass(claim - time.Second)
	if found := f.matched(); len(found) > 0 {
		f.Fatalf("%+v", found)
	}
	f.apply(f.answer(s, handover.Accepted, "m2"))
	f.pass(time.Minute)
	if found := f.matched(); len(found) > 0 {
		f.Fatalf("%+v", found)
	}
	f.status(s.ID, orders.SMSFailedUndelivered)
	f.status(lost.ID, orders.SMSSending)

	// A hint says that the message has an answer, whose id is spelled differently.
	f.taken("hex", "255")
	r := f.from("+4799999999", orders.SMSDelivered, "ff")
	r.Hints = []orders.MismatchHint{{Form: "hex", Ref: "255"}}
	f.apply(r)
	f.pass(time.Minute)
	if found := f.matched(); len(found) > 0 {
		f.Fatalf("%+v", found)
	}
}
