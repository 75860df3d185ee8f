package ledger

import (
	"errors"
	"fmt"

	"straks/orders"
)

// Apply is orders.Journal.Apply for one event.
func (l *Ledger) Apply(e orders.Event) (orders.Effect, error) {
	switch e := e.(type) {
	case orders.Answer:
		e.At = micro(e.At)
		return l.answer(&e)
	case orders.Report:
		e.At = micro(e.At)
		return l.report(&e)
	case orders.Expiry:
		e.At = micro(e.At)
		return l.expire(&e)
	case orders.Match:
		e.At = micro(e.At)
		return l.match(&e)
	case orders.Forget:
		return l.forget(&e)
	case orders.Drop:
		return l.drop(&e)
	case orders.Block:
		e.At = micro(e.At)
		return orders.Effect{}, l.block(&e)
	}
	return orders.Effect{}, fmt.Errorf("journal: unknown event %T", e)
}

// step runs one step of the state machine. If it changed the status, the feed gets an entry and the
// effect a change.
func (l *Ledger) step(eff *orders.Effect, do func(*orders.Shipment) bool) error {
	s := &eff.Shipment
	from := s.Status
	if !do(s) {
		return nil
	}
	eff.Changes = append(eff.Changes, orders.Change{From: from, To: s.Status, At: s.Updated})
	if !s.Status.InFeed() {
		return nil
	}
	return l.Store.AppendFeed(s)
}

// answer binds the references of an answer, and applies the reports that waited for them.
func (l *Ledger) answer(a *orders.Answer) (eff orders.Effect, err error) {
	if eff.Shipment, eff.Found, err = l.Store.Shipment(a.Shipment); err != nil || !eff.Found {
		return eff, err
	}
	mail := toMail(a)
	if eff.Shipment.Recipient == orders.Forgotten {
		known := a.Nameless()
		a = &known
	}
	deadline := eff.Shipment.Deadline
	if err := l.step(&eff, func(s *orders.Shipment) bool { return s.Answer(*a) }); err != nil {
		return eff, err
	}
	dated := !eff.Shipment.Deadline.Equal(deadline)
	claimed, err := l.bind(&eff.Shipment, a)
	if err == nil && mail {
		claimed, err = l.claimMailReport(claimed, &eff.Shipment)
	}
	if err != nil {
		return eff, err
	}
	for _, c := range claimed {
		if _, err := l.tell(&eff, c.part, &c.report); err != nil {
			return eff, err
		}
	}
	return eff, l.put(&eff.Shipment, dated)
}

// report applies a report to the part that it is about, or parks it.
func (l *Ledger) report(r *orders.Report) (eff orders.Effect, err error) {
	s, part, err := l.about(r)
	if err != nil {
		return eff, err
	}
	if s == nil {
		if eff, applied, err := l.echoed(r); err != nil || applied {
			return eff, err
		}
		if eff.Hint, err = l.hint(r); err == nil {
			if eff.Hint.Form != "" {
				r.ByRecipient = false // its message has an answer, whose id is spelled differently
			}
			eff.Parked, eff.Dropped, err = l.park(r)
		}
		return eff, err
	}
	eff.Shipment, eff.Found = *s, true
	changed, err := l.tell(&eff, part, r)
	if err != nil || !changed {
		return eff, err // a repeat: nothing to store
	}
	return eff, l.put(&eff.Shipment, false)
}

// tell applies a report to a part, and to the block list. It reports whether the shipment has changed.
func (l *Ledger) tell(eff *orders.Effect, part int, r *orders.Report) (changed bool, err error) {
	before := knownOf(&eff.Shipment, part)
	if err := l.step(eff, func(s *orders.Shipment) bool { return s.Report(part, *r) }); err != nil {
		return false, err
	}
	after := knownOf(&eff.Shipment, part)
	if after == before {
		return false, nil
	}
	return true, l.suppress(eff, r, before, after)
}

// known is what a report may change in a shipment.
type known struct {
	status                          orders.Status
	state                           orders.PartState
	unreported, relayed, complained bool
}

func knownOf(s *orders.Shipment, part int) known {
	return known{s.Status, s.Parts[part].State, s.Unreported, s.Relayed, s.Complained}
}

func (l *Ledger) expire(e *orders.Expiry) (eff orders.Effect, err error) {
	if eff.Shipment, eff.Found, err = l.Store.Shipment(e.Shipment); err != nil || !eff.Found {
		return eff, err
	}
	if err := l.step(&eff, func(s *orders.Shipment) bool { return s.Expire(e.At) }); err != nil || len(eff.Changes) == 0 {
		return eff, err
	}
	return eff, l.put(&eff.Shipment, false)
}

// block stores a change of a block list, unless a later one is stored already.
func (l *Ledger) block(b *orders.Block) error {
	change := *b
	change.Recipient, change.At = orders.BlockForm(b.Channel, b.Recipient), micro(b.At)
	have, err := l.Store.Blocked(b.Organisation, b.Channel, change.Recipient)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	}
	if err == nil && change.At.Before(have.At) {
		return nil
	}
	return l.Store.PutBlocked(change)
}
