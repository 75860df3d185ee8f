package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"straks/orders"
)

const (
	parkedKeySize = 16
	maxRef        = 128 // octets of a reference in a key; beyond it a hash stands for it
	maxReportRefs = 8   // references of a report under which it is parked

	// parkedRetention is how long a report waits for its answer.
	parkedRetention = 24 * time.Hour
)

func refKey(carrier, ref string) []byte {
	if len(ref) > maxRef {
		ref = "\x00" + string(hash(ref))
	}
	return append(append(append(make([]byte, 0, len(carrier)+1+len(ref)), carrier...), 0), ref...)
}

// lookup returns what is known of a reference, and whether there is a record of it. One
// that can't be read says nothing, and is replaced by the next.
func (w *writeTx) lookup(key []byte) (r ref, ok bool) {
	v := w.refs().get(key)
	if v == nil {
		return ref{}, false
	}
	r, err := decodeRef(v)
	if err != nil {
		w.opt.Log.Error("reference can't be read: receipts for what had it wait in vain", "err", err)
	}
	return r, true
}

// boundTo returns the shipment and part that a report is about; nil where none
// of its references leads to it.
func (w *writeTx) boundTo(r *orders.Report) (*orders.Shipment, int, error) {
	parts := make([]orders.Binding, 0, 4)
	for i, name := range r.Refs {
		have, _ := w.lookup(refKey(r.Carrier, name))
		for _, b := range []binding{have.bound, have.before} {
			var err error
			if parts, err = w.addPart(parts, b, r, i); err != nil {
				return nil, 0, err
			}
		}
	}
	if n := r.Choose(parts); n >= 0 {
		return parts[n].Shipment, parts[n].Part, nil
	}
	return nil, 0, nil
}

// addPart adds the part of a binding, if it still exists and a report with it as
// its i-th reference may be meant for it. A shipment that can't be read is as good as
// gone: it is to cost neither the other that bears its reference, nor, over a report that
// is sent again and again, everybody's behind that.
func (w *writeTx) addPart(parts []orders.Binding, b binding, r *orders.Report, i int) ([]orders.Binding, error) {
	if b.none() {
		return parts, nil
	}
	s, ok, err := w.shipment(b.shipment, false)
	if errors.Is(err, ErrCorrupt) {
		w.opt.Log.Error("shipment can't be read, a receipt for it waits in vain; see straks journal check", "shipment", b.shipment, "err", err)
		return parts, nil
	}
	if err != nil || !ok || b.part >= len(s.Parts) || !r.Means(i, &s.Parts[b.part]) {
		return parts, err
	}
	return append(parts, orders.Binding{Shipment: &s, Part: b.part}), nil
}

// hint returns the first of a report's hints that is bound.
func (w *writeTx) hint(r *orders.Report) orders.Hint {
	for _, h := range r.Hints {
		if known, _ := w.lookup(refKey(r.Carrier, h.Ref)); !known.bound.none() {
			return h
		}
	}
	return orders.Hint{}
}

// match is a parked report that an answer has claimed.
type match struct {
	report orders.Report
	part   int
}

// bind binds the references of an answer to its parts, and takes out the
// reports that waited for them, oldest first. The newest binding of a
// reference comes first. An answer that the shipment did not take binds nothing.
func (w *writeTx) bind(s *orders.Shipment, a orders.Answer) (waiting []match, err error) {
	for _, pa := range a.Parts {
		if pa.Index < 0 || pa.Index >= len(s.Parts) {
			continue
		}
		for _, name := range pa.Refs {
			if !slices.Contains(s.Parts[pa.Index].Refs, name) {
				continue
			}
			report, err := w.bindOne(name, orders.Binding{Shipment: s, Part: pa.Index})
			if err != nil {
				return nil, err
			}
			if report != nil {
				waiting = append(waiting, match{*report, pa.Index})
			}
		}
	}
	slices.SortStableFunc(waiting, func(a, b match) int { return cmp.Compare(a.report.At.UnixMicro(), b.report.At.UnixMicro()) })
	return waiting, nil
}

// bindOne binds one reference, and returns the report that waited for it.
func (w *writeTx) bindOne(name string, part orders.Binding) (*orders.Report, error) {
	s := part.Shipment
	key, to := refKey(s.Carrier, name), binding{s.ID, part.Part}
	have, ok := w.lookup(key)
	if have.bound == to || have.before == to {
		return nil, nil
	}
	have.bound, have.before = to, have.bound
	var report *orders.Report
	if have.parked != nil {
		var err error
		if report, err = w.claim(&have, name, part); err != nil {
			return nil, err
		}
	}
	return report, w.putRef(s.Accepted.UnixMicro(), key, have, ok)
}

