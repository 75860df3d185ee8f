package journaltest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// bounce makes a report that the mail's recipient does not exist.
func (f *fixture) bounce(about uuid.UUID) orders.Report {
	r := f.mailReport(orders.EmailFailedRecipientNotIdentified, about)
	r.Suppress, r.Word = orders.BlockedByBounce, "5.1.1"
	return r
}

// complaint makes a report that the recipient calls the mail spam.
func (f *fixture) complaint(about uuid.UUID) orders.Report {
	r := f.mailReport(orders.EmailSucceeded, about)
	r.Suppress = orders.BlockedByComplaint
	return r
}

// suppressed returns the entry of the recipient of the fixture's mails.
func (f *fixture) suppressed() (b orders.Block) {
	f.Helper()
	page, err := f.j.Blocks(ctx(), orders.BlockQuery{Organisation: org, Channel: orders.Email, Recipient: "kari@example.org", Limit: 1})
	if err != nil {
		f.Fatal(err)
	}
	if len(page.Blocks) == 1 {
		b = page.Blocks[0]
	}
	return b
}

// wantSuppressed fails unless the suppression lasts this long from now, as the n-th.
func (f *fixture) wantSuppressed(e orders.Effect, d time.Duration, times int) {
	f.Helper()
	b := f.suppressed()
	if !b.Until.Equal(f.now.Add(d)) || b.Times != times || !b.Blocks(f.now) || e.Suppressed != b {
		f.Fatalf("suppression %+v, effect %+v; want %v, the number %d", b, e.Suppressed, d, times)
	}
}

// suppressionTimes: a suppression lasts a day, each that follows twice as long, and two weeks at most.
func suppressionTimes(f *fixture) {
	const first = 24 * time.Hour
	n := 0
	send := func() orders.Shipment { n++; return f.mail(fmt.Sprint("k", n)) }
	for i, d := range []time.Duration{first, 2 * first, 4 * first, 8 * first, 14 * first, 14 * first} {
		s := f.relayTook(send())
		f.pass(time.Second)
		e := f.apply(f.bounce(s.ID))
		f.wantSuppressed(e, d, i+1)
		if b := f.suppressed(); b.Source != orders.BlockedByBounce || b.Word != "5.1.1" || b.Reason != "shipment "+s.ID.String() {
			f.Fatalf("entry %+v", b)
		}
		f.pass(d - time.Microsecond)
		f.reopen()
		in := f.acceptRequest(fmt.Sprint("suppressed ", i))
		in.Channel, in.Recipient, in.TTL = orders.Email, "KARI@example.org", ttl
		if s, claimed := f.accept(in); !claimed || s.Status != orders.EmailFailedSuppressedRecipient {
			f.Fatalf("to a suppressed address: %v, %v", s.Status, claimed)
		}
		in = f.acceptRequest(fmt.Sprint("other ", i))
		in.Organisation, in.Channel, in.Recipient, in.TTL = "other", orders.Email, "kari@example.org", ttl
		if s, _ := f.accept(in); s.Status != orders.EmailSending {
			f.Fatalf("of another organisation: %v", s.Status)
		}
		f.pass(time.Microsecond)
	}
	f.pass(14*first + time.Second) // none is remembered any more
	s := f.relayTook(send())
	f.wantSuppressed(f.apply(f.complaint(s.ID)), first, 1)
	if e := f.apply(f.complaint(s.ID)); e.Suppressed.Suppression() {
		f.Fatal("a complaint counts twice")
	}
	f.pass(first + 15*14*first)
	f.expire()
	f.sweep()
	if b := f.suppressed(); !b.At.IsZero() {
		f.Fatalf("kept for ever: %+v", b)
	}
}

