package bolt

import (
	"time"

	"straks/orders"
	"straks/orders/sealed"
)

// The fields of a parked report.
const (
	reportRecipient   = 1 + iota
	reportUnverified  // nothing
	reportSubmitted   // s since 1970
	reportIDs         // how many message ids it has; one that has no such field has one, or none
	reportDone        // s after the submit date, without which it says nothing
	reportReference   // the user reference that it echoes
	reportWhole       // nothing
	reportByRecipient // nothing
	reportRelayed     // nothing
	reportExpanded    // nothing
	reportSuppress    // why, and the code of the failure
	reportSealed      // in place of reportRecipient
)

// encodeReport appends a report that waits, without its hints.
func encodeReport(b, key []byte, r *orders.Report, box *sealed.Box) []byte {
	e := encoder{b}
	e.byte(recordFields)
	e.byte(byte(r.Status))
	e.int(r.At.UnixMicro())
	e.string(r.Carrier)
	e.refs(r.Refs, r.Carrier, box, parkedTable(r.Carrier), key)
	e.string(r.Detail[:min(len(r.Detail), maxDetail)])
	switch {
	case seals(box, r.Recipient):
		e.field(reportSealed, func(e *encoder) {
			e.string(string(box.Seal(string(r.Recipient), parkedTable(r.Carrier), key)))
		})
	case r.Recipient != "":
		e.field(reportRecipient, func(e *encoder) { e.string(string(r.Recipient)) })
	}
	if r.Unverified {
		e.field(reportUnverified, func(*encoder) {})
	}
	if !r.Submitted.IsZero() {
		e.field(reportSubmitted, func(e *encoder) { e.int(r.Submitted.Unix()) })
	}
	if r.IDs > 1 {
		e.field(reportIDs, func(e *encoder) { e.uint(uint64(r.IDs)) })
	}
	if !r.Submitted.IsZero() && !r.Done.IsZero() {
		e.field(reportDone, func(e *encoder) { e.int(r.Done.Unix() - r.Submitted.Unix()) })
	}
	if r.Echoed {
		e.field(reportReference, func(e *encoder) { e.uint(uint64(r.Reference)) })
	}
	if r.Whole {
		e.field(reportWhole, func(*encoder) {})
	}
	if r.ByRecipient {
		e.field(reportByRecipient, func(*encoder) {})
	}
	if r.Relayed {
		e.field(reportRelayed, func(*encoder) {})
	}
	if r.Expanded {
		e.field(reportExpanded, func(*encoder) {})
	}
	if r.Suppress != "" {
		e.field(reportSuppress, func(e *encoder) { e.strings([]string{string(r.Suppress), r.Word}) })
	}
	return parkedScope.seal(e.b, len(b), key)
}

// decodeReport reads what encodeReport wrote. Without a box, a recipient that is sealed is left out.
func decodeReport(key, record []byte, box *sealed.Box) (orders.Report, error) {
	b, ok := parkedScope.open(key, record)
	if !ok {
		return orders.Report{}, corrupt("parked report")
	}
	r, value, err := reportWithoutSum(b, key, box)
	if err == nil && value != "" {
		r.Recipient, err = unseal(box, value, parkedTable(r.Carrier), key)
	}
	if err != nil {
		return orders.Report{}, err
	}
	return r, nil
}

// reportWithoutSum reads the record of a parked report, as it was before schema version 5; and its recipient, if
// that is sealed.
func reportWithoutSum(b, key []byte, box *sealed.Box) (r orders.Report, value orders.Recipient, err error) {
	d := decoder{b: b}
	version := d.byte()
	r.Status = orders.Status(d.byte())
	r.At = microTime(d.int())
	r.Carrier = d.string()
	r.Refs = d.refs(box, parkedTable(r.Carrier), key)
	r.Detail = d.string()
	switch version {
	case recordVersion:
		d.oldTail(&r)
	case recordFields:
		d.fields(func(number byte, f *decoder) {
			switch number {
			case reportRecipient:
				r.Recipient = orders.Recipient(f.string())
			case reportSealed:
				value = orders.Recipient(f.string())
			case reportUnverified:
				r.Unverified = true
			case reportSubmitted:
				r.Submitted = time.Unix(f.int(), 0).UTC()
			case reportIDs:
				r.IDs = f.ids()
			case reportDone:
				if after := f.int(); !r.Submitted.IsZero() {
					r.Done = time.Unix(r.Submitted.Unix()+after, 0).UTC()
				}
			case reportReference:
				r.Echoed, r.Reference = true, uint16(f.uint())
			case reportWhole:
				r.Whole = true
			case reportByRecipient:
				r.ByRecipient = true
			case reportRelayed:
				r.Relayed = true
			case reportExpanded:
				r.Expanded = true
			case reportSuppress:
				if s := f.strings(); len(s) == 2 && s[0] != "" {
					r.Suppress, r.Word = orders.BlockSource(s[0]), s[1]
				} else {
					d.bad = true
				}
			}
		})
	default:
		d.bad = true
	}
	if !d.end() || !r.Status.Valid() {
		return orders.Report{}, "", corrupt("parked report")
	}
	return r, value, nil
}

// oldTail reads the end of a parked report of before schema version 5: nothing, or the number of an
// unverified one, or that, flags, a submit date and a number of ids.
func (d *decoder) oldTail(r *orders.Report) {
	const unverified, dated, ids = 1, 2, 4
	if len(d.b) == 0 {
		return
	}
	r.Recipient = orders.Recipient(d.string())
	flags := byte(unverified)
	if len(d.b) > 0 {
		flags = d.byte()
	}
	r.Unverified = flags&unverified != 0
	if flags&dated != 0 {
		r.Submitted = time.Unix(d.int(), 0).UTC()
	}
	if flags&ids != 0 {
		r.IDs = d.ids()
	}
}

// ids reads how many message ids a report has, where it has several.
func (d *decoder) ids() int {
	n := d.uint()
	if n <= 1 || n > maxIDs {
		d.bad = true
		return 0
	}
	return int(n)
}
