package ledger

import (
	"errors"
	"slices"

	"straks/orders"
)

// forget erases the recipient of a shipment. Its references that may have the recipient in them lead nowhere then. Where it
// has one that the event lacks, since an answer came after it was looked up, nothing is erased: the caller looks again.
func (l *Ledger) forget(f *orders.Forget) (eff orders.Effect, err error) {
	if eff.Shipment, eff.Found, err = l.Store.Shipment(f.Shipment); err != nil || !eff.Found {
		return eff, err
	}
	s := &eff.Shipment
	before := *s
	if now, _ := s.Forgetting(f.At); !covers(f, &now) || !s.Forget() {
		return eff, nil
	}
	if s.Listed {
		s.Listed = false
		if err := l.Store.Unlist(&before); err != nil {
			return eff, err
		}
	}
	for _, name := range f.Refs {
		if err := l.unbind(f, name); err != nil {
			return eff, err
		}
	}
	return eff, l.Store.PutShipment(s, false)
}

// covers reports whether f names the references of another one.
func covers(f, now *orders.Forget) bool {
	for _, ref := range now.Refs {
		if f.Carrier != now.Carrier || !slices.Contains(f.Refs, ref) {
			return false
		}
	}
	return true
}

// unbind takes a shipment out of the record of a reference.
func (l *Ledger) unbind(f *orders.Forget, name string) error {
	have, err := l.Store.Ref(f.Carrier, name)
	if errors.Is(err, ErrCorrupt) {
		return nil
	}
	if err != nil || have.Bound.Shipment != f.Shipment && have.Before.Shipment != f.Shipment {
		return err
	}
	if have.Before.Shipment == f.Shipment {
		have.Before = Binding{}
	}
	if have.Bound.Shipment == f.Shipment {
		have.Bound, have.Before = have.Before, Binding{}
	}
	return l.Store.PutRef(f.Carrier, name, have, micro(f.At))
}

// drop takes out a report that waits.
func (l *Ledger) drop(d *orders.Drop) (eff orders.Effect, err error) {
	for _, name := range d.Refs {
		have, err := l.Store.Ref(d.Carrier, name)
		if err != nil || have.Parked == "" {
			continue // gone since, or it can't be read, and leaves within a day
		}
		r, err := l.Store.Parked(d.Carrier, have.Parked)
		if errors.Is(err, ErrCorrupt) || err == nil && r.Recipient != d.Recipient {
			continue
		}
		if err == nil {
			err = l.unpark(have.Parked, &r)
		}
		if err != nil {
			return eff, err
		}
		eff.Dropped++
	}
	return eff, nil
}
