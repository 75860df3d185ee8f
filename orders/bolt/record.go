package bolt

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
)

// recordVersion is the first octet of every record that may change its form.
const recordVersion = 1

// recordClaimed is the version of the record of a shipment whose claim is unanswered: its end follows.
const recordClaimed = 2

// partDated, beside the state of a part, says that its submit date follows.
const partDated = 0x80

// maxDetail bounds the carrier's word in a record, in octets, and maxIDs the message ids of a report.
const (
	maxDetail = 256
	maxIDs    = 1 << 10
)

// encodeShipment appends the shipment's record. Its id is the key. Times are in
// µs: acceptance counted from the id's own, the others from acceptance, since
// small numbers are short.
//
// What a feed entry needs comes first, see decodeShipment.
func encodeShipment(b []byte, s *orders.Shipment) []byte {
	e := encoder{b}
	accepted := s.Accepted.UnixMicro()
	version := byte(recordVersion)
	if !s.ClaimUntil.IsZero() {
		version = recordClaimed
	}
	e.byte(version)
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
		if p.Submitted.IsZero() {
			e.byte(byte(p.State))
			e.strings(p.Refs)
			continue
		}
		e.byte(byte(p.State) | partDated)
		e.strings(p.Refs)
		e.int(p.Submitted.Unix())
	}
	if version == recordClaimed {
		e.int(s.ClaimUntil.UnixMicro() - accepted)
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
	if d.bad || version != recordVersion && version != recordClaimed || !s.Status.Valid() {
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
		p, state := &s.Parts[i], d.byte()
		p.State = orders.PartState(state &^ partDated)
		p.Refs = d.strings()
		if state&partDated != 0 {
			p.Submitted = time.Unix(d.int(), 0).UTC()
		}
		d.bad = d.bad || p.State > orders.PartFailed
	}
	if version == recordClaimed {
		s.ClaimUntil = microTime(accepted + d.int())
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
	// Records have ended here, or with the number of an unverified one.
	if r.Recipient == "" && !r.Unverified && r.Submitted.IsZero() && r.IDs <= 1 {
		return e.b
	}
	e.string(string(r.Recipient))
	flags := byte(0)
	if r.Unverified {
		flags |= reportUnmarked
	}
	if !r.Submitted.IsZero() {
		flags |= reportDated
	}
	if r.IDs > 1 {
		flags |= reportIDs
	}
	e.byte(flags)
	if !r.Submitted.IsZero() {
		e.int(r.Submitted.Unix())
	}
	if r.IDs > 1 {
		e.uint(uint64(r.IDs))
	}
	return e.b
}

const (
	reportUnmarked = 1 << iota
	reportDated    // its submit date follows
	reportIDs      // how many message ids it has follows
)

func decodeReport(b []byte) (orders.Report, error) {
	d := decoder{b: b}
	version := d.byte()
	r := orders.Report{Status: orders.Status(d.byte())}
	r.At = microTime(d.int())
	r.Carrier = d.string()
	r.Refs = d.strings()
	r.Detail = d.string()
	if len(d.b) > 0 {
		r.Recipient = orders.Recipient(d.string())
		flags := byte(reportUnmarked)
		if len(d.b) > 0 {
			flags = d.byte()
		}
		r.Unverified = flags&reportUnmarked != 0
		if flags&reportDated != 0 {
			r.Submitted = time.Unix(d.int(), 0).UTC()
		}
		if flags&reportIDs != 0 {
			r.IDs = int(min(d.uint(), maxIDs+1))
			d.bad = d.bad || r.IDs <= 1 || r.IDs > maxIDs
		}
	}
	if !d.end() || version != recordVersion || !r.Status.Valid() {
		return orders.Report{}, corrupt("parked report")
	}
	return r, nil
}

const (
	kindBound  = 'b'
	kindParked = 'p'
)

func encodeRef(b []byte, r ledger.Ref) []byte {
	e := encoder{b}
	if r.Parked != "" {
		e.byte(kindParked)
		e.b = append(e.b, r.Parked...)
	} else {
		e.byte(kindBound)
	}
	for _, to := range []ledger.Binding{r.Bound, r.Before} {
		if !to.None() {
			e.uuid(to.Shipment)
			e.uint(uint64(to.Part))
		}
	}
	return e.b
}

func decodeRef(b []byte) (ledger.Ref, error) {
	d := decoder{b: b}
	var r ledger.Ref
	kind := d.byte()
	if kind == kindParked {
		r.Parked = ledger.ParkedID(d.take(parkedKeySize))
	}
	r.Bound = d.binding()
	r.Before = d.binding()
	if !d.end() || kind != kindParked && kind != kindBound || kind == kindBound && r.Bound.None() {
		return ledger.Ref{}, corrupt("reference")
	}
	return r, nil
}

// binding reads one, if anything is left.
func (d *decoder) binding() ledger.Binding {
	if len(d.b) == 0 {
		return ledger.Binding{}
	}
	id, part := d.uuid(), d.uint()
	d.bad = d.bad || part > 1<<16 || id == uuid.Nil
	return ledger.Binding{Shipment: id, Part: int(part)}
}

// The version of a block's record says whether it is lifted.
const (
	blockOn     = recordVersion
	blockLifted = 2
)

func encodeBlock(b []byte, bl ledger.Block) []byte {
	e := encoder{b}
	if bl.Off {
		e.byte(blockLifted)
	} else {
		e.byte(blockOn)
	}
	e.int(bl.At.UnixMicro())
	return e.b
}

func decodeBlock(b []byte) (ledger.Block, error) {
	d := decoder{b: b}
	version := d.byte()
	bl := ledger.Block{At: microTime(d.int()), Off: version == blockLifted}
	if !d.end() || version != blockOn && version != blockLifted {
		return ledger.Block{}, corrupt("block")
	}
	return bl, nil
}

// idMicro returns the time in a UUIDv7, in µs (RFC 9562 §5.7 has ms).
func idMicro(id uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(id[:8])>>16) * 1000
}

func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }
