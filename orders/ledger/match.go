package ledger

import (
	"cmp"
	"errors"
	"slices"

	"straks/orders"
)

// unanswered returns the shipments that the index of unanswered ones has of a number. One that can't be
// read counts as gone.
func (l *Ledger) unanswered(to orders.Recipient) (found []orders.Shipment, err error) {
	number := to.Number()
	if number == "" {
		return nil, nil
	}
	ids, err := l.Store.Unanswered(number)
	for _, id := range ids {
		s, ok, err := l.Store.Shipment(id)
		switch {
		case errors.Is(err, ErrCorrupt):
			l.Log.Error("shipment can't be read; see straks journal check", "shipment", id, "err", err)
		case err != nil:
			return nil, err
		case ok:
			found = append(found, s)
		}
	}
	return found, err
}

// put stores a shipment, its deadline if that is new, and keeps the index of unanswered shipments. A claim that Accept has
// listed stays there while it lasts: an event of an earlier claim must not have it overlooked after a crash.
func (l *Ledger) put(s *orders.Shipment, dated bool) error {
	claimed := s.Listed && !s.ClaimUntil.IsZero() && !s.Status.Final()
	list := claimed || s.Unanswered() && s.Recipient.Number() != ""
	if list == s.Listed {
		return l.Store.PutShipment(s, dated)
	}
	s.Listed = list
	do := l.Store.Unlist
	if list {
		do = l.Store.List
	}
	return errors.Join(do(s), l.Store.PutShipment(s, dated))
}

// echoed applies a report, none of whose references is bound, to the unanswered part that has its user
// reference. applied is false where there is none.
func (l *Ledger) echoed(r *orders.Report) (eff orders.Effect, applied bool, err error) {
	if !r.Echoed {
		return eff, false, nil
	}
	candidates, err := l.unanswered(r.Recipient)
	if err != nil {
		return eff, false, err
	}
	s, part, byReference := r.Only(candidates)
	if s == nil || !byReference {
		return eff, false, nil
	}
	eff, err = l.attach(s, part, r)
	eff.Matched = orders.MatchedByReference
	return eff, true, err
}

// match applies a report that waits to the unanswered shipment that it was found to be about, if that
// holds still: others of the same recipient may have become unanswered since.
func (l *Ledger) match(m *orders.Match) (eff orders.Effect, err error) {
	id, r, err := l.waiting(m)
	if err != nil || id == "" {
		return eff, err
	}
	candidates, err := l.unanswered(r.Recipient)
	if err != nil {
		return eff, err
	}
	s, part, byReference := r.Only(candidates)
	if s == nil || s.ID != m.Shipment || !byReference && !r.ByRecipient {
		return eff, nil
	}
	if err := l.unpark(id, &r); err != nil {
		return eff, err
	}
	eff, err = l.attach(s, part, &r)
	eff.Matched = orders.MatchedByRecipient
	if byReference {
		eff.Matched = orders.MatchedByReference
	}
	return eff, err
}

// waiting returns the report of a match, if it waits still.
func (l *Ledger) waiting(m *orders.Match) (ParkedID, orders.Report, error) {
	for _, name := range m.Refs {
		have, err := l.Store.Ref(m.Carrier, name)
		if err != nil || have.Parked == "" {
			if err != nil {
				return "", orders.Report{}, err
			}
			continue
		}
		r, err := l.Store.Parked(m.Carrier, have.Parked)
		switch {
		case errors.Is(err, ErrCorrupt):
			continue
		case err != nil:
			return "", r, err
		case slices.Equal(r.Refs, m.Refs) && r.Recipient == m.Recipient: // else another one waits there by now
			return have.Parked, r, nil
		}
	}
	return "", orders.Report{}, nil
}

// attach applies a report to an unanswered part, and binds its references to that: repeats of it, and
// the final report after an intermediate one, find the part by them.
func (l *Ledger) attach(s *orders.Shipment, part int, r *orders.Report) (eff orders.Effect, err error) {
	eff.Shipment, eff.Found = *s, true
	s = &eff.Shipment
	bounded := *r
	bounded.Refs = r.Refs[:min(len(r.Refs), parkedRefs)]
	part = s.Attach(part, &bounded)
	reports := []claimedReport{{*r, part}}
	for _, name := range bounded.Refs {
		waited, err := l.bindOne(name, orders.Binding{Shipment: s, Part: part})
		if err != nil {
			return eff, err
		}
		if waited != nil {
			reports = append(reports, claimedReport{*waited, part})
		}
	}
	slices.SortStableFunc(reports, func(a, b claimedReport) int { return cmp.Compare(a.report.At.UnixMicro(), b.report.At.UnixMicro()) })
	for _, c := range reports {
		if _, err := l.tell(&eff, c.part, &c.report); err != nil {
			return eff, err
		}
	}
	return eff, l.put(&eff.Shipment, false)
}
