package journaltest

import (
	"fmt"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// about is a receipt with the message id m1.
func (f *fixture) about(to orders.Recipient, submitted time.Duration, status orders.Status) orders.Report {
	r := f.report(status, "m1")
	r.Recipient = to
	if submitted > 0 {
		r.Submitted = time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC).Add(submitted)
	}
	return r
}

// to claims a shipment to a number.
func (f *fixture) to(key string, to orders.Recipient) orders.Shipment {
	f.Helper()
	in := f.acceptRequest(key)
	in.Recipient = to
	s, _ := f.accept(in)
	return s
}

const (
	alice, bob = orders.Recipient("+4799999999"), orders.Recipient("+4790000000")
	day        = 24 * time.Hour
)

// reuseEarly has a message id come round within minutes, and the new message's receipt
// overtake its answer, over a restart.
func reuseEarly(f *fixture) {
	for i, c := range []struct {
		name          string
		oldTo, newTo  orders.Recipient // of the messages
		oldNam, newN  orders.Recipient // as the receipts name them
		oldDat, newDt time.Duration
	}{
		{"recipients differ", alice, bob, "4799999999", "90000000", 0, 0},
		{"recipients differ, in one minute", alice, bob, "4799999999", "4790000000", time.Hour, time.Hour},
		{"dates differ", alice, alice, "4799999999", "4799999999", time.Hour, time.Hour + time.Minute},
		{"dates differ, nobody is named", alice, bob, "", "", time.Hour, time.Hour + time.Minute},
		{"dates differ, the sender is named", alice, bob, "2077", "2077", time.Hour, time.Hour + time.Minute},
	} {
		if c.oldDat > 0 {
			c.oldDat, c.newDt = c.oldDat+time.Duration(i)*day, c.newDt+time.Duration(i)*day
		}
		old := f.to(fmt.Sprint("old", i), c.oldTo)
		answer := f.answer(old, handover.Accepted, "m1")
		f.apply(answer)
		first := f.about(c.oldNam, c.oldDat, orders.SMSFailedUndelivered)
		f.apply(first)
		f.pass(time.Minute)
		next := f.to(fmt.Sprint("next", i), c.newTo)
		second := f.about(c.newN, c.newDt, orders.SMSDelivered)
		for range 2 {
			if e := f.apply(second); e.Found || !e.Parked {
				f.Fatalf("%s: taken for a repeat of the old one's: %+v", c.name, e)
			}
		}
		f.reopen()
		f.apply(answer) // a repeated call claims nothing
		if e := f.apply(first); !e.Found || e.Shipment.ID != old.ID {
			f.Fatalf("%s: a repeat was not known: %+v", c.name, e)
		}
		if e := f.apply(f.answer(next, handover.Accepted, "m1")); len(e.Changes) != 2 {
			f.Fatalf("%s: %+v", c.name, e)
		}
		for _, r := range []orders.Report{first, second, first} {
			if e := f.apply(r); len(e.Changes) > 0 {
				f.Fatalf("%s: a repeat counted: %+v", c.name, e)
			}
		}
		f.status(old.ID, orders.SMSFailedUndelivered)
		f.status(next.ID, orders.SMSDelivered)
		f.pass(3 * day) // ids may be anything's again
	}
	if st := f.sweep(); st.Parked > 0 {
		f.Fatalf("%d reports left waiting", st.Parked)
	}
}

