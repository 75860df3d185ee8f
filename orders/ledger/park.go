package ledger

import (
	"errors"
	"time"

	"straks/orders"
)

const (
	// parkedRefs bounds the references of a report under which it waits.
	parkedRefs = 8

	// ParkedRetention is how long a report waits for its answer.
	ParkedRetention = 24 * time.Hour
)

// park keeps a report until its answer comes, under each of its references that has none or a worse
// one (orders.Report.Better), even one that is bound to another message. It reports whether the
// report waits, now or already.
func (l *Ledger) park(r *orders.Report) (waits bool, err error) {
	r.Refs = r.Refs[:min(len(r.Refs), parkedRefs)]
	free := make([]string, 0, len(r.Refs))
	for _, name := range r.Refs {
		have, err := l.Store.Ref(r.Carrier, name)
		better := true
		if err == nil && have.Parked != "" {
			better, err = l.displace(have.Parked, r)
		}
		if err != nil {
			return false, err
		}
		if better {
			free = append(free, name)
		}
		waits = waits || !better
	}
	if len(free) == 0 {
		return waits, nil
	}
	if over := l.Store.ParkedReports() - l.MaxParked + 1; over > 0 {
		if _, err := l.DropParked(over, time.Time{}); err != nil {
			return false, err
		}
	}
	id, err := l.Store.Park(r)
	for _, name := range free {
		if err == nil {
			err = l.setParked(r, name, id)
		}
	}
	return true, err
}

// setParked notes under a reference which report waits there; "": none.
func (l *Ledger) setParked(r *orders.Report, name string, id ParkedID) error {
	have, err := l.Store.Ref(r.Carrier, name)
	if err != nil {
		return err
	}
	have.Parked = id
	return l.Store.PutRef(r.Carrier, name, have, r.At)
}

// displace takes out a parked report if r is better.
func (l *Ledger) displace(parked ParkedID, r *orders.Report) (bool, error) {
	other, err := l.Store.Parked(parked)
	if errors.Is(err, ErrCorrupt) {
		return true, nil
	}
	if err != nil || !r.Better(&other) {
		return false, err
	}
	return true, l.unpark(parked, &other)
}

// unpark takes out a parked report, from under all of its references.
func (l *Ledger) unpark(id ParkedID, r *orders.Report) error {
	for _, name := range r.Refs {
		have, err := l.Store.Ref(r.Carrier, name)
		if err == nil && have.Parked == id {
			err = l.setParked(r, name, "")
		}
		if err != nil {
			return err
		}
	}
	return l.Store.Unpark(id)
}

// DropParked takes out the oldest parked reports, at most n, and with a cut only those from before
// it. It returns how many.
func (l *Ledger) DropParked(n int, cut time.Time) (dropped int, err error) {
	for ; dropped < n; dropped++ {
		id, at, err := l.Store.OldestParked()
		if err != nil || id == "" || !cut.IsZero() && !at.Before(cut) {
			return dropped, err
		}
		r, err := l.Store.Parked(id)
		switch {
		case errors.Is(err, ErrCorrupt):
			l.Log.Error("receipt that waited can't be read, dropped", "err", err)
			err = l.Store.Unpark(id)
		case err == nil:
			err = l.unpark(id, &r)
		}
		if err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}
