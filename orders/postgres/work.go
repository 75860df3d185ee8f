package postgres

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// work is the ledger's store in one transaction: what load.go has read and locked, in memory, and what the rules put,
// which write.go writes.
type work struct {
	j    *Journal
	conn *connection
	box  *sealed.Box
	now  time.Time // the database's clock once the rows were locked; zero where the callers' times count alone

	epochs map[int]int64 // of all nodes, likewise; empty where the callers' times count alone

	keys   map[hash]*keyRow
	rows   map[uuid.UUID]*shipmentRow
	refs   map[hash]*refRow
	parked map[ledger.ParkedID]*parkedRow
	blocks map[hash]*blockRow
	listed map[string][]uuid.UUID // by the form of a number that new rows have
	lists  []listing
	feed   []feedRow

	claiming     bool   // what is put belongs to this node from now on
	levels       levels // of parked reports, as this transaction leaves them
	suppressions int    // likewise
	low          time.Time
	deadline     time.Time // the first new one
}

type keyRow struct {
	shipment uuid.UUID
	changed  bool
}

type shipmentRow struct {
	orders.Shipment
	key     hash
	node    int
	epoch   int64
	newer   []byte // what a newer program has appended to the record
	fresh   bool   // not in the database yet
	changed bool
	bad     error // it can't be read
}

type refRow struct {
	ledger.Ref
	at      time.Time
	there   bool // in the database
	changed bool
}

type parkedRow struct {
	orders.Report
	octets int
	record []byte // of one that is fresh
	fresh  bool
	gone   bool
	bad    error
}

type blockRow struct {
	orders.Block
	newer   []byte // as of a shipment
	was     hash   // where it is in the database; zero: nowhere
	changed bool
	bad     error
}

// listing is a change of the index of unanswered shipments.
type listing struct {
	number string
	id     uuid.UUID
	until  time.Time // zero: it is removed
}

type feedRow struct {
	organisation string
	shipment     uuid.UUID
	status       orders.Status
	at           time.Time
}

var _ ledger.Store = (*work)(nil)

func (j *Journal) newWork(conn *connection) *work {
	w := &work{
		j: j, conn: conn, box: j.box(), epochs: map[int]int64{},
		keys: map[hash]*keyRow{}, rows: map[uuid.UUID]*shipmentRow{}, refs: map[hash]*refRow{},
		parked: map[ledger.ParkedID]*parkedRow{}, blocks: map[hash]*blockRow{}, listed: map[string][]uuid.UUID{},
	}
	w.levels, w.suppressions = j.counts.now()
	return w
}

// ledger returns the rules over this transaction.
func (w *work) ledger() *ledger.Ledger {
	o := &w.j.opt
	return &ledger.Ledger{Store: w, MaxParked: o.MaxParked, MaxParkedOctets: o.MaxParkedOctets, MaxSuppressions: o.MaxSuppressions, Log: w.j.log}
}

// ownerLives reports whether the node that has claimed a shipment lives: it will answer.
func (w *work) ownerLives(shipment uuid.UUID) bool {
	r := w.rows[shipment]
	epoch, ok := w.epochs[r.node]
	return ok && epoch == r.epoch
}

// Key implements ledger.Store.
func (w *work) Key(organisation, key string) (s orders.Shipment, ok, stored bool, err error) {
	k := w.keys[hashOf(organisation, key)]
	if k == nil {
		return s, false, false, nil
	}
	s, ok, err = w.Shipment(k.shipment)
	return s, ok, true, err
}

// PutKey implements ledger.Store.
func (w *work) PutKey(organisation, key string, id uuid.UUID, _ bool) error {
	if w.rows[id] != nil {
		return fmt.Errorf("journal: shipment %s exists under another key", id)
	}
	h := hashOf(organisation, key)
	k := w.keys[h]
	if k == nil {
		return fmt.Errorf("journal: a key was not loaded")
	}
	k.changed = k.changed || k.shipment != id
	k.shipment = id
	w.rows[id] = &shipmentRow{key: h, fresh: true}
	return nil
}

