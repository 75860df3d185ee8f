package ledger

import (
	"cmp"
	"errors"
	"slices"

	"straks/orders"
)

// about returns the shipment and part that a report is about; nil where none of its references
// leads to it.
func (l *Ledger) about(r *orders.Report) (*orders.Shipment, int, error) {
	if r.Carrier == orders.MailReports {
		return l.aboutMail(r)
	}
	parts := make([]orders.Binding, 0, 4)
	for i, name := range r.Refs {
		have, err := l.Store.Ref(r.Carrier, name)
		if err != nil {
			return nil, 0, err
		}
		for _, b := range []Binding{have.Bound, have.Before} {
			if parts, err = l.addPart(parts, b, r, i); err != nil {
				return nil, 0, err
			}
		}
	}
	if n := r.Choose(parts); n >= 0 {
		return parts[n].Shipment, parts[n].Part, nil
	}
	return nil, 0, nil
}

// addPart adds the part of a binding, if it still exists and a report with it as its i-th reference
// may be meant for it. A shipment that can't be read counts as gone: it must cost neither the other
// shipment with its reference, nor, over a report that is sent again and again, all reports after it.
func (l *Ledger) addPart(parts []orders.Binding, b Binding, r *orders.Report, i int) ([]orders.Binding, error) {
	if b.None() {
		return parts, nil
	}
	s, ok, err := l.Store.Shipment(b.Shipment)
	if errors.Is(err, ErrCorrupt) {
		l.Log.Error("shipment can't be read, a receipt for it waits in vain; see straks journal check", "shipment", b.Shipment, "err", err)
		return parts, nil
	}
	bound := orders.Binding{Shipment: &s, Part: b.Part}
	if err != nil || !ok || b.Part >= len(s.Parts) || !r.Means(i, bound) {
		return parts, err
	}
	return append(parts, bound), nil
}

// hint returns the first of a report's hints that is bound.
func (l *Ledger) hint(r *orders.Report) (orders.MismatchHint, error) {
	for _, h := range r.Hints {
		if known, err := l.Store.Ref(r.Carrier, h.Ref); err != nil || !known.Bound.None() {
			return h, err
		}
	}
	return orders.MismatchHint{}, nil
}

// claimedReport is a parked report that an answer has claimed.
type claimedReport struct {
	report orders.Report
	part   int
}

// bind binds the references of an answer to its parts, and takes out the reports that waited for
// them, oldest first. An answer that the shipment did not take binds nothing.
func (l *Ledger) bind(s *orders.Shipment, a *orders.Answer) (claimed []claimedReport, err error) {
	for _, pa := range a.Parts {
		if pa.Index < 0 || pa.Index >= len(s.Parts) {
			continue
		}
		for _, name := range pa.Refs {
			if !slices.Contains(s.Parts[pa.Index].Refs, name) {
				continue
			}
			report, err := l.bindOne(name, orders.Binding{Shipment: s, Part: pa.Index})
			if err != nil {
				return nil, err
			}
			if report != nil {
				claimed = append(claimed, claimedReport{*report, pa.Index})
			}
		}
	}
	slices.SortStableFunc(claimed, func(a, b claimedReport) int { return cmp.Compare(a.report.At.UnixMicro(), b.report.At.UnixMicro()) })
	return claimed, nil
}

// bindOne binds one reference to a part, ahead of the part that had it before, and returns the
// report that waited for it.
func (l *Ledger) bindOne(name string, part orders.Binding) (report *orders.Report, err error) {
	s, to := part.Shipment, Binding{part.Shipment.ID, part.Part}
	have, err := l.Store.Ref(s.Carrier, name)
	if err != nil || have.Bound == to || have.Before == to {
		return nil, err
	}
	have.Bound, have.Before = to, have.Bound
	if have.Parked != "" {
		if report, err = l.claimParked(&have, name, part); err != nil {
			return nil, err
		}
	}
	return report, l.Store.PutRef(s.Carrier, name, have, s.Accepted)
}

// claimParked takes out the report that waits under a reference, if it is about the part that the
// reference is now bound to. Else the report goes on waiting, unless it is too old.
func (l *Ledger) claimParked(have *Ref, name string, part orders.Binding) (*orders.Report, error) {
	r, err := l.Store.Parked(part.Shipment.Carrier, have.Parked)
	if errors.Is(err, ErrCorrupt) {
		have.Parked = "" // it must cost no answer; retention drops it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i := slices.Index(r.Refs, name)
	if !r.Means(i, part) {
		return nil, nil
	}
	parts, err := l.addPart(append(make([]orders.Binding, 0, 2), part), have.Before, &r, i)
	if err != nil {
		return nil, err
	}
	awaited, gone := r.Awaited(parts)
	if !awaited && !gone {
		return nil, nil
	}
	err = l.unpark(have.Parked, &r)
	have.Parked, have.Stored = "", true
	if gone {
		return nil, err
	}
	return &r, err
}
