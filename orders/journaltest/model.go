package journaltest

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"straks/orders"
)

// model is a journal of one organisation in memory, as plain as can be: no
// persistence, no retention.
type model struct {
	keys      map[string]*orders.Shipment
	shipments map[uuid.UUID]*orders.Shipment
	bound     map[string][]orders.Binding // the newest first, and the one before
	parked    map[string]*orders.Report   // under each of its references
	feed      []orders.Shipment           // as they were
}

func newModel() *model {
	return &model{
		keys:      make(map[string]*orders.Shipment),
		shipments: make(map[uuid.UUID]*orders.Shipment),
		bound:     make(map[string][]orders.Binding),
		parked:    make(map[string]*orders.Report),
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
	known := copied(s)
	known.Held = s.Claim != in.Claim && s.InFlight(in.At)
	return known, s.Claim == in.Claim
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
	if s.Status.InFeed() {
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
		to, ok := m.about(&e)
		if !ok {
			m.park(e)
			return orders.Effect{Parked: true}
		}
		m.step(&eff, to.Shipment, func() bool { return to.Shipment.Report(to.Part, e) })
		eff.Shipment, eff.Found = copied(to.Shipment), true
	case orders.Expiry:
		s := m.shipments[e.Shipment]
		m.step(&eff, s, func() bool { return s.Expire(e.At) })
		eff.Shipment, eff.Found = copied(s), true
	}
	return eff
}

// about returns the part that a report is about.
func (m *model) about(r *orders.Report) (orders.Binding, bool) {
	var parts []orders.Binding
	for i, ref := range r.Refs {
		parts = append(parts, meant(r, i, m.bound[ref])...)
	}
	if n := r.Choose(parts); n >= 0 {
		return parts[n], true
	}
	return orders.Binding{}, false
}

func meant(r *orders.Report, i int, bound []orders.Binding) (parts []orders.Binding) {
	for _, b := range bound {
		if r.Means(i, &b.Shipment.Parts[b.Part]) {
			parts = append(parts, b)
		}
	}
	return parts
}

func (m *model) park(r orders.Report) {
	var free []string
	for _, ref := range r.Refs {
		have := m.parked[ref]
		if have != nil && !r.Better(have) {
			continue
		}
		m.unpark(have)
		free = append(free, ref)
	}
	for _, ref := range free {
		m.parked[ref] = &r
	}
}

func (m *model) unpark(r *orders.Report) {
	maps.DeleteFunc(m.parked, func(_ string, have *orders.Report) bool { return have == r })
}

// waiting is a report that an answer has claimed.
type waiting struct {
	part   int
	report orders.Report
}

// bind binds what the shipment took of the answer; the reports that waited are
// applied oldest first, as they happened.
func (m *model) bind(eff *orders.Effect, s *orders.Shipment, a orders.Answer) {
	var all []waiting
	for _, pa := range a.Parts {
		for _, ref := range pa.Refs {
			if pa.Index >= len(s.Parts) || !slices.Contains(s.Parts[pa.Index].Refs, ref) {
				continue
			}
			if r := m.bindOne(ref, orders.Binding{Shipment: s, Part: pa.Index}); r != nil {
				all = append(all, waiting{pa.Index, *r})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b waiting) int { return a.report.At.Compare(b.report.At) })
	for _, w := range all {
		m.step(eff, s, func() bool { return s.Report(w.part, w.report) })
	}
}

// bindOne returns the report that waited for the reference.
func (m *model) bindOne(ref string, to orders.Binding) *orders.Report {
	if slices.Contains(m.bound[ref], to) {
		return nil
	}
	all := append([]orders.Binding{to}, m.bound[ref]...)
	m.bound[ref] = all[:min(len(all), 2)]
	r := m.parked[ref]
	if r == nil {
		return nil
	}
	parts := meant(r, slices.Index(r.Refs, ref), m.bound[ref])
	if len(parts) == 0 || parts[0] != to {
		return nil
	}
	awaited, gone := r.Awaited(parts)
	if awaited || gone {
		m.unpark(r)
	}
	if !awaited {
		return nil
	}
	return r
}
