package bolt

import (
	"fmt"

	"straks/orders"
)

// apply is one event of Journal.Apply in a transaction.
func (w *writeTx) apply(e orders.Event) (orders.Effect, error) {
	switch e := e.(type) {
	case orders.Answer:
		e.At = micro(e.At)
		return w.answer(e)
	case orders.Report:
		e.At = micro(e.At)
		return w.report(e)
	case orders.Expiry:
		e.At = micro(e.At)
		return w.expire(e)
	case orders.Block:
		e.At = micro(e.At)
		return orders.Effect{}, w.block(e)
	}
	return orders.Effect{}, fmt.Errorf("journal: unknown event %T", e)
}

// step runs one step of the state machine, and stores the feed entry and the
// effect's change where the status changed.
func (w *writeTx) step(eff *orders.Effect, do func(*orders.Shipment) bool) error {
	s := &eff.Shipment
	from := s.Status
	if !do(s) {
		return nil
	}
	eff.Changes = append(eff.Changes, orders.Change{From: from, To: s.Status, At: s.Updated})
	return w.changed(s)
}

// answer binds the references of an answer, and applies the reports that
// waited for them.
func (w *writeTx) answer(a orders.Answer) (eff orders.Effect, err error) {
	if eff.Shipment, eff.Found, err = w.shipment(a.Shipment, false); err != nil || !eff.Found {
		return eff, err
	}
	if err := w.step(&eff, func(s *orders.Shipment) bool { return s.Answer(a) }); err != nil {
		return eff, err
	}
	waiting, err := w.bind(&eff.Shipment, a)
	if err != nil {
		return eff, err
	}
	for _, r := range waiting {
		if err := w.step(&eff, func(s *orders.Shipment) bool { return s.Report(r.part, r.report) }); err != nil {
			return eff, err
		}
	}
	return eff, w.putShipment(&eff.Shipment)
}

// report applies a report to the part that it is about, or parks it.
func (w *writeTx) report(r orders.Report) (eff orders.Effect, err error) {
	s, part, err := w.boundTo(&r)
	if err != nil {
		return eff, err
	}
	if s == nil {
		eff.Hint = w.hint(&r)
		eff.Parked, err = w.park(&r)
		return eff, err
	}
	eff.Shipment, eff.Found = *s, true
	before := s.Parts[part].State
	if err := w.step(&eff, func(s *orders.Shipment) bool { return s.Report(part, r) }); err != nil {
		return eff, err
	}
	if len(eff.Changes) == 0 && s.Parts[part].State == before {
		return eff, nil // a repeat: nothing to store
	}
	return eff, w.putShipment(&eff.Shipment)
}

func (w *writeTx) expire(e orders.Expiry) (eff orders.Effect, err error) {
	if eff.Shipment, eff.Found, err = w.shipment(e.Shipment, false); err != nil || !eff.Found {
		return eff, err
	}
	if err := w.step(&eff, func(s *orders.Shipment) bool { return s.Expire(e.At) }); err != nil || len(eff.Changes) == 0 {
		return eff, err
	}
	return eff, w.putShipment(&eff.Shipment)
}
