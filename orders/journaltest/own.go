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

// short is a retention of organisations' own.
const short = 3 * day

func own(organisations ...string) orders.Retention {
	r := orders.Retention{All: retention, Own: map[string]time.Duration{"long": 2 * retention, "unknown": short}}
	for _, name := range organisations {
		r.Own[name] = short
	}
	return r
}

// delivered returns a shipment of an organisation that has two entries in its feed.
func (f *fixture) delivered(organisation, key string) orders.Shipment {
	f.Helper()
	in := f.acceptRequest(key)
	in.Organisation = organisation
	s, _ := f.accept(in)
	ref := organisation + key + s.ID.String()
	f.apply(f.answer(s, handover.Accepted, ref))
	return f.apply(f.report(orders.SMSDelivered, ref)).Shipment
}

// kept checks which of the shipments are still there.
func (f *fixture) kept(want bool, all ...orders.Shipment) {
	f.Helper()
	for _, s := range all {
		got, err := f.j.Shipment(ctx(), s.Organisation, s.ID)
		if want && (err != nil || got.Status != s.Status) || !want && !errors.Is(err, orders.ErrNotFound) {
			f.Errorf("shipment of %s: %v, %v; want it kept: %v", s.Organisation, got.Status, err, want)
		}
		_, known, err := f.j.Known(ctx(), s.Organisation, s.SendersReference[len("ref-"):], f.now)
		if err != nil || known != want && !s.Status.Free() {
			f.Errorf("key of %s: known %v, %v; want %v", s.Organisation, known, err, want)
		}
	}
}

