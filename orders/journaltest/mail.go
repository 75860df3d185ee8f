package journaltest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

const ttl = 48 * time.Hour // of a mail

// mail returns a mail that was just claimed.
func (f *fixture) mail(key string) orders.Shipment {
	f.Helper()
	in := f.acceptRequest(key)
	in.Channel, in.Recipient, in.TTL = orders.Email, "Kari@example.org", ttl
	s, claimed := f.accept(in)
	if !claimed {
		f.Fatalf("key %q was known", key)
	}
	return s
}

// relayTook stores that a relay took a mail.
func (f *fixture) relayTook(s orders.Shipment) orders.Shipment {
	f.Helper()
	return f.apply(f.answer(s, handover.Accepted)).Shipment
}

// sentMail returns a mail that its relay has.
func (f *fixture) sentMail(key string) orders.Shipment {
	f.Helper()
	return f.relayTook(f.mail(key))
}

// mailReport makes a report about a mail.
func (f *fixture) mailReport(status orders.Status, about ...uuid.UUID) orders.Report {
	r := orders.Report{Carrier: orders.MailReports, At: f.now, Status: status, Detail: "failed 550 5.1.1"}
	for _, id := range about {
		r.Refs = append(r.Refs, id.String())
	}
	return r
}

func (f *fixture) relayedReport(about uuid.UUID) orders.Report {
	r := f.mailReport(orders.EmailDelivered, about)
	r.Relayed = true
	return r
}

func (f *fixture) expandedReport(about uuid.UUID) orders.Report {
	r := f.mailReport(orders.EmailSucceeded, about)
	r.Expanded = true
	return r
}

// mailReports: a report finds its mail by the id, whatever the relay is called, and each way a mail can go.
func mailReports(f *fixture) {
	ok, bad, failed := orders.EmailSucceeded, orders.EmailFailedBounced, orders.EmailFailedRecipientNotIdentified
	delivered, late := orders.EmailDelivered, orders.EmailFailedTTL
	type reports []func(id uuid.UUID) orders.Report
	says := func(s orders.Status) func(uuid.UUID) orders.Report {
		return func(id uuid.UUID) orders.Report { return f.mailReport(s, id) }
	}
	expire := func(id uuid.UUID) orders.Report { return orders.Report{} } // in its place: the deadline passes
	for i, c := range []struct {
		reports reports
		want    []orders.Status // in the feed, after Email_Succeeded
	}{
		{reports{says(delivered), says(delivered)}, []orders.Status{delivered}},
		{reports{says(delivered), says(failed)}, []orders.Status{delivered}},
		{reports{says(failed), says(delivered)}, []orders.Status{failed}},
		{reports{says(failed), f.relayedReport, says(bad)}, []orders.Status{failed}},
		{reports{says(ok), f.expandedReport, says(failed)}, []orders.Status{failed}},
		{reports{f.relayedReport, f.relayedReport}, []orders.Status{delivered}},
		{reports{f.relayedReport, says(bad), says(failed), f.relayedReport, says(delivered)}, []orders.Status{delivered, bad}},
		{reports{f.relayedReport, says(delivered), says(ok), says(bad)}, []orders.Status{delivered, bad}},
		{reports{expire}, []orders.Status{late}},
		{reports{expire, says(ok), says(delivered), says(failed)}, []orders.Status{late, delivered}},
		{reports{expire, f.relayedReport, says(failed), says(delivered)}, []orders.Status{late, delivered, failed}},
		{reports{expire, says(failed), says(delivered)}, []orders.Status{late}},
		{reports{f.expandedReport, expire, says(failed), says(delivered)}, []orders.Status{orders.EmailSucceededFinal}},
	} {
		in := f.acceptRequest(fmt.Sprint("way ", i))
		in.Organisation, in.Channel, in.Recipient, in.TTL = fmt.Sprint("way ", i), orders.Email, "kari@example.org", ttl
		s, _ := f.accept(in)
		f.relayTook(s)
		for _, report := range c.reports {
			f.pass(time.Second)
			if r := report(s.ID); r.Carrier != "" {
				f.apply(r)
			} else {
				f.pass(ttl)
				f.expire()
			}
		}
		got := f.feed(in.Organisation)
		if want := append([]orders.Status{ok}, c.want...); fmt.Sprint(got) != fmt.Sprint(want) {
			f.Errorf("way %d: feed %v, want %v", i, got, want)
		}
	}
}

