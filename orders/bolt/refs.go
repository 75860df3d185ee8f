package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
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
	// clockSkew is by how much a report may seem older than the shipment that
	// it is about. Message ids are used again, so a report that is really
	// older is about another.
	clockSkew = 10 * time.Second
	// repeats is for how long after the deadline a report about a part that
	// has had its last word is a repeat of it. Later, it is about another.
	repeats = time.Hour
)

func refKey(carrier, ref string) []byte {
	if len(ref) > maxRef {
		ref = "\x00" + string(hash(ref))
	}
	return append(append(append(make([]byte, 0, len(carrier)+1+len(ref)), carrier...), 0), ref...)
}

func tooOld(r *orders.Report, s *orders.Shipment) bool {
	return r.At.Add(clockSkew).Before(s.Accepted)
}

// lookup returns what is known of a reference, and whether anything is.
func (w *writeTx) lookup(key []byte) (ref, bool, error) {
	v := w.refs().get(key)
	if v == nil {
		return ref{}, false, nil
	}
	r, err := decodeRef(v)
	return r, err == nil, err
}

// boundTo returns the shipment and part that a report is about; nil where none
// of its references is bound.
//
// The first reference is trusted. A lesser one (a 16-bit user reference comes
// round within minutes) counts only for a part of which nothing is known that
// the report does not bear: a part with a message id of its own is not meant.
func (w *writeTx) boundTo(r *orders.Report) (*orders.Shipment, int, error) {
	for i, name := range r.Refs {
		bound, ok, err := w.lookup(refKey(r.Carrier, name))
		if err != nil {
			return nil, 0, err
		}
		if !ok || bound.parked != nil {
			continue
		}
		s, ok, err := w.shipment(bound.shipment, false)
		if err != nil {
			return nil, 0, err
		}
		switch {
		case !ok || bound.part >= len(s.Parts) || i > 0 && !subset(s.Parts[bound.part].Refs, r.Refs):
		case usedAgain(&s, bound.part, r):
			if err := w.refs().delete(refKey(r.Carrier, name)); err != nil {
				return nil, 0, err
			}
		case !r.Concerns(&s):
		default:
			return &s, bound.part, nil
		}
	}
	return nil, 0, nil
}

// usedAgain tells that a report is about another message than the one that
// the reference was bound to: that one has had its last word, and its time is
// over. The report waits then for the answer that it has overtaken.
func usedAgain(s *orders.Shipment, part int, r *orders.Report) bool {
	return s.Parts[part].State >= orders.PartDelivered && r.At.After(s.Deadline.Add(repeats))
}

func subset(all, of []string) bool {
	for _, s := range all {
		if !slices.Contains(of, s) {
			return false
		}
	}
	return true
}

// hint returns the first of a report's hints that is bound.
func (w *writeTx) hint(r *orders.Report) (orders.Hint, error) {
	for _, h := range r.Hints {
		bound, ok, err := w.lookup(refKey(r.Carrier, h.Ref))
		if err != nil {
			return orders.Hint{}, err
		}
		if ok && bound.parked == nil {
			return h, nil
		}
	}
	return orders.Hint{}, nil
}

// match is a parked report that an answer has claimed.
type match struct {
	report orders.Report
	part   int
}

// bind binds the references of an answer to its parts, and takes out the
// reports that waited for them, oldest first. The newest binding of a
// reference wins. An answer that the shipment did not take binds nothing.
func (w *writeTx) bind(s *orders.Shipment, a orders.Answer) (waiting []match, err error) {
	for _, pa := range a.Parts {
		if pa.Index < 0 || pa.Index >= len(s.Parts) {
			continue
		}
		for _, name := range pa.Refs {
			if !slices.Contains(s.Parts[pa.Index].Refs, name) {
				continue
			}
			report, err := w.bindOne(refKey(s.Carrier, name), ref{shipment: s.ID, part: pa.Index}, s)
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

func (w *writeTx) bindOne(key []byte, to ref, s *orders.Shipment) (*orders.Report, error) {
	have, ok, err := w.lookup(key)
	if err != nil {
		return nil, err
	}
	if ok && have.parked == nil && have.shipment == to.shipment && have.part == to.part {
		return nil, nil
	}
	var report *orders.Report
	switch {
	case ok && have.parked != nil:
		report, err = w.unpark(have.parked)
	case ok:
		err = w.refs().delete(key) // bound to another: the reference is used again
	}
	if err != nil {
		return nil, err
	}
	return report, w.refs().put(s.Accepted.UnixMicro(), key, w.value(func(b []byte) []byte { return encodeRef(b, to) }))
}

// park keeps a report until its answer comes, under each of its references
// that is not taken: by a better report, or (a lesser reference) by a part
// that is not meant. It tells whether the report waits, now or already.
//
// See Report.Better.
func (w *writeTx) park(r *orders.Report) (bool, error) {
	r.Refs = r.Refs[:min(len(r.Refs), maxReportRefs)]
	free := make([][]byte, 0, len(r.Refs))
	waits := false
	for _, name := range r.Refs {
		key := refKey(r.Carrier, name)
		have, ok, err := w.lookup(key)
		if err != nil {
			return false, err
		}
		if ok && have.parked != nil {
			other, err := w.parkedReport(have.parked)
			if err != nil {
				return false, err
			}
			if !r.Better(&other) {
				waits = true
				continue
			}
			if _, err := w.unpark(have.parked); err != nil {
				return false, err
			}
		}
		if !ok || have.parked != nil {
			free = append(free, key)
		}
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
		if err := w.refs().put(at, name, w.value(func(b []byte) []byte { return encodeRef(b, ref{parked: key}) })); err != nil {
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

// unpark takes a parked report out, with all of its references.
func (w *writeTx) unpark(key []byte) (*orders.Report, error) {
	r, err := w.parkedReport(key)
	if err != nil {
		return nil, err
	}
	for _, name := range r.Refs {
		refKey := refKey(r.Carrier, name)
		have, ok, err := w.lookup(refKey)
		if err != nil {
			return nil, err
		}
		if ok && bytes.Equal(have.parked, key) {
			if err := w.refs().delete(refKey); err != nil {
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
		if _, err := w.unpark(append([]byte(nil), k...)); err != nil {
			return removed, err
		}
	}
	return removed, nil
}