// suppressionSuccess: a mail that reaches the address ends its suppression.
func suppressionSuccess(f *fixture) {
	a, b, c := f.sentMail("a"), f.sentMail("b"), f.sentMail("c")
	f.pass(time.Second)
	f.apply(f.bounce(a.ID))
	if e := f.apply(f.mailReport(orders.EmailDelivered, b.ID)); !e.Lifted || f.suppressed().Blocks(f.now) {
		f.Fatalf("after a success: %+v", e)
	}
	if e := f.apply(f.bounce(c.ID)); e.Suppressed.Suppression() {
		f.Fatal("a mail of before the success begins a suppression")
	}
	f.pass(time.Second)
	d := f.sentMail("d")
	f.wantSuppressed(f.apply(f.bounce(d.ID)), 24*time.Hour, 1) // the success counts as if there had been none

	f.pass(25 * time.Hour)
	e := f.sentMail("e")
	f.pass(time.Second)
	if e := f.apply(f.relayedReport(e.ID)); e.Lifted { // it had ended
		f.Fatalf("lifted: %+v", e)
	}
	f.wantSuppressed(f.apply(f.bounce(e.ID)), 48*time.Hour, 2) // it was a success for a moment only
}

// suppressionOperator: an operator's word is stronger than a report.
func suppressionOperator(f *fixture) {
	change := func(off bool) orders.Effect {
		return f.apply(orders.Block{Organisation: org, Channel: orders.Email, Recipient: "kari@example.org", At: f.now,
			Off: off, Source: orders.BlockedByOperator, Reason: "asked by phone"})
	}
	a, b := f.sentMail("a"), f.sentMail("b")
	f.pass(time.Second)
	f.apply(f.bounce(a.ID))
	f.pass(time.Second)
	change(true)
	if s := f.mail("after"); s.Status != orders.EmailSending {
		f.Fatalf("after an operator has lifted it: %v", s.Status)
	}
	if e := f.apply(f.bounce(b.ID)); e.Suppressed.Suppression() || f.suppressed().Blocks(f.now) {
		f.Fatal("the bounce of an earlier mail undid what an operator did")
	}
	c, d := f.sentMail("c"), f.sentMail("d")
	f.pass(time.Second)
	change(false)
	f.apply(f.bounce(c.ID))
	f.apply(f.mailReport(orders.EmailDelivered, d.ID))
	if have := f.suppressed(); have.Suppression() || !have.Blocks(f.now.Add(1000*time.Hour)) || have.Source != orders.BlockedByOperator {
		f.Fatalf("a report has changed an operator's block: %+v", have)
	}
	if s := f.mail("blocked"); s.Status != orders.EmailFailedRecipientReserved {
		f.Fatalf("blocked: %v", s.Status)
	}
}

// suppressionWrong: what does not begin or lengthen a suppression.
func suppressionWrong(f *fixture) {
	none := func(what string, e orders.Effect) {
		f.Helper()
		if e.Suppressed.Suppression() || f.suppressed().Blocks(f.now) {
			f.Fatalf("%s: suppressed", what)
		}
	}
	s := f.sentMail("delivered")
	f.apply(f.mailReport(orders.EmailDelivered, s.ID))
	none("a mail that was delivered", f.apply(f.bounce(s.ID)))
	s = f.sentMail("full")
	none("a full mailbox", f.apply(f.mailReport(orders.EmailFailedBounced, s.ID)))
	none("a second word about a failed mail", f.apply(f.bounce(s.ID)))
	none("a mail of nobody", f.apply(f.bounce(uuid.Must(uuid.NewV7()))))
	s = f.sentMail("old")
	f.pass(5*24*time.Hour + time.Second)
	none("an old mail", f.apply(f.bounce(s.ID)))
	s = f.sentMail("expired")
	f.pass(3 * 24 * time.Hour)
	f.expire()
	f.status(s.ID, orders.EmailFailedTTL)
	f.wantSuppressed(f.apply(f.bounce(s.ID)), 24*time.Hour, 1) // late, and not contradicted
	f.pass(25 * time.Hour)

	var burst []orders.Shipment
	for i := range 5 {
		burst = append(burst, f.sentMail(fmt.Sprint("burst ", i)))
		f.pass(time.Second)
	}
	until := time.Time{}
	for _, s := range burst {
		f.apply(f.bounce(s.ID))
		if b := f.suppressed(); until.IsZero() {
			until = b.Until
		} else if !b.Until.Equal(until) {
			f.Fatalf("five mails in a few seconds lengthen the suppression to %v", b.Until)
		}
		f.pass(time.Second)
	}
	blocked := f.mail("never sent")
	if e := f.apply(f.bounce(blocked.ID)); e.Found {
		f.Fatalf("a report about a mail that was never sent: %+v", e)
	}
}