// Room implements ledger.Store: a database has room until it has not, and then refuses all.
func (w *work) Room() error { return nil }

// Shipment implements ledger.Store.
func (w *work) Shipment(id uuid.UUID) (orders.Shipment, bool, error) {
	r := w.rows[id]
	switch {
	case r == nil || r.fresh && !r.changed:
		return orders.Shipment{}, false, nil
	case r.bad != nil:
		return orders.Shipment{}, false, r.bad
	}
	return copied(r.Shipment), true, nil
}

// copied returns the shipment as it is, whatever becomes of it.
func copied(s orders.Shipment) orders.Shipment {
	s.Parts = slices.Clone(s.Parts)
	for i := range s.Parts {
		s.Parts[i].Refs = slices.Clone(s.Parts[i].Refs)
	}
	return s
}

// PutShipment implements ledger.Store. A deadline that is past, or nearly, may be before what the keeper looks at.
func (w *work) PutShipment(s *orders.Shipment, dated bool) error {
	r := w.rows[s.ID]
	if r == nil {
		return fmt.Errorf("journal: shipment %s was not loaded", s.ID)
	}
	r.Shipment, r.changed = copied(*s), true
	if w.claiming {
		r.node, r.epoch = w.j.opt.Node, w.j.lease.epochNow()
	}
	if !dated {
		return nil
	}
	w.deadline = first(w.deadline, s.Deadline)
	if s.Deadline.Before(w.j.Now().Add(-lowMargin)) {
		w.low = first(w.low, s.Deadline)
	}
	return nil
}

// AppendFeed implements ledger.Store.
func (w *work) AppendFeed(s *orders.Shipment) error {
	w.feed = append(w.feed, feedRow{s.Organisation, s.ID, s.Status, s.Updated})
	return nil
}

// Ref implements ledger.Store.
func (w *work) Ref(carrier, ref string) (ledger.Ref, error) {
	if _, r := w.ref(carrier, ref); r != nil {
		return r.Ref, nil
	}
	return ledger.Ref{}, nil
}

// ref returns where a reference is, and its row; or where a new one has to be, and nil.
func (w *work) ref(carrier, ref string) (hash, *refRow) {
	all := refForms(w.box, carrier, ref)
	for _, h := range all {
		if r := w.refs[h]; r != nil {
			return h, r
		}
	}
	return all[0], nil
}

// PutRef implements ledger.Store.
func (w *work) PutRef(carrier, ref string, to ledger.Ref, at time.Time) error {
	h, r := w.ref(carrier, ref)
	if r == nil {
		r = &refRow{}
		w.refs[h] = r
	}
	to.Stored = !to.Bound.None() || to.Parked != ""
	r.Ref, r.at, r.changed = to, at, true
	return nil
}

// maxUnanswered bounds the shipments of one number that Unanswered returns: of more than one, none is matched without
// a user reference.
const maxUnanswered = 64

// Unanswered implements ledger.Store.
func (w *work) Unanswered(number string) ([]uuid.UUID, error) {
	all := slices.Clone(w.listed[w.form(number)])
	slices.SortFunc(all, compareIDs)
	return all[:min(len(all), maxUnanswered)], nil
}

func compareIDs(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }

// form returns by what a number is in listed.
func (w *work) form(number string) string { return string(sealedNumber(w.box, []byte(number))) }

// List implements ledger.Store. The entry stays for as long as a report may wait that could be about its shipment.
func (w *work) List(s *orders.Shipment) error {
	number := s.Recipient.Number()
	if form := w.form(number); !slices.Contains(w.listed[form], s.ID) {
		w.listed[form] = append(w.listed[form], s.ID)
	}
	w.lists = append(w.lists, listing{number, s.ID, s.MatchedUntil().Add(ledger.ParkedRetention)})
	return nil
}