// mailBeforeAnswer: a report may overtake the relay's answer, or come though none ever does. Whatever the
// answer then is, the report counts.
func mailBeforeAnswer(f *fixture) {
	for i, o := range []handover.Outcome{handover.Accepted, handover.Unknown, handover.NotSent, handover.Refused} {
		s := f.mail(fmt.Sprint("k", i))
		f.pass(time.Second)
		e := f.apply(f.mailReport(orders.EmailDelivered, s.ID))
		if !e.Found || e.Shipment.Status != orders.EmailDelivered {
			f.Fatalf("before the answer: %+v", e)
		}
		a := f.answer(s, o)
		a.Trace = orders.Trace{Stored: time.Millisecond, Answered: 2 * time.Second}
		if e := f.apply(a); !e.Found || len(e.Changes) != 0 {
			f.Fatalf("%v after the report: %+v", o, e)
		}
		if now := f.status(s.ID, orders.EmailDelivered); now.Trace.Reported != time.Second {
			f.Fatalf("%v: the report's time is %v", o, now.Trace.Reported)
		}
	}
	s := f.mail("delayed") // so the relay has it
	f.apply(f.mailReport(orders.EmailSucceeded, s.ID))
	f.apply(f.answer(s, handover.NotSent))
	f.status(s.ID, orders.EmailSucceeded)
}

// mailParked: a report about a mail that is not there, or surely has not left, waits for a day.
func mailParked(f *fixture) {
	s := f.mail("k")
	f.apply(f.answer(s, handover.NotSent))
	early := f.mailReport(orders.EmailFailedBounced, s.ID)
	if e := f.apply(early); e.Found || !e.Parked {
		f.Fatalf("about a mail that has not left: %+v", e)
	}
	f.pass(time.Second)
	s = f.mail("k")
	f.relayTook(s)
	f.status(s.ID, orders.EmailSucceeded) // it was about the first attempt

	s = f.mail("m")
	f.apply(f.answer(s, handover.NotSent))
	retried := f.acceptRequest("m")
	retried.Channel, retried.Recipient, retried.TTL, retried.At = orders.Email, s.Recipient, ttl, f.now
	f.pass(time.Second)
	r := f.relayedReport(s.ID)
	r.Suppress = orders.BlockedByComplaint
	f.apply(r)
	f.reopen()
	again, _ := f.accept(retried)
	e := f.apply(f.answer(again, handover.Accepted))
	if e.Shipment.Status != orders.EmailDelivered || !e.Shipment.Relayed || !e.Shipment.Complained || !e.Suppressed.Suppression() {
		f.Fatalf("a report that waited: %+v", e)
	}

	nobody := uuid.Must(uuid.NewV7())
	if e := f.apply(f.mailReport(orders.EmailDelivered, nobody)); !e.Parked {
		f.Fatalf("about nothing: %+v", e)
	}
	f.pass(25 * time.Hour)
	if swept := f.sweep(); swept.Parked != 1 {
		f.Fatalf("%d reports given up after a day", swept.Parked)
	}
}

// mailKeys: a report leads to the first of its shipments that is a mail and has left.
func mailKeys(f *fixture) {
	sms, mail, other := f.taken("sms", "m1"), f.sentMail("mail"), f.sentMail("other")
	r := f.mailReport(orders.EmailDelivered, uuid.Must(uuid.NewV7()), sms.ID, mail.ID, other.ID)
	r.Refs = append([]string{"no id"}, r.Refs...)
	if e := f.apply(r); e.Shipment.ID != mail.ID {
		f.Fatalf("report about %v: %+v", mail.ID, e)
	}
	f.status(sms.ID, orders.SMSAccepted)
	f.status(other.ID, orders.EmailSucceeded)
	r.Carrier = "telco" // an SMSC's receipt can't be about a mail
	f.apply(r)
	f.status(other.ID, orders.EmailSucceeded)
}