// seqsOf returns the numbers in an organisation's feed.
func (f *fixture) seqsOf(organisation string) (seqs []uint64) {
	f.Helper()
	page, err := f.j.Feed(ctx(), orders.FeedQuery{Organisation: organisation, Limit: 500})
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range page {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// sweepOwn has organisations with retentions of their own beside others: what is theirs leaves from between what is
// the others', and their feeds go on.
func sweepOwn(f *fixture) {
	organisations := []string{"long", "one", "other", "two"}
	all := make(map[string][]orders.Shipment)
	round := func(key string) {
		for _, name := range organisations {
			all[name] = append(all[name], f.delivered(name, key))
		}
	}
	for i := range 8 {
		round(fmt.Sprint(i))
	}
	f.pass(2 * day)
	round("young")
	r := own("one", "two")
	r.Own["two"] = 4 * day
	if s := f.sweepOf(r); s.Shipments != 0 {
		f.Fatalf("%d shipments left before their time", s.Shipments)
	}
	f.pass(day + time.Minute)
	if s := f.sweepOf(r); s.Shipments != 8 {
		f.Fatalf("%d shipments left, want those of one", s.Shipments)
	}
	f.kept(false, all["one"][:8]...)
	f.kept(true, slices.Concat(all["one"][8:], all["two"], all["other"], all["long"])...)
	if got := f.seqsOf("one"); !slices.Equal(got, []uint64{17, 18}) {
		f.Errorf("feed of one: %v", got)
	}
	f.pass(day)
	if s := f.sweepOf(r); s.Shipments != 8 {
		f.Fatalf("%d shipments left, want those of two", s.Shipments)
	}
	f.pass(retention)
	f.sweepOf(r)
	for _, name := range organisations {
		f.kept(false, all[name]...)
		if got := f.seqsOf(name); len(got) != 0 {
			f.Errorf("feed of %s: %v", name, got)
		}
		if again := f.delivered(name, "young"); again.ID == all[name][8].ID {
			f.Errorf("a key of %s outlived its retention", name)
		}
		if got := f.seqsOf(name); !slices.Equal(got, []uint64{19, 20}) {
			f.Errorf("the feed of %s goes on with %v", name, got)
		}
		f.beyond(name, 21, 20)
	}
}

// sweepOwnChanged has another organisation, and a shorter time, come later; and a restart between.
func sweepOwnChanged(f *fixture) {
	one, two := f.delivered("one", "k"), f.delivered("two", "k")
	f.pass(short + time.Hour)
	f.sweepOf(own())
	f.kept(true, one, two)
	f.sweepOf(own("one"))
	f.kept(false, one)
	f.kept(true, two)
	f.reopen()
	f.sweepOf(own("one"))
	f.sweepOf(own("one", "two"))
	f.kept(false, two)
	three := f.delivered("two", "k")
	f.pass(short / 2)
	f.sweepOf(own("one", "two"))
	r := own("one")
	r.Own["two"] = short / 3
	f.kept(true, three)
	f.sweepOf(r)
	f.kept(false, three)
}

// sweepOwnUnsettled: an unsettled shipment waits for its deadline, a free one does not.
func sweepOwnUnsettled(f *fixture) {
	other := f.delivered("other", "k")
	sent, free := f.sent("sent"), f.sent("free")
	f.apply(f.answer(free, handover.NotSent))
	f.pass(short + time.Hour)
	f.sweepOf(own(org))
	f.status(sent.ID, orders.SMSSending)
	f.expire()
	f.status(sent.ID, orders.SMSFailedTTL)
	f.sweepOf(own(org))
	for _, id := range []uuid.UUID{sent.ID, free.ID} {
		if _, err := f.j.Shipment(ctx(), org, id); !errors.Is(err, orders.ErrNotFound) {
			f.Errorf("after the retention: %v", err)
		}
	}
	f.kept(true, other)
	f.wantFeed() // an entry leaves with its shipment
}

// sweepOwnClock: what a clock that was ahead has passed over is looked for again.
func sweepOwnClock(f *fixture) {
	f.pass(retention)
	f.delivered("other", "k")
	f.sweepOf(own("one"))
	f.pass(short + time.Hour)
	f.sweepOf(own("one"))
	f.pass(-retention)
	s := f.delivered("one", "k")
	f.sweepOf(own("one"))
	f.kept(true, s)
	f.pass(short + time.Hour)
	f.sweepOf(own("one"))
	f.kept(false, s)
}

// sweepOwnRandom has orders of several organisations settle, or not, between sweeps: what is left is what is young, with
// all of its entries in the feed.
func sweepOwnRandom(f *fixture) {
	dice := f.dice()
	r := orders.Retention{All: 12 * day, Own: map[string]time.Duration{"a": 3 * day, "b": 3 * day, "c": 7 * day, "d": 20 * day}}
	organisations := []string{"a", "b", "c", "d", "e"}
	var all []orders.Shipment
	given := make(map[string]uint64)   // numbers, by organisation
	entries := make(map[uuid.UUID]int) // by shipment
	for step := range 120 {
		name := organisations[dice.IntN(len(organisations))]
		in := f.acceptRequest(fmt.Sprint(step))
		in.Organisation = name
		s, _ := f.accept(in)
		switch dice.IntN(4) {
		case 0:
			f.apply(f.answer(s, handover.NotSent))
		case 1: // unsettled, until its deadline
			entries[s.ID] = 1
		default:
			f.apply(f.answer(s, handover.Accepted, s.ID.String()))
			f.apply(f.report(orders.SMSDelivered, s.ID.String()))
			entries[s.ID] = 2
		}
		given[name] += uint64(entries[s.ID])
		all = append(all, s)
		f.pass(time.Duration(dice.Int64N(int64(day))))
		switch dice.IntN(10) {
		case 0:
			f.reopen()
		case 1:
			r.Own["b"] = time.Duration(3+dice.IntN(4)) * day
		}
		if dice.IntN(4) > 0 {
			continue
		}
		f.pass(time.Hour)
		f.expire()
		f.sweepOf(r)
		all = f.leftOf(all, r)
	}
	f.pass(time.Hour)
	f.expire()
	f.sweepOf(r)
	want := make(map[string]int)
	for _, s := range f.leftOf(all, r) {
		want[s.Organisation] += entries[s.ID]
	}
	for _, name := range organisations {
		if given[name] > 0 {
			f.beyond(name, given[name]+1, given[name])
		}
		if seqs := f.seqsOf(name); len(seqs) != want[name] {
			f.Errorf("feed of %s: %v, want %d entries", name, seqs, want[name])
		}
	}
}

// leftOf checks that of the shipments those are left that are young, and returns them.
func (f *fixture) leftOf(all []orders.Shipment, r orders.Retention) (left []orders.Shipment) {
	f.Helper()
	for _, s := range all {
		old := s.Accepted.Before(f.now.Add(-r.Of(s.Organisation)))
		_, err := f.j.Shipment(ctx(), s.Organisation, s.ID)
		if old != errors.Is(err, orders.ErrNotFound) || !old && err != nil {
			f.Fatalf("shipment of %s, accepted %v ago: %v", s.Organisation, f.now.Sub(s.Accepted), err)
		}
		if !old {
			left = append(left, s)
		}
	}
	return left
}
