package journaltest

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
)

// model is a journal of one organisation in memory: the ledger over a store of maps. It has no
// persistence and no retention. It works as an engine with a server behind it does: before each
// batch of events it loads what they name, and a get of anything else is a fault.
type model struct {
	keys      map[string]uuid.UUID
	shipments map[uuid.UUID]orders.Shipment
	refs      map[ledger.Name]ledger.Ref
	parked    map[ledger.ParkedID]orders.Report
	blocked   map[string]orders.Block
	listed    map[string][]uuid.UUID // unanswered shipments by number
	feed      []orders.Shipment      // as they were
	number    int                    // of the last parked report
	loaded    map[any]bool           // ids of shipments and parked reports, names of references
}

func newModel() *model {
	return &model{
		keys:      make(map[string]uuid.UUID),
		shipments: make(map[uuid.UUID]orders.Shipment),
		refs:      make(map[ledger.Name]ledger.Ref),
		parked:    make(map[ledger.ParkedID]orders.Report),
		blocked:   make(map[string]orders.Block),
		listed:    make(map[string][]uuid.UUID),
	}
}

func (m *model) ledger() *ledger.Ledger {
	return &ledger.Ledger{Store: m, MaxParked: 1 << 20, MaxParkedOctets: 1 << 40, MaxSuppressions: 1 << 20, Log: slog.Default()}
}

func (m *model) accept(in orders.AcceptRequest) (orders.Shipment, bool) {
	s, claimed, err := m.ledger().Accept(&in)
	if err != nil {
		panic(err)
	}
	return s, claimed
}

func (m *model) apply(e orders.Event) orders.Effect {
	m.load(e)
	eff, err := m.ledger().Apply(e)
	if err != nil {
		panic(err)
	}
	return eff
}

// load notes what the events need: what they name, the shipments and parked reports that their
// references lead to, the references of those reports, and the unanswered shipments of their numbers.
func (m *model) load(events ...orders.Event) {
	m.loaded = make(map[any]bool)
	shipments, refs, numbers := ledger.Names(events)
	for _, id := range shipments {
		m.loaded[id] = true
	}
	for _, number := range numbers {
		m.loaded[number] = true
		for _, id := range m.listed[number] {
			m.loaded[id] = true
		}
	}
	for _, name := range refs {
		m.loaded[name] = true
		r := m.refs[name]
		m.loaded[r.Bound.Shipment], m.loaded[r.Before.Shipment], m.loaded[r.Parked] = true, true, true
		for _, other := range m.parked[r.Parked].Refs {
			m.loaded[ledger.Name{Carrier: name.Carrier, Ref: other}] = true
		}
	}
}

func (m *model) need(what any) {
	if !m.loaded[what] {
		panic(fmt.Sprintf("journaltest: the rules read %v, which no event names", what))
	}
}

// matches is orders.Journal.Matches, in the order of shipments.
func (m *model) matches(before, now time.Time) (found []orders.Match) {
	for number, ids := range m.listed {
		var shipments []orders.Shipment
		var reports []orders.Report
		for _, id := range ids {
			shipments = append(shipments, copied(m.shipments[id]))
		}
		for _, id := range slices.Sorted(maps.Keys(m.parked)) { // of those of one time, the first that came counts
			if r := m.parked[id]; r.Recipient.Number() == number {
				reports = append(reports, r)
			}
		}
		found = append(found, orders.FindMatches(reports, shipments, before, now)...)
	}
	return found
}

// copied returns the shipment as it is, whatever becomes of it.
func copied(s orders.Shipment) orders.Shipment {
	s.Parts = slices.Clone(s.Parts)
	for i := range s.Parts {
		s.Parts[i].Refs = slices.Clone(s.Parts[i].Refs)
	}
	return s
}

// The following implement ledger.Store.

func (m *model) Key(_, key string) (s orders.Shipment, ok, stored bool, err error) {
	id, ok := m.keys[key]
	return copied(m.shipments[id]), ok, ok, nil
}

func (m *model) PutKey(_, key string, id uuid.UUID, _ bool) error {
	m.keys[key] = id
	return nil
}

func (m *model) Room() error { return nil }

func (m *model) Shipment(id uuid.UUID) (orders.Shipment, bool, error) {
	m.need(id)
	s, ok := m.shipments[id]
	return copied(s), ok, nil
}

func (m *model) PutShipment(s *orders.Shipment, _ bool) error {
	m.shipments[s.ID] = copied(*s)
	return nil
}

func (m *model) AppendFeed(s *orders.Shipment) error {
	m.feed = append(m.feed, copied(*s))
	return nil
}

func (m *model) Ref(carrier, ref string) (ledger.Ref, error) {
	name := ledger.Name{Carrier: carrier, Ref: ref}
	m.need(name)
	return m.refs[name], nil
}

func (m *model) PutRef(carrier, ref string, r ledger.Ref, _ time.Time) error {
	r.Stored = true
	m.refs[ledger.Name{Carrier: carrier, Ref: ref}] = r
	return nil
}

func (m *model) Unanswered(number string) ([]uuid.UUID, error) {
	m.need(number)
	return slices.SortedFunc(slices.Values(m.listed[number]), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }), nil
}

func (m *model) List(s *orders.Shipment) error {
	m.Unlist(s)
	number := s.Recipient.Number()
	m.listed[number] = append(m.listed[number], s.ID)
	return nil
}

func (m *model) Unlist(s *orders.Shipment) error {
	number := s.Recipient.Number()
	m.listed[number] = slices.DeleteFunc(m.listed[number], func(id uuid.UUID) bool { return id == s.ID })
	return nil
}

func (m *model) Parked(_ string, id ledger.ParkedID) (orders.Report, error) {
	m.need(id)
	r, ok := m.parked[id]
	if !ok {
		return r, ledger.ErrCorrupt
	}
	return r, nil
}

func (m *model) Park(r *orders.Report) (ledger.ParkedID, error) {
	m.number++
	id := ledger.ParkedID(fmt.Sprintf("%09d", m.number))
	m.parked[id] = *r
	return id, nil
}

func (m *model) Unpark(_ string, id ledger.ParkedID) error {
	delete(m.parked, id)
	return nil
}

func (m *model) OldestParked(string) (ledger.ParkedID, time.Time, error) {
	return "", time.Time{}, nil
}

func (m *model) ParkedReports(string) (n int, octets int64) { return len(m.parked), 0 }

func (m *model) ParkedCarriers() []string { return nil }

func (m *model) Blocked(organisation string, c orders.Channel, to orders.Recipient) (orders.Block, error) {
	return m.blocked[organisation+c.String()+string(to)], nil
}

func (m *model) PutBlocked(b orders.Block) error {
	m.blocked[b.Organisation+b.Channel.String()+string(b.Recipient)] = b
	return nil
}

func (m *model) Suppressions() (n int, err error) {
	for _, b := range m.blocked {
		if b.Suppression() {
			n++
		}
	}
	return n, nil
}
