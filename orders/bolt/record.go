package bolt

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// recordVersion is the first octet of every record that may change its form.
const recordVersion = 1

// maxDetail bounds the carrier's word in a record, in octets.
const maxDetail = 256

// encodeShipment appends the shipment's record. Its id is the key. Times are in
// µs: acceptance counted from the id's own, the others from acceptance, since
// small numbers are short.
//
// What a feed entry needs comes first, see decodeShipment.
func encodeShipment(b []byte, s *orders.Shipment) []byte {
	e := encoder{b}
	accepted := s.Accepted.UnixMicro()
	e.byte(recordVersion)
	e.byte(byte(s.Status))
	e.int(accepted - idMicro(s.ID))
	e.int(s.Updated.UnixMicro() - accepted)
	e.int(s.Deadline.UnixMicro() - accepted)
	e.uuid(s.OrderID)
	e.string(s.Organisation)
	e.string(string(s.Recipient))
	e.string(s.SendersReference)

	e.uuid(s.Claim)
	e.string(s.Carrier)
	e.string(s.Detail[:min(len(s.Detail), maxDetail)])
	e.uint(uint64(len(s.Parts)))
	for _, p := range s.Parts {
		e.byte(byte(p.State))
		e.strings(p.Refs)
	}
	return e.b
}

// decodeShipment reads the record of the shipment id; brief leaves out what
// says how the hand-over went (claim, carrier, detail, parts).
func decodeShipment(id uuid.UUID, b []byte, brief bool) (orders.Shipment, error) {
	d := decoder{b: b}
	version := d.byte()
	s := orders.Shipment{ID: id, Status: orders.Status(d.byte())}
	accepted := d.int() + idMicro(id)
	s.Accepted = microTime(accepted)
	s.Updated = microTime(accepted + d.int())
	s.Deadline = microTime(accepted + d.int())
	s.OrderID = d.uuid()
	s.Organisation = d.string()
	s.Recipient = orders.Recipient(d.string())
	s.SendersReference = d.string()
	s.Channel = s.Status.Channel()
	if d.bad || version != recordVersion || !s.Status.Valid() {
		return orders.Shipment{}, corrupt("shipment")
	}
	if brief {
		return s, nil
	}
	s.Claim = d.uuid()
	s.Carrier = d.string()
	s.Detail = d.string()
	if n := d.count(); n > 0 {
		s.Parts = make([]orders.Part, n)
	}
	for i := range s.Parts {
		s.Parts[i].State = orders.PartState(d.byte())
		s.Parts[i].Refs = d.strings()
		d.bad = d.bad || s.Parts[i].State > orders.PartFailed
	}
	if !d.end() {
		return orders.Shipment{}, corrupt("shipment")
	}
	return s, nil
}

// entry is a feed entry as it is stored.
type entry struct {
	shipment uuid.UUID
	status   orders.Status
	at       time.Time
}

func encodeEntry(b []byte, en entry) []byte {
	e := encoder{b}
	e.byte(recordVersion)
	e.byte(byte(en.status))
	e.uuid(en.shipment)
	e.int(en.at.UnixMicro() - idMicro(en.shipment))
	return e.b
}

func decodeEntry(b []byte) (entry, error) {
	d := decoder{b: b}
	version := d.byte()
	en := entry{status: orders.Status(d.byte()), shipment: d.uuid()}
	en.at = microTime(idMicro(en.shipment) + d.int())
	if !d.end() || version != recordVersion || !en.status.Valid() {
		return entry{}, corrupt("feed entry")
	}
	return en, nil
}

// encodeReport writes a report that waits, without its hints.
func encodeReport(b []byte, r *orders.Report) []byte {
	e := encoder{b}
	e.byte(recordVersion)
	e.byte(byte(r.Status))
	e.int(r.At.UnixMicro())
	e.string(r.Carrier)
	e.strings(r.Refs)
	e.string(r.Detail[:min(len(r.Detail), maxDetail)])
	if r.Source != "" { // last, and hardly ever: records have always ended before it
		e.string(string(r.Source))
	}
	return e.b
}

func decodeReport(b []byte) (orders.Report, error) {
	d := decoder{b: b}
	version := d.byte()
	r := orders.Report{Status: orders.Status(d.byte())}
	r.At = microTime(d.int())
	r.Carrier = d.string()
	r.Refs = d.strings()
	r.Detail = d.string()
	if len(d.b) > 0 {
		r.Source = orders.Recipient(d.string())
	}
	if !d.end() || version != recordVersion || !r.Status.Valid() {
		return orders.Report{}, corrupt("parked report")
	}
	return r, nil
}

// ref is what is known of a reference: the part that it is bound to, or the
// parked report that waits for it.
type ref struct {
	shipment uuid.UUID
	part     int
	parked   []byte // key in parked; nil where bound
}

const (
	kindBound  = 'b'
	kindParked = 'p'
)

func encodeRef(b []byte, r ref) []byte {
	e := encoder{b}
	if r.parked != nil {
		e.byte(kindParked)
		e.b = append(e.b, r.parked...)
		return e.b
	}
	e.byte(kindBound)
	e.uuid(r.shipment)
	e.uint(uint64(r.part))
	return e.b
}

func decodeRef(b []byte) (ref, error) {
	d := decoder{b: b}
	var r ref
	switch d.byte() {
	case kindParked:
		r.parked = append(make([]byte, 0, parkedKeySize), d.take(parkedKeySize)...)
	case kindBound:
		r.shipment = d.uuid()
		part := d.uint()
		r.part = int(part)
		d.bad = d.bad || part > 1<<16
	default:
		d.bad = true
	}
	if !d.end() {
		return ref{}, corrupt("reference")
	}
	return r, nil
}

// idMicro returns the time in a UUIDv7, in µs (RFC 9562 §5.7 has ms).
func idMicro(id uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(id[:8])>>16) * 1000
}

func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }

// micro cuts a time to what the journal keeps, so that a call returns what a
// later look-up will.
func micro(t time.Time) time.Time { return microTime(t.UnixMicro()) }