// Unlist implements ledger.Store.
func (w *work) Unlist(s *orders.Shipment) error {
	number := s.Recipient.Number()
	form := w.form(number)
	w.listed[form] = slices.DeleteFunc(w.listed[form], func(id uuid.UUID) bool { return id == s.ID })
	w.lists = append(w.lists, listing{number: number, id: s.ID})
	return nil
}

// Parked implements ledger.Store.
func (w *work) Parked(_ string, id ledger.ParkedID) (orders.Report, error) {
	r := w.parked[id]
	switch {
	case r == nil || r.gone:
		return orders.Report{}, fmt.Errorf("%w: a parked report that is gone", ledger.ErrCorrupt)
	case r.bad != nil:
		return orders.Report{}, r.bad
	}
	report := r.Report
	report.Refs = slices.Clone(report.Refs)
	return report, nil
}

// Park implements ledger.Store.
func (w *work) Park(r *orders.Report) (ledger.ParkedID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	row := &parkedRow{Report: *r, fresh: true}
	row.Refs, row.Hints = slices.Clone(r.Refs), nil
	row.record = encodeReport(w.box, id, &row.Report, nil)
	row.octets = len(row.record)
	key := ledger.ParkedID(id[:])
	w.parked[key] = row
	w.levels = w.levels.with(r.Carrier, 1, row.octets)
	return key, nil
}

// Unpark implements ledger.Store.
func (w *work) Unpark(carrier string, id ledger.ParkedID) error {
	if r := w.parked[id]; r != nil && !r.gone {
		r.gone = true
		w.levels = w.levels.with(carrier, -1, -r.octets)
	}
	return nil
}

// OldestParked implements ledger.Store. It is the one look that load can't foresee.
func (w *work) OldestParked(carrier string) (ledger.ParkedID, time.Time, error) {
	id, err := w.loadOldest(carrier)
	if err != nil || id == "" {
		for _, own := range slices.Sorted(maps.Keys(w.parked)) {
			if r := w.parked[own]; r.fresh && !r.gone && r.Carrier == carrier {
				return own, r.At, err
			}
		}
		return "", time.Time{}, err
	}
	return id, w.parked[id].At, nil
}

// ParkedReports implements ledger.Store. Other nodes park reports too: those that were loaded count at least.
func (w *work) ParkedReports(carrier string) (n int, octets int64) {
	l := w.levels[carrier]
	loaded := 0
	for _, r := range w.parked {
		if r.Carrier == carrier && !r.gone {
			loaded++
		}
	}
	return max(l.n, loaded), max(l.octets, 0)
}

// ParkedCarriers implements ledger.Store.
func (w *work) ParkedCarriers() []string { return slices.Sorted(maps.Keys(w.levels)) }

// Blocked implements ledger.Store.
func (w *work) Blocked(organisation string, c orders.Channel, to orders.Recipient) (orders.Block, error) {
	for _, h := range blockForms(w.box, organisation, c, to) {
		if b := w.blocks[h]; b != nil {
			return b.Block, b.bad
		}
	}
	return orders.Block{}, nil
}

// PutBlocked implements ledger.Store.
func (w *work) PutBlocked(b orders.Block) error {
	r := &blockRow{Block: b, changed: true}
	all := blockForms(w.box, b.Organisation, b.Channel, b.Recipient)
	for _, h := range all {
		if before := w.blocks[h]; before != nil {
			if before.Suppression() {
				w.suppressions--
			}
			r.was, r.newer = before.was, before.newer
			delete(w.blocks, h)
		}
	}
	if b.Suppression() {
		w.suppressions++
	}
	w.blocks[all[0]] = r
	return nil
}

// Suppressions implements ledger.Store. Other nodes begin suppressions too: those that were loaded count at least.
func (w *work) Suppressions() (int, error) {
	loaded := 0
	for _, b := range w.blocks {
		if b.Suppression() {
			loaded++
		}
	}
	return max(w.suppressions, loaded), nil
}
