package bolt

import (
	"time"

	"github.com/google/uuid"

	"straks/internal/cost"
	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// The form of a record is its version, what every record of its table has, and fields. A field has a
// number, a length and a value; one that is zero is left out. Sum (sum.go) and key are not part of it.
//
// To add to a record, take the next number in the list of its fields, write it in encode and read it in
// decode. That needs no new version and no migration: records without the field read as before, and a
// program that does not know the number skips it. But such a program also drops the field when it
// stores the record again. If that does harm, raise schemaVersion: then it does not open the journal.
// A number is never used again, nor its value read in another way.
const (
	recordVersion = 1 // before schema version 5: no fields
	recordClaimed = 2 // so is this: a shipment whose claim is unanswered; the end of its claim is last
	recordFields  = 3
	recordSealed  = 4 // a shipment whose recipient is sealed (recipients.go)
)

// The fields of a shipment.
const (
	shipmentClaimUntil = 1 + iota // µs after acceptance
	shipmentTotal                 // parts that it will have; only while it is claimed
	shipmentTrace                 // see trace.go
	shipmentReported              // µs after acceptance; nothing where that is when it was updated
	shipmentListed                // nothing
	shipmentMail                  // flags: what reports about a mail have said, or will not say
	shipmentCost                  // parts, amount, price class
)

// The flags of shipmentMail.
const (
	mailUnreported = 1 << iota
	mailRelayed
	mailComplained
)

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
func encodeShipment(b []byte, s *orders.Shipment, box *sealed.Box) []byte {
	e := encoder{b}
	accepted := s.Accepted.UnixMicro()
	version, recipient := byte(recordFields), string(s.Recipient)
	if seals(box, s.Recipient) {
		version, recipient = recordSealed, string(box.Seal(recipient, shipmentTable, s.ID[:]))
	}
	e.byte(version)
	e.byte(byte(s.Status))
	e.int(accepted - idMicro(s.ID))
	e.int(s.Updated.UnixMicro() - accepted)
	e.int(s.Deadline.UnixMicro() - accepted)
	e.uuid(s.OrderID)
	e.string(s.Organisation)
	e.string(recipient)
	e.string(s.SendersReference)

	e.uuid(s.Claim)
	e.string(s.Carrier)
	e.string(s.Detail[:min(len(s.Detail), maxDetail)])
	e.uint(uint64(len(s.Parts)))
	for _, p := range s.Parts {
		if p.Submitted.IsZero() {
			e.byte(byte(p.State))
			e.refs(p.Refs, s.Carrier, box, shipmentTable, s.ID[:])
			continue
		}
		e.byte(byte(p.State) | partDated)
		e.refs(p.Refs, s.Carrier, box, shipmentTable, s.ID[:])
		e.int(p.Submitted.Unix())
	}
	if !s.ClaimUntil.IsZero() {
		e.field(shipmentClaimUntil, func(e *encoder) { e.int(s.ClaimUntil.UnixMicro() - accepted) })
	}
	e.traced(s)
	if flags := mailFlags(s); flags != 0 {
		e.field(shipmentMail, func(e *encoder) { e.byte(flags) })
	}
	if s.Cost != (orders.Cost{}) {
		e.field(shipmentCost, func(e *encoder) {
			e.uint(uint64(s.Cost.Parts))
			e.uint(uint64(s.Cost.Amount))
			e.string(s.Cost.Class)
		})
	}
	return shipmentScope.seal(e.b, len(b), s.ID[:])
}

func mailFlags(s *orders.Shipment) (flags byte) {
	for flag, set := range map[byte]bool{mailUnreported: s.Unreported, mailRelayed: s.Relayed, mailComplained: s.Complained} {
		if set {
			flags |= flag
		}
	}
	return flags
}

// decodeShipment reads the record of the shipment id; brief leaves out what
// says how the hand-over went (claim, carrier, detail, parts). Without a box, a recipient that is sealed is
// left out too.
func decodeShipment(id uuid.UUID, record []byte, brief bool, box *sealed.Box) (orders.Shipment, error) {
	b, ok := shipmentScope.open(id[:], record)
	if !ok {
		return orders.Shipment{}, corrupt("shipment")
	}
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
	if d.bad || version < recordVersion || version > recordSealed || !s.Status.Valid() {
		return orders.Shipment{}, corrupt("shipment")
	}
	if version == recordSealed {
		var err error
		if s.Recipient, err = unseal(box, s.Recipient, shipmentTable, id[:]); err != nil {
			return orders.Shipment{}, err
		}
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
		p.Refs = d.refs(box, shipmentTable, id[:])
		if state&partDated != 0 {
			p.Submitted = time.Unix(d.int(), 0).UTC()
		}
		d.bad = d.bad || p.State > orders.PartFailed
	}
	switch version {
	case recordClaimed:
		s.ClaimUntil, s.Total = microTime(accepted+d.int()), 1
	case recordFields, recordSealed:
		d.fields(func(number byte, f *decoder) {
			switch number {
			case shipmentClaimUntil:
				s.ClaimUntil = microTime(accepted + f.int())
			case shipmentTotal:
				s.Total = int(min(f.uint(), 1<<16))
			case shipmentTrace:
				f.trace(&s)
			case shipmentReported:
				f.reported(&s)
			case shipmentListed:
				s.Listed = true
			case shipmentMail:
				flags := f.byte()
				s.Unreported, s.Relayed, s.Complained = flags&mailUnreported != 0, flags&mailRelayed != 0, flags&mailComplained != 0
			case shipmentCost:
				s.Cost = orders.Cost{Parts: int(min(f.uint(), 1<<16)), Amount: cost.Amount(f.uint()), Class: f.string()}
			}
		})
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

func encodeEntry(b []byte, feed scope, key []byte, en entry) []byte {
	e := encoder{b}
	e.byte(recordVersion)
	e.byte(byte(en.status))
	e.uuid(en.shipment)
	e.int(en.at.UnixMicro() - idMicro(en.shipment))
	return feed.seal(e.b, len(b), key)
}

func decodeEntry(feed scope, key, record []byte) (entry, error) {
	b, ok := feed.open(key, record)
	d := decoder{b: b}
	version := d.byte()
	en := entry{status: orders.Status(d.byte()), shipment: d.uuid()}
	en.at = microTime(idMicro(en.shipment) + d.int())
	if !ok || !d.end() || version != recordVersion || !en.status.Valid() {
		return entry{}, corrupt("feed entry")
	}
	return en, nil
}

// encodeKey appends the record of an idempotency key: the id of its shipment.
func encodeKey(b, key []byte, id uuid.UUID) []byte {
	return keyScope.seal(append(b, id[:]...), len(b), key)
}

func decodeKey(key, record []byte) (uuid.UUID, error) {
	b, ok := keyScope.open(key, record)
	id, err := uuid.FromBytes(b)
	if !ok || err != nil {
		return uuid.Nil, corrupt("key")
	}
	return id, nil
}

const (
	kindBound  = 'b'
	kindParked = 'p'
)

func encodeRef(b, key []byte, r ledger.Ref) []byte {
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
	return refScope.seal(e.b, len(b), key)
}

func decodeRef(key, record []byte) (ledger.Ref, error) {
	b, ok := refScope.open(key, record)
	if !ok {
		return ledger.Ref{}, corrupt("reference")
	}
	return refWithoutSum(b)
}

// refWithoutSum reads a reference as it was stored before schema version 5.
func refWithoutSum(b []byte) (ledger.Ref, error) {
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
