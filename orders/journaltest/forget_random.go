package journaltest

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"straks/orders"
)

// The part of persons who are forgotten in a random run.

// forgetOne forgets the recipient of a message, or drops a report that waits for a person. It may be done of a message that
// is under way, which changes nothing, and of one that has changed since it was looked up.
func (r *run) forgetOne() {
	if waiting := r.waiting(); len(waiting) > 0 && r.IntN(3) == 0 {
		w := waiting[r.IntN(len(waiting))]
		r.event(orders.Drop{Carrier: w.Carrier, Refs: slices.Clone(w.Refs), Recipient: w.Recipient})
		return
	}
	if len(r.claims) == 0 {
		return
	}
	s := r.model.shipments[r.claims[max(len(r.claims)-1-r.IntN(20), 0)].ID]
	f, ok := s.Forgetting(r.now)
	if !ok {
		f = orders.Forget{Shipment: s.ID, Carrier: s.Carrier, At: r.now}
	}
	r.event(f)
}

// waiting returns the reports that wait and name a person, in order.
func (r *run) waiting() (all []orders.Report) {
	for _, w := range r.model.parked {
		if w.Recipient.Number() != "" && w.Carrier != "" {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b orders.Report) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return slices.Compare(a.Refs, b.Refs)
	})
	return all
}

// forgotten erases the recipient from the entries of the feed: a reader gets the shipment as it is now.
func (m *model) forgotten(id uuid.UUID) {
	for i := range m.feed {
		if m.feed[i].ID == id {
			m.feed[i].Recipient = orders.Forgotten
		}
	}
}

// compareForgotten: who was forgotten is not found any more, and is in nothing that came later. All others are found.
func (r *run) compareForgotten() {
	r.Helper()
	for _, to := range slices.Concat(numbers, addresses) {
		want := make(map[uuid.UUID]bool)
		for id, s := range r.model.shipments {
			if orders.BlockForm(s.Channel, s.Recipient) == orders.BlockForm(s.Channel, to) {
				want[id] = true
			}
		}
		found, err := r.j.Find(ctx(), orders.FindQuery{Recipient: to, Limit: 1 << 10})
		if err != nil {
			r.Fatal(err)
		}
		for _, s := range found {
			if !want[s.ID] {
				r.Fatalf("found of %s, and not sent to it: %+v", string(to), s)
			}
			delete(want, s.ID)
		}
		if len(want) > 0 {
			r.Fatalf("of %s, %d are not found", string(to), len(want))
		}
	}
	for _, s := range r.model.shipments {
		if s.Recipient != orders.Forgotten {
			continue
		}
		for _, p := range s.Parts {
			if slices.ContainsFunc(p.Refs, func(ref string) bool { return !strings.HasPrefix(ref, orders.IDPrefix) }) {
				r.Fatalf("forgotten, and has references that may name the recipient: %+v", s)
			}
		}
	}
}
