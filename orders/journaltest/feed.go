package journaltest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

func (f *fixture) seqs(q orders.FeedQuery) (seqs []uint64) {
	f.Helper()
	q.Organisation = org
	page, err := f.j.Feed(ctx(), q)
	if err != nil {
		f.Fatalf("feed: %v", err)
	}
	for _, e := range page {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func feedOrder(f *fixture) {
	if got := f.seqs(orders.FeedQuery{Limit: 10}); len(got) != 0 {
		f.Fatalf("an empty feed: %v", got)
	}
	for i := range 5 {
		f.taken(fmt.Sprint(i), fmt.Sprint("m", i))
	}
	for _, c := range []struct {
		q    orders.FeedQuery
		want []uint64
	}{
		{orders.FeedQuery{Limit: 10}, []uint64{1, 2, 3, 4, 5}},
		{orders.FeedQuery{Limit: 2}, []uint64{1, 2}},
		{orders.FeedQuery{Seq: 2, Limit: 2}, []uint64{3, 4}},
		{orders.FeedQuery{Seq: 5, Limit: 2}, nil},
		{orders.FeedQuery{Descending: true, Limit: 2}, []uint64{5, 4}},
		{orders.FeedQuery{Descending: true, Seq: 4, Limit: 10}, []uint64{3, 2, 1}},
		{orders.FeedQuery{Descending: true, Seq: 1, Limit: 10}, nil},
		{orders.FeedQuery{Descending: true, Seq: 99, Limit: 2}, []uint64{5, 4}},
	} {
		if got := f.seqs(c.q); !slices.Equal(got, c.want) {
			f.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
	f.apply(f.report(orders.SMSDelivered, "m2"))
	page, err := f.j.Feed(ctx(), orders.FeedQuery{Organisation: org, Limit: 10})
	if err != nil || len(page) != 6 {
		f.Fatalf("%d entries, %v", len(page), err)
	}
	// An entry keeps the status that it had, whatever came of it.
	then, now := page[2].Shipment, page[5].Shipment
	if then.ID != now.ID || then.Status != orders.SMSAccepted || now.Status != orders.SMSDelivered {
		f.Fatalf("entries %v and %v", then.Status, now.Status)
	}
	if now.SendersReference != "ref-2" || now.Recipient != "+4799999999" || now.Channel != orders.SMS || !now.Updated.Equal(f.now) {
		f.Fatalf("entry %+v", now)
	}
}

// feedFinalOnly reads one feed in both ways: the number of an entry does not depend on the query.
func feedFinalOnly(f *fixture) {
	f.taken("a", "m1")
	f.apply(f.report(orders.SMSDelivered, "m1"))
	refused := f.answer(f.sent("b"), handover.Refused)
	refused.Status = orders.SMSFailedRejected
	f.apply(refused)
	f.wantFeed(orders.SMSAccepted, orders.SMSDelivered, orders.SMSFailedRejected)
	f.taken("c", "m3")
	for _, c := range []struct {
		q    orders.FeedQuery
		want []uint64
	}{
		{orders.FeedQuery{Limit: 10}, []uint64{2, 3}},
		{orders.FeedQuery{Limit: 1}, []uint64{2}},
		{orders.FeedQuery{Seq: 2, Limit: 1}, []uint64{3}},
		{orders.FeedQuery{Seq: 3, Limit: 10}, nil},
		{orders.FeedQuery{Descending: true, Limit: 1}, []uint64{3}},
		{orders.FeedQuery{Descending: true, Seq: 3, Limit: 10}, []uint64{2}},
	} {
		c.q.FinalOnly = true
		if got := f.seqs(c.q); !slices.Equal(got, c.want) {
			f.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
}

// beyond checks that a query from seq fails, and which number it is told to be the newest.
func (f *fixture) beyond(organisation string, seq, newest uint64) {
	f.Helper()
	for _, q := range []orders.FeedQuery{{Limit: 2}, {Limit: 2, FinalOnly: true}, {}} {
		q.Organisation, q.Seq = organisation, seq
		page, err := f.j.Feed(ctx(), q)
		var beyond *orders.BeyondNewestError
		if len(page) != 0 || !errors.As(err, &beyond) || beyond.Newest != newest {
			f.Errorf("%+v: %d entries, %v; want the newest, %d", q, len(page), err, newest)
		}
	}
}

// feedBeyond: only a number that the feed has not given out is beyond it, whatever was removed since.
func feedBeyond(f *fixture) {
	f.beyond(org, 1, 0)
	f.taken("a", "m1")
	f.apply(f.report(orders.SMSDelivered, "m1"))
	f.taken("b", "m2") // not final
	for range 2 {
		for _, seq := range []uint64{4, 1 << 62, 1<<64 - 1} {
			f.beyond(org, seq, 3)
		}
		f.beyond("other", 1, 0)
		for _, q := range []orders.FeedQuery{{Seq: 3}, {Seq: 3, FinalOnly: true}} {
			q.Limit = 10
			if got := f.seqs(q); got != nil {
				f.Errorf("%+v: %v", q, got)
			}
		}
		f.reopen()
	}
	f.apply(f.report(orders.SMSDelivered, "m2"))
	f.pass(100 * time.Hour)
	for {
		swept, err := f.j.Sweep(ctx(), f.now, orders.Retention{All: time.Hour}, 100)
		if err != nil {
			f.Fatal(err)
		}
		if !swept.More {
			break
		}
	}
	if got := f.seqs(orders.FeedQuery{Limit: 10}); got != nil {
		f.Fatalf("after retention: %v", got)
	}
	if got := f.seqs(orders.FeedQuery{Seq: 4, Limit: 10}); got != nil {
		f.Errorf("from the last that was given out: %v", got)
	}
	f.beyond(org, 5, 4)
}

func feedOrganisations(f *fixture) {
	for i, organisation := range []string{"a", "ab", "a", "ab", "ab"} {
		in := f.acceptRequest(fmt.Sprint(i))
		in.Organisation = organisation
		s, _ := f.accept(in)
		f.apply(f.answer(s, handover.Accepted, fmt.Sprint("m", i)))
	}
	for organisation, want := range map[string]int{"a": 2, "ab": 3, "b": 0, "": 0} {
		page, err := f.j.Feed(ctx(), orders.FeedQuery{Organisation: organisation, Limit: 10})
		if err != nil || len(page) != want {
			f.Fatalf("%q: %d entries, %v", organisation, len(page), err)
		}
		for i, e := range page {
			if e.Seq != uint64(i+1) || e.Shipment.Organisation != organisation {
				f.Fatalf("%q: entry %d is %+v", organisation, i, e)
			}
		}
	}
}

// feedNeverFilledLater has readers follow the feed while writers add to it: a
// follower that never looks back must have seen everything.
func feedNeverFilledLater(f *fixture) { follow(f, f.j, f.j) }

// twoFollowers is the same with writers and readers on both handles.
func twoFollowers(f *fixture) {
	nodes := f.handles()
	follow(f, nodes[0], nodes[1])
}

func follow(f *fixture, nodes ...orders.Journal) {
	const writers, each, readers = 8, 20, 4
	var writing, reading sync.WaitGroup
	for w := range writers {
		j := nodes[w%len(nodes)]
		writing.Go(func() {
			for i := range each {
				ref := fmt.Sprintf("w%d-%d", w, i)
				s, _, err := j.Accept(ctx(), f.acceptRequest(ref))
				if err != nil {
					f.Error(err)
					return
				}
				if _, err := j.Apply(ctx(), []orders.Event{f.answer(s, handover.Accepted, ref), f.report(orders.SMSDelivered, ref)}); err != nil {
					f.Error(err)
					return
				}
			}
		})
	}
	for r := range readers {
		j := nodes[r%len(nodes)]
		reading.Go(func() {
			seen, last := 0, uint64(0)
			for seen < 2*writers*each && !f.Failed() {
				page, err := j.Feed(ctx(), orders.FeedQuery{Organisation: org, Seq: last, Limit: 7})
				if err != nil {
					f.Error(err)
					return
				}
				for _, e := range page {
					if e.Seq <= last {
						f.Errorf("%d after %d", e.Seq, last)
						return
					}
					last = e.Seq
					seen++
				}
			}
		})
	}
	writing.Wait()
	reading.Wait()
	if n := len(f.feed(org)); n != 2*writers*each {
		f.Fatalf("%d entries", n)
	}
}
