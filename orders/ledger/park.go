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
// report waits, now or already, and how many of the carrier's were dropped to make room for it.
func (l *Ledger) park(r *orders.Report) (waits bool, dropped int, err error) {
	if r.Carrier == "" {
		return false, 0, nil // no answer is a nameless carrier's
	}
	r.Refs = r.Refs[:min(len(r.Refs), parkedRefs)]
	free := make([]string, 0, len(r.Refs))
	for _, name := range r.Refs {
		have, err := l.Store.Ref(r.Carrier, name)
		better := true
		if err == nil && have.Parked != "" {
			better, err = l.displace(have.Parked, r)
		}
		if err != nil {
			return false, 0, err
		}
		if better {
			free = append(free, name)
		}
		waits = waits || !better
	}
	if len(free) == 0 {
		return waits, 0, nil
	}
	if dropped, err = l.makeRoom(r.Carrier); err != nil {
		return false, dropped, err
	}
	id, err := l.Store.Park(r)
	for _, name := range free {
		if err == nil {
			err = l.setParked(r, name, id)
		}
	}
	return true, dropped, err
}

// makeRoom drops the oldest of a carrier's reports until another one may wait.
func (l *Ledger) makeRoom(carrier string) (dropped int, err error) {
	for {
		n, octets := l.Store.ParkedReports(carrier)
		if n == 0 || n < l.MaxParked && octets < l.MaxParkedOctets {
			return dropped, nil
		}
		one, err := l.dropOldest(carrier, time.Time{})
		if err != nil || !one {
			return dropped, err
		}
		dropped++
	}
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
	other, err := l.Store.Parked(r.Carrier, parked)
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
	return l.Store.Unpark(r.Carrier, id)
}

// DropParked takes out the parked reports of all carriers that came before the cut, at most n of
// them. It returns how many.
func (l *Ledger) DropParked(n int, cut time.Time) (dropped int, err error) {
	for _, carrier := range l.Store.ParkedCarriers() {
		for dropped < n {
			one, err := l.dropOldest(carrier, cut)
			if err != nil {
				return dropped, err
			}
			if !one {
				break
			}
			dropped++
		}
	}
	return dropped, nil
}

// dropOldest takes out the carrier's oldest parked report; with a cut only one from before it. It
// reports whether there was one.
func (l *Ledger) dropOldest(carrier string, cut time.Time) (bool, error) {
	id, at, err := l.Store.OldestParked(carrier)
	if err != nil || id == "" || !cut.IsZero() && !at.Before(cut) {
		return false, err
	}
	r, err := l.Store.Parked(carrier, id)
	if errors.Is(err, ErrCorrupt) {
		l.Log.Error("receipt that waited can't be read, dropped", "smsc", carrier, "err", err)
		return true, l.Store.Unpark(carrier, id)
	}
	if err != nil {
		return false, err
	}
	r.Carrier = carrier
	return true, l.unpark(id, &r)
}
