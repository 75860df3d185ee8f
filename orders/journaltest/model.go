package journaltest

import (
	"slices"

	"github.com/google/uuid"

	"straks/orders"
)

// model is a journal of one organisation in memory, as plain as can be: no
// persistence, no retention, one reference for each report.
type model struct {
	finalOnly bool
	keys      map[string]*orders.Shipment
	shipments map[uuid.UUID]*orders.Shipment
	bound     map[string][]orders.Binding // the newest first, and the one before
	parked    map[string]orders.Report
	feed      []orders.Shipment // as they were
}

func newModel(finalOnly bool) *model {
	return &model{
		finalOnly: finalOnly,
		keys:      make(map[string]*orders.Shipment),
		shipments: make(map[uuid.UUID]*orders.Shipment),
		bound:     make(map[string][]orders.Binding),
		parked:    make(map[string]orders.Report),
	}
}

func (m *model) accept(in orders.Intake) (orders.Shipment, bool) {
	s, ok := m.keys[in.Key]
	switch {
	case !ok:
		claimed := orders.Claim(in)
		m.keys[in.Key], m.shipments[in.Shipment] = &claimed, &claimed
		return copied(&claimed), true
	case s.Status.Free():
		s.Reclaim(in)
		return copied(s), true
	}
	return copied(s), s.Claim == in.Claim
}

// copied returns the shipment as it is, whatever becomes of it.
func copied(s *orders.Shipment) orders.Shipment {
	c := *s
	c.Parts = slices.Clone(s.Parts)
	for i := range c.Parts {
		c.Parts[i].Refs = slices.Clone(s.Parts[i].Refs)
	}
	return c
}

func (m *model) step(eff *orders.Effect, s *orders.Shipment, do func() bool) {
	from := s.Status
	if !do() {
		return
	}
	eff.Changes = append(eff.Changes, orders.Change{From: from, To: s.Status, At: s.Updated})
	if s.Status.InFeed(m.finalOnly) {
		m.feed = append(m.feed, copied(s))
	}
}

func (m *model) apply(e orders.Event) (eff orders.Effect) {
	switch e := e.(type) {
	case orders.Answer:
		s := m.shipments[e.Shipment]
		m.step(&eff, s, func() bool { return s.Answer(e) })
		m.bind(&eff, s, e)
		eff.Shipment, eff.Found = copied(s), true
	case orders.Report:
		ref := e.Refs[0]
		parts := m.bound[ref]
		n := e.Choose(parts)
		if n < 0 {
			have, waits := m.parked[ref]
			if !waits || e.Better(&have) {
				m.parked[ref] = e
			}
			return orders.Effect{Parked: true}
		}
		s := parts[n].Shipment
		m.step(&eff, s, func() bool { return s.Report(parts[n].Part, e) })
		eff.Shipment, eff.Found = copied(s), true
	case orders.Expiry:
		s := m.shipments[e.Shipment]
		m.step(&eff, s, func() bool { return s.Expire(e.At) })
		eff.Shipment, eff.Found = copied(s), true
	}
	return eff
}

// bind binds what the shipment took of the answer; the reports that waited are
// applied oldest first, as they happened.
func (m *model) bind(eff *orders.Effect, s *orders.Shipment, a orders.Answer) {
	type waiting struct {
		part   int
		report orders.Report
	}
	var all []waiting
	for _, pa := range a.Parts {
		if pa.Index >= len(s.Parts) || !slices.Contains(s.Parts[pa.Index].Refs, pa.Refs[0]) {
			continue
		}
		ref, to := pa.Refs[0], orders.Binding{Shipment: s, Part: pa.Index}
		if slices.Contains(m.bound[ref], to) {
			continue
		}
		parts := append([]orders.Binding{to}, m.bound[ref]...)
		parts = parts[:min(len(parts), 2)]
		m.bound[ref] = parts
		if r, ok := m.parked[ref]; ok {
			awaited, gone := r.Awaited(parts)
			if awaited || gone {
				delete(m.parked, ref)
			}
			if awaited {
				all = append(all, waiting{pa.Index, r})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b waiting) int { return a.report.At.Compare(b.report.At) })
	for _, w := range all {
		m.step(eff, s, func() bool { return s.Report(w.part, w.report) })
	}
}
