package bolt

import (
	"slices"
	"strings"
	"time"

	"straks/orders"
)

// A trace is the bind (without the carrier, where it begins with that), the encoding, and for each stage
// a uvarint: 0 where it was not reached, else 1 and the µs since the stage before.

// maxStage bounds a stage's time in a record, in µs: more than any retention.
const maxStage = uint64(10 * 366 * 24 * time.Hour / time.Microsecond)

// encodings are those of an SMS that have a number; another one is stored by its name, after the number
// that follows theirs.
var encodings = []string{"", "gsm", "gsm-packed", "ucs2", "latin1"}

// traced appends the fields of a shipment that say how its hand-over went, or that none has ended yet.
func (e *encoder) traced(s *orders.Shipment) {
	t := &s.Trace
	if s.Total > 0 {
		e.field(shipmentTotal, func(e *encoder) { e.uint(uint64(s.Total)) })
	}
	if (*t != orders.Trace{Reported: t.Reported}) {
		e.field(shipmentTrace, func(e *encoder) { e.trace(t, s.Carrier) })
	}
	if t.Reported != 0 {
		e.field(shipmentReported, func(e *encoder) {
			if !s.Accepted.Add(t.Reported).Equal(s.Updated) {
				e.uint(uint64(t.Reported / time.Microsecond))
			}
		})
	}
	if s.Listed {
		e.field(shipmentListed, func(*encoder) {})
	}
}

func (e *encoder) trace(t *orders.Trace, carrier string) {
	if number, ok := strings.CutPrefix(t.Bind, carrier+"/"); ok { // "telco/1"
		e.string("/" + number)
	} else {
		e.string(t.Bind)
	}
	i := slices.Index(encodings, t.Encoding)
	if i < 0 {
		i = len(encodings)
	}
	if e.byte(byte(i)); i == len(encodings) {
		e.string(t.Encoding)
	}
	last := time.Duration(0)
	for _, d := range []time.Duration{t.Stored, t.Slot, t.Written, t.Answered} {
		if d == 0 {
			e.uint(0)
			continue
		}
		e.uint(uint64((d-last)/time.Microsecond) + 1)
		last = d
	}
}

// trace reads what encoder.trace wrote; the carrier is known.
func (d *decoder) trace(s *orders.Shipment) {
	t := &s.Trace
	if t.Bind = d.string(); strings.HasPrefix(t.Bind, "/") {
		t.Bind = s.Carrier + t.Bind
	}
	switch i := int(d.byte()); {
	case i < len(encodings):
		t.Encoding = encodings[i]
	case i == len(encodings):
		t.Encoding = d.string()
	default:
		d.bad = true
	}
	last := time.Duration(0)
	for _, stage := range []*time.Duration{&t.Stored, &t.Slot, &t.Written, &t.Answered} {
		if us := d.uint(); us > 0 {
			d.bad = d.bad || us > maxStage
			last += time.Duration(us-1) * time.Microsecond
			*stage = last
		}
	}
}

// reported reads when the last report was there; it is there when the shipment was updated, unless the
// field says else.
func (d *decoder) reported(s *orders.Shipment) {
	if len(d.b) == 0 {
		s.Trace.Reported = s.Updated.Sub(s.Accepted)
		return
	}
	us := d.uint()
	d.bad = d.bad || us > maxStage
	s.Trace.Reported = time.Duration(us) * time.Microsecond
}