// claim takes out the report that waits under a reference, if it is about the part
// that the reference is now bound to. Else it goes on waiting, unless it is too old.
func (w *writeTx) claim(have *ref, name string, part orders.Binding) (*orders.Report, error) {
	r, err := w.parkedReport(have.parked)
	if errors.Is(err, ErrCorrupt) {
		have.parked = nil // it costs nobody his answer; Sweep drops it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i := slices.Index(r.Refs, name)
	if !r.Means(i, &part.Shipment.Parts[part.Part]) {
		return nil, nil
	}
	parts, err := w.addPart(append(make([]orders.Binding, 0, 2), part), have.before, &r, i)
	if err != nil {
		return nil, err
	}
	awaited, gone := r.Awaited(parts)
	if !awaited && !gone {
		return nil, nil
	}
	_, err = w.unpark(have.parked)
	have.parked = nil
	if gone {
		return nil, err
	}
	return &r, err
}

// putRef stores what is known of a reference; known: it is stored already, perhaps
// in another slot.
func (w *writeTx) putRef(us int64, key []byte, r ref, known bool) error {
	if known {
		if err := w.refs().delete(key); err != nil {
			return err
		}
	}
	if r.bound.none() && r.parked == nil {
		return nil
	}
	return w.refs().put(us, key, w.value(func(b []byte) []byte { return encodeRef(b, r) }))
}

// park keeps a report until its answer comes, under each of its references
// that has none or a worse one (Report.Better), be it bound to a message that is not
// meant. It tells whether the report waits, now or already.
func (w *writeTx) park(r *orders.Report) (bool, error) {
	r.Refs = r.Refs[:min(len(r.Refs), maxReportRefs)]
	free := make([][]byte, 0, len(r.Refs))
	waits := false
	for _, name := range r.Refs {
		key := refKey(r.Carrier, name)
		have, _ := w.lookup(key)
		better := true
		if have.parked != nil {
			var err error
			if better, err = w.displace(have.parked, r); err != nil {
				return false, err
			}
		}
		if better {
			free = append(free, key)
		}
		waits = waits || !better
	}
	if len(free) == 0 {
		return waits, nil
	}
	if w.waiting >= w.opt.MaxParked {
		if _, err := w.unparkOldest(w.waiting-w.opt.MaxParked+1, nil); err != nil {
			return false, err
		}
	}
	return true, w.putParked(r, free)
}

// displace takes out a parked report if r is better.
func (w *writeTx) displace(parked []byte, r *orders.Report) (bool, error) {
	other, err := w.parkedReport(parked)
	if errors.Is(err, ErrCorrupt) {
		return true, nil
	}
	if err != nil || !r.Better(&other) {
		return false, err
	}
	_, err = w.unpark(parked)
	return true, err
}

func (w *writeTx) putParked(r *orders.Report, refs [][]byte) error {
	parked := w.parked()
	number, err := parked.NextSequence()
	if err != nil {
		return err
	}
	at := r.At.UnixMicro()
	key := binary.BigEndian.AppendUint64(nil, uint64(max(at, 0)))
	key = binary.BigEndian.AppendUint64(key, number)
	if err := parked.Put(key, w.value(func(b []byte) []byte { return encodeReport(b, r) })); err != nil {
		return err
	}
	w.waiting++
	for _, name := range refs {
		have, ok := w.lookup(name)
		have.parked = key
		if err := w.putRef(at, name, have, ok); err != nil {
			return err
		}
	}
	return nil
}

func (w *writeTx) parkedReport(key []byte) (orders.Report, error) {
	v := w.parked().Get(key)
	if v == nil {
		return orders.Report{}, corrupt("reference to a parked report that is gone")
	}
	return decodeReport(v)
}

// unpark takes a parked report out, from under all of its references.
func (w *writeTx) unpark(key []byte) (*orders.Report, error) {
	r, err := w.parkedReport(key)
	if err != nil {
		return nil, err
	}
	for _, name := range r.Refs {
		refKey := refKey(r.Carrier, name)
		have, _ := w.lookup(refKey)
		if bytes.Equal(have.parked, key) {
			have.parked = nil
			if err := w.putRef(r.At.UnixMicro(), refKey, have, true); err != nil {
				return nil, err
			}
		}
	}
	w.waiting--
	return &r, w.parked().Delete(key)
}

// unparkOldest takes out parked reports from the oldest on, while old says so.
func (w *writeTx) unparkOldest(n int, old func(key []byte) bool) (int, error) {
	removed := 0
	for ; removed < n; removed++ {
		k, _ := w.parked().Cursor().First()
		if k == nil || old != nil && !old(k) {
			break
		}
		k = append([]byte(nil), k...)
		_, err := w.unpark(k)
		if errors.Is(err, ErrCorrupt) {
			w.opt.Log.Error("receipt that waited can't be read, dropped", "err", err)
			w.waiting--
			err = w.parked().Delete(k)
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}