// reuseRepeat has the old message's receipt come again when its id is bound to the
// new message, whose own has not come yet.
func reuseRepeat(f *fixture) {
	for i, c := range []struct {
		name         string
		named        orders.Recipient
		date         time.Duration
		newTo        orders.Recipient
		apart        time.Duration
		again, after orders.Status
	}{
		{"by recipient", "4799999999", 0, bob, time.Second, orders.SMSDelivered, orders.SMSFailedUndelivered},
		{"by date", "", time.Hour, bob, 3 * time.Minute, orders.SMSDelivered, orders.SMSFailedUndelivered},
		{"by date, same recipient", "4799999999", time.Hour, alice, 3 * time.Minute, orders.SMSDelivered, orders.SMSFailedUndelivered},
		{"by date, hours later", "", time.Hour, alice, 5 * time.Hour, orders.SMSDelivered, orders.SMSFailedUndelivered},
		{"contradicting itself", "4799999999", 0, bob, time.Second, orders.SMSFailedExpired, orders.SMSDelivered},
	} {
		if c.date > 0 {
			c.date += time.Duration(i) * day
		}
		old := f.to(fmt.Sprint("old", i), alice)
		f.apply(f.answer(old, handover.Accepted, "m1"))
		f.apply(f.about(c.named, c.date, orders.SMSDelivered))
		f.pass(c.apart)
		next := f.to(fmt.Sprint("next", i), c.newTo)
		f.apply(f.answer(next, handover.Accepted, "m1"))
		if e := f.apply(f.about(c.named, c.date, c.again)); len(e.Changes) > 0 || e.Shipment.ID != old.ID {
			f.Fatalf("%s: %+v", c.name, e)
		}
		f.status(next.ID, orders.SMSAccepted)
		date := c.date
		if date > 0 {
			date += c.apart
		}
		f.apply(f.about("", date, c.after))
		f.status(next.ID, c.after)
		f.status(old.ID, orders.SMSDelivered)
		f.pass(3 * day)
	}
}

// reuseFirstWord has the old message's first receipt come when its id is bound to
// the new one already.
func reuseFirstWord(f *fixture) {
	old := f.to("old", alice)
	answer := f.answer(old, handover.Accepted, "m1")
	f.apply(answer)
	f.pass(time.Minute)
	next := f.to("next", bob)
	f.apply(f.answer(next, handover.Accepted, "m1"))
	f.apply(answer) // a repeated call changes nothing
	f.apply(f.about("4799999999", 0, orders.SMSDelivered))
	f.status(old.ID, orders.SMSDelivered)
	f.status(next.ID, orders.SMSAccepted)
	f.apply(f.about("", 0, orders.SMSFailedUndelivered)) // names no recipient: the newest is meant
	f.status(next.ID, orders.SMSFailedUndelivered)
}

// reuseSettledOnly shows what an odd second report about an old message may do: wait,
// and no more.
func reuseSettledOnly(f *fixture) {
	old := f.taken("old", "m1")
	f.apply(f.about("4799999999", time.Hour, orders.SMSDelivered))
	for _, status := range []orders.Status{orders.SMSAccepted, orders.SMSFailedExpired, orders.SMSDelivered} {
		f.apply(f.about("4799999999", time.Hour, status))
		f.apply(f.about("4799999999", time.Hour+time.Second, status)) // an SMSC that dates the receipt, not the message
		f.status(old.ID, orders.SMSDelivered)
	}
	f.wantFeed(orders.SMSAccepted, orders.SMSDelivered)

	other := f.to("other", bob) // not whom the waiting report names
	f.apply(f.answer(other, handover.Accepted, "m1"))
	f.status(other.ID, orders.SMSAccepted)
	f.apply(f.about("4790000000", 2*time.Hour, orders.SMSFailedUndelivered))
	f.status(other.ID, orders.SMSFailedUndelivered)

	f.pass(time.Hour)
	later := f.taken("later", "m1") // whom it names, but too late to be meant
	f.status(later.ID, orders.SMSAccepted)
	if st := f.sweep(); st.Parked != 0 {
		f.Fatal("a report that is too old went on waiting")
	}

	f.apply(f.about("4799999999", 3*time.Hour, orders.SMSDelivered))
	f.apply(f.about("4799999999", 4*time.Hour, orders.SMSDelivered))
	f.pass(25 * time.Hour)
	if st := f.sweep(); st.Parked != 1 {
		f.Fatalf("%d reports left, want the one that no answer claimed", st.Parked)
	}
	if e := f.apply(f.about("4799999999", 3*time.Hour, orders.SMSDelivered)); !e.Found || e.Shipment.ID != later.ID {
		f.Fatalf("the reference is lost with the report that waited: %+v", e)
	}
}

// reuseOrphan has an early receipt meet one that waits for an answer that never comes.
func reuseOrphan(f *fixture) {
	f.apply(f.about("4799999999", time.Hour, orders.SMSFailedUndelivered))
	f.pass(time.Minute)
	s := f.to("k", bob)
	f.apply(f.about("4790000000", time.Hour+time.Minute, orders.SMSDelivered))
	f.apply(f.answer(s, handover.Accepted, "m1"))
	f.status(s.ID, orders.SMSDelivered)
}

