package journaltest

import (
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// forget erases the recipient of settled shipments, and leaves those that are under way, and another's, as they are.
func forget(f *fixture) {
	const person, other = orders.Recipient("+4798765432"), orders.Recipient("+4790000001")
	made := map[string]orders.Shipment{}
	for key, to := range map[string]orders.Recipient{"settled": person, "open": person, "free": person, "theirs": other} {
		in := f.acceptRequest(key)
		in.Recipient, in.SendersReference = to, "case "+string(to[1:])
		made[key], _ = f.accept(in)
	}
	take := func(key, id, user string) {
		f.apply(f.answer(made[key], handover.Accepted, orders.IDPrefix+id, user))
	}
	take("settled", "1", "um:4798765432:7")
	take("open", "2", "um:4798765432:8")
	take("theirs", "3", "um:4790000001:7")
	f.apply(f.answer(made["free"], handover.NotSent))
	f.apply(f.report(orders.SMSDelivered, orders.IDPrefix+"1"))
	f.apply(f.report(orders.SMSDelivered, orders.IDPrefix+"3"))
	waits := f.report(orders.SMSDelivered, orders.IDPrefix+"unknown", "um:4798765432:9")
	waits.Recipient = "4798765432"
	f.apply(waits)
	before := f.entries()

	for range 2 { // a second time changes nothing
		for _, key := range []string{"settled", "open", "free", "theirs"} {
			s, err := f.j.Shipment(ctx(), org, made[key].ID)
			if err != nil {
				f.Fatal(err)
			}
			event, ok := s.Forgetting(f.now)
			if ok != (key != "open") {
				f.Fatalf("%s: forgettable %v", key, ok)
			}
			if key != "theirs" {
				event.Shipment = made[key].ID
				f.apply(event)
			}
		}
		f.reopen()
		for key, want := range map[string]orders.Recipient{"settled": orders.Forgotten, "free": orders.Forgotten, "open": person, "theirs": other} {
			s, err := f.j.Shipment(ctx(), org, made[key].ID)
			if err != nil || s.Recipient != want || (s.SendersReference == "") != (want == orders.Forgotten) {
				f.Fatalf("%s: to %q, reference %q, %v", key, string(s.Recipient), s.SendersReference, err)
			}
		}
	}
	if found, err := f.j.Find(ctx(), orders.FindQuery{Recipient: person, Limit: 10}); err != nil || len(found) != 1 || found[0].ID != made["open"].ID {
		f.Fatalf("found %v, %v", found, err)
	}
	after := f.entries()
	if len(after) != len(before) {
		f.Fatalf("the feed had %d entries, and has %d", len(before), len(after))
	}
	for i, e := range after {
		if b := before[i]; e.Seq != b.Seq || e.Shipment.ID != b.Shipment.ID || e.Shipment.Status != b.Shipment.Status || !e.Shipment.Updated.Equal(b.Shipment.Updated) {
			f.Fatalf("entry %+v of the feed was %+v", e, b)
		}
	}
	f.forgottenReports(made, waits, person)
}

// forgottenReports: receipts of a forgotten message change nothing, those of one that is under way count, and one that waits
// can be dropped.
func (f *fixture) forgottenReports(made map[string]orders.Shipment, waits orders.Report, person orders.Recipient) {
	f.pass(time.Second)
	again := f.report(orders.SMSDelivered, orders.IDPrefix+"1")
	if e := f.apply(again); len(e.Changes) > 0 {
		f.Fatalf("a repeated receipt of a forgotten message changes it: %+v", e)
	}
	if e := f.apply(f.report(orders.SMSDelivered, "um:4798765432:8")); e.Shipment.ID != made["open"].ID || len(e.Changes) != 1 {
		f.Fatalf("the receipt of a message under way: %+v", e)
	}
	found, err := f.j.Waiting(ctx(), person, 10)
	if err != nil || len(found) != 1 || found[0].Recipient != waits.Recipient {
		f.Fatalf("waiting %+v, %v", found, err)
	}
	drop := orders.Drop{Carrier: found[0].Carrier, Refs: found[0].Refs, Recipient: found[0].Recipient}
	for _, want := range []int{1, 0} {
		if e := f.apply(drop); e.Dropped != want {
			f.Fatalf("dropped %d reports, want %d", e.Dropped, want)
		}
	}
	if found, err = f.j.Waiting(ctx(), person, 10); err != nil || len(found) > 0 {
		f.Fatalf("waiting %+v, %v", found, err)
	}
}

// entries returns the organisation's feed.
func (f *fixture) entries() []orders.FeedEntry {
	f.Helper()
	page, err := f.j.Feed(ctx(), orders.FeedQuery{Organisation: org, Limit: 500})
	if err != nil {
		f.Fatalf("feed: %v", err)
	}
	return page
}