// mailWait: how long reports are waited for, and what their absence means.
func mailWait(f *fixture) {
	const wait = time.Hour
	for i, c := range []struct {
		outcome    handover.Outcome
		wait       time.Duration
		unreported bool
		after      time.Duration
		want       orders.Status
	}{
		{handover.Accepted, 0, false, ttl, orders.EmailFailedTTL},
		{handover.Accepted, 0, true, ttl, orders.EmailSucceededFinal},
		{handover.Accepted, wait, false, wait, orders.EmailFailedTTL},
		{handover.Accepted, wait, true, wait, orders.EmailSucceededFinal},
		{handover.Accepted, 2 * ttl, true, ttl, orders.EmailSucceededFinal},
		{handover.Unknown, wait, true, wait, orders.EmailFailedTTL}, // it may not have left
	} {
		s := f.mail(fmt.Sprint("k", i))
		f.due()
		a := f.answer(s, c.outcome)
		a.Wait, a.Unreported = c.wait, c.unreported
		f.apply(a)
		f.pass(c.after - time.Microsecond)
		f.expire()
		if now, err := f.j.Shipment(ctx(), org, s.ID); err != nil || now.Status.Final() {
			f.Fatalf("case %d: before its time %v, %v", i, now.Status, err)
		}
		f.reopen()
		f.pass(time.Microsecond)
		f.expire()
		now := f.status(s.ID, c.want)
		if !now.Deadline.Equal(s.Accepted.Add(c.after)) || now.Status.Order() != "Order_Completed" {
			f.Fatalf("case %d: %+v", i, now)
		}
	}
	page, err := f.j.Feed(ctx(), orders.FeedQuery{Organisation: org, Limit: 500, FinalOnly: true})
	if err != nil || len(page) != 6 {
		f.Fatalf("%d final entries, %v", len(page), err)
	}
}

// mailOrder plays every order of the reports that one mail may get, with repeats: the end is the same.
func mailOrder(f *fixture) {
	failure := func(id uuid.UUID) orders.Report { return f.mailReport(orders.EmailFailedBounced, id) }
	delayed := func(id uuid.UUID) orders.Report { return f.mailReport(orders.EmailSucceeded, id) }
	delivered := func(id uuid.UUID) orders.Report { return f.mailReport(orders.EmailDelivered, id) }
	r := f.dice()
	for i, c := range []struct {
		reports []func(uuid.UUID) orders.Report
		want    orders.Status
	}{
		{[]func(uuid.UUID) orders.Report{delayed, f.relayedReport}, orders.EmailDelivered},
		{[]func(uuid.UUID) orders.Report{delayed, delivered}, orders.EmailDelivered},
		{[]func(uuid.UUID) orders.Report{delayed, f.relayedReport, failure}, orders.EmailFailedBounced},
		{[]func(uuid.UUID) orders.Report{f.expandedReport, delayed, failure}, orders.EmailFailedBounced},
		{[]func(uuid.UUID) orders.Report{f.expandedReport, delayed}, orders.EmailSucceededFinal},
	} {
		for n := range 20 {
			s := f.mail(fmt.Sprint(i, " ", n))
			answer := f.answer(s, handover.Accepted)
			events := []orders.Event{answer}
			for _, report := range c.reports {
				for range 1 + r.IntN(2) {
					events = append(events, report(s.ID))
				}
			}
			r.Shuffle(len(events), func(a, b int) { events[a], events[b] = events[b], events[a] })
			for _, e := range events {
				f.apply(e)
			}
			if c.want == orders.EmailSucceededFinal {
				f.apply(orders.Expiry{Shipment: s.ID, At: f.now.Add(ttl)})
			}
			f.status(s.ID, c.want)
		}
	}
}