// reuseOddNumber has a carrier that names somebody else in its receipts: before the
// deadline, and with one message to choose from, that is no reason not to believe it.
func reuseOddNumber(f *fixture) {
	s := f.taken("k", "m1")
	f.apply(f.about("4722222222", 0, orders.SMSDelivered))
	f.status(s.ID, orders.SMSDelivered)
}

// reuseAfterDeadline reuses the id of a message of which no receipt ever came.
func reuseAfterDeadline(f *fixture) {
	old := f.taken("old", "m1")
	f.pass(time.Hour)
	f.expire()
	next := f.to("next", bob)
	f.apply(f.about("4790000000", 0, orders.SMSDelivered))
	f.apply(f.answer(next, handover.Accepted, "m1"))
	f.status(old.ID, orders.SMSFailedTTL)
	f.status(next.ID, orders.SMSDelivered)
	f.apply(f.about("4799999999", 0, orders.SMSDelivered)) // the late correction finds it still
	f.status(old.ID, orders.SMSDelivered)
}

// reuseParts has the ids of a long message come round.
func reuseParts(f *fixture) {
	old := f.to("old", alice)
	long := f.answer(old, handover.Accepted)
	long.Total = 2
	long.Parts = []orders.PartAnswer{{Index: 0, Refs: []string{"m1"}, Taken: true}, {Index: 1, Refs: []string{"m2"}, Taken: true}}
	f.apply(long)
	f.apply(f.about("4799999999", 0, orders.SMSDelivered))
	next := f.to("next", bob)
	f.apply(f.about("4790000000", 0, orders.SMSDelivered))
	f.apply(f.answer(next, handover.Accepted, "m1"))
	f.status(next.ID, orders.SMSDelivered)
	f.status(old.ID, orders.SMSAccepted)
	second := f.about("4799999999", 0, orders.SMSDelivered)
	second.Refs = []string{"m2"}
	f.apply(second)
	f.status(old.ID, orders.SMSDelivered)
}

// reuseLesser has a user reference come round while its message's id is another.
func reuseLesser(f *fixture) {
	a, b := f.sent("a"), f.sent("b")
	f.apply(f.report(orders.SMSDelivered, "m1", "u1"))
	f.apply(f.answer(b, handover.Accepted, "m2", "u1"))
	f.status(b.ID, orders.SMSAccepted)
	f.apply(f.answer(a, handover.Accepted, "m1", "u1"))
	f.status(a.ID, orders.SMSDelivered)

	f.apply(f.report(orders.SMSDelivered, "m3", "u1"))
	c := f.sent("c")
	f.apply(f.answer(c, handover.Unknown, "u1"))
	f.status(c.ID, orders.SMSDelivered)
}

// reuseAnswerLost has the answer be lost, so that the first message is known by its
// user reference only: a repeat of its receipt is not about the next message with
// its id, which still waits.
func reuseAnswerLost(f *fixture) {
	for i, dated := range []time.Duration{0, time.Hour} {
		old := f.to(fmt.Sprint("old", i), alice)
		f.apply(f.answer(old, handover.Unknown, fmt.Sprint("u", i)))
		first := f.about("4799999999", dated, orders.SMSFailedUndelivered)
		first.Refs = append(first.Refs, fmt.Sprint("u", i))
		if e := f.apply(first); e.Shipment.ID != old.ID || len(e.Changes) != 1 {
			f.Fatalf("the old one's: %+v", e)
		}
		f.pass(3 * time.Minute) // more than what submit dates by the minute leave open
		to := bob
		if dated > 0 {
			to = alice
		}
		next := f.to(fmt.Sprint("next", i), to)
		f.apply(f.answer(next, handover.Accepted, "m1"))
		if e := f.apply(first); e.Shipment.ID != old.ID || len(e.Changes) != 0 {
			f.Fatalf("a repeat, dated %v: %+v", dated, e)
		}
		second := f.about(to[1:], dated*2, orders.SMSDelivered)
		if e := f.apply(second); e.Shipment.ID != next.ID || len(e.Changes) != 1 {
			f.Fatalf("the next one's, dated %v: %+v", dated, e)
		}
		f.pass(2 * day)
	}
}
