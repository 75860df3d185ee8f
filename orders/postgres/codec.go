package postgres

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// coder writes a record, or reads it: one function for each kind of record says what is in it, for both. Strings may
// have any octets. A record may grow at its end only, by a whole field, not by another flag or by another field of a
// list's elements: what an older record lacks reads as zero. What follows the fields is a newer program's. It is
// written again as it was read, so it must not name a person: an older program would not forget that.
type coder struct {
	row
	b       []byte
	reading bool
	bad     bool

	sealed   bool // the record's recipients are sealed
	stale    bool // one that was read is plain, or sealed with the former key, and has to be sealed
	unopened error
}

// row is what a record belongs to: its recipients are sealed for that row alone (package sealed). The zero row is that of a
// record without any.
type row struct {
	box   *sealed.Box // nil: they are plain; of a reader without keys, those that are sealed are left out
	table string
	key   []byte
}

// The tables of sealed recipients. They are part of what is sealed: do not change them.
func shipmentRowOf(box *sealed.Box, id uuid.UUID) row { return row{box, "shipments", id[:]} }
func parkedRowOf(box *sealed.Box, id uuid.UUID) row   { return row{box, "parked", id[:]} }
func blockRowOf(box *sealed.Box, h hash) row          { return row{box, "blocked", h[:]} }

// The first octet of a record.
const (
	recordVersion = 1
	sealedVersion = 2 // some of its texts begin with sealedMark, and are sealed
)

// sealedMark begins a text that is sealed. In a sealed record, no other text that may be sealed begins with it.
const sealedMark = "\x00"

// encode returns the record that fields write, and after it what a newer program has appended.
func (r row) encode(fields func(*coder), newer ...byte) []byte {
	c := &coder{row: r, b: []byte{recordVersion}, sealed: r.box.Seals()}
	if c.sealed {
		c.b[0] = sealedVersion
	}
	fields(c)
	return append(c.b, newer...)
}

// beside is what there is to know of a record that may be written again.
type beside struct {
	newer []byte // what a newer program has appended
	stale bool   // it has to be stored again, sealed with the current key
}

// decode reads a record.
func (r row) decode(what string, record []byte, fields func(*coder)) (b beside, err error) {
	if len(record) == 0 || record[0] != recordVersion && record[0] != sealedVersion {
		return b, fmt.Errorf("%w: %s", ledger.ErrCorrupt, what)
	}
	c := &coder{row: r, b: record[1:], reading: true, sealed: record[0] == sealedVersion}
	switch fields(c); {
	case c.bad:
		return b, fmt.Errorf("%w: %s", ledger.ErrCorrupt, what)
	case c.unopened != nil:
		return b, fmt.Errorf("%w: %s: %w", ledger.ErrCorrupt, what, c.unopened)
	}
	return beside{c.b, c.stale}, nil
}

// secret is text that a sealed record has sealed where it names somebody.
func secret[T ~string](c *coder, v *T, names func(string) bool) {
	stored := string(*v)
	if !c.reading {
		if c.sealed && (names(stored) || strings.HasPrefix(stored, sealedMark)) {
			stored = sealedMark + string(c.box.Seal(stored, c.table, c.key))
		}
		text(c, &stored)
		return
	}
	text(c, &stored)
	*v = T(stored)
	value, is := strings.CutPrefix(stored, sealedMark)
	if !c.sealed || !is {
		c.stale = c.stale || c.box.Seals() && names(stored)
		return
	}
	*v = ""
	if c.box != nil {
		opened, err := c.box.Open([]byte(value), c.table, c.key)
		*v, c.unopened = T(opened), cmp.Or(c.unopened, err)
		c.stale = c.stale || !c.box.Current([]byte(value))
	}
}

// recipient is who a message is to.
func (c *coder) recipient(v *orders.Recipient) {
	secret(c, v, func(to string) bool { return to != "" && to != string(orders.Forgotten) })
}

// refs are references of a carrier, of which some may have a phone number in them.
func (c *coder) refs(v *[]string, carrier string) {
	list(c, v, func(c *coder, ref *string) {
		secret(c, ref, func(ref string) bool { return ledger.NamesRecipient(carrier, ref) })
	})
}

// take returns the next n octets of a record that is read; zeroes after its end.
func (c *coder) take(n int) []byte {
	if len(c.b) == 0 {
		return make([]byte, n)
	}
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *coder) int(v *int64) {
	if !c.reading {
		c.b = binary.AppendVarint(c.b, *v)
		return
	}
	n := 0
	if *v, n = binary.Varint(c.b); n <= 0 && len(c.b) > 0 {
		c.bad = true
	} else {
		c.b = c.b[n:]
	}
}

func number[T ~int | ~uint8 | ~uint16 | ~int64 | ~uint64](c *coder, v *T) {
	n := int64(*v)
	c.int(&n)
	*v = T(n)
}

func text[T ~string](c *coder, v *T) {
	n := len(*v)
	number(c, &n)
	if !c.reading {
		c.b = append(c.b, *v...)
	} else if n < 0 || n > len(c.b) {
		c.bad = true
	} else {
		*v = T(c.take(n))
	}
}

func (c *coder) uuid(v *uuid.UUID) {
	if c.reading {
		copy(v[:], c.take(len(v)))
	} else {
		c.b = append(c.b, v[:]...)
	}
}

// time has the time in µs, the zero time as 0.
func (c *coder) time(v *time.Time) {
	n := int64(0)
	if !v.IsZero() {
		if n = v.UnixMicro(); n >= 0 {
			n++
		}
	}
	c.int(&n)
	switch {
	case !c.reading:
	case n == 0:
		*v = time.Time{}
	default:
		if n > 0 {
			n--
		}
		*v = time.UnixMicro(n).UTC()
	}
}

func (c *coder) duration(v *time.Duration) {
	n := v.Microseconds()
	c.int(&n)
	*v = time.Duration(n) * time.Microsecond
}

func (c *coder) flags(flags ...*bool) {
	n := 0
	for i, f := range flags {
		if *f {
			n |= 1 << i
		}
	}
	number(c, &n)
	for i, f := range flags {
		*f = n&(1<<i) != 0
	}
}

// list has a list of any length; nil for none.
func list[T any](c *coder, v *[]T, one func(*coder, *T)) {
	n := len(*v)
	number(c, &n)
	if c.reading {
		if n < 0 || n > len(c.b) {
			c.bad = true
			return
		}
		*v = nil
		if n > 0 {
			*v = make([]T, n)
		}
	}
	for i := range *v {
		one(c, &(*v)[i])
	}
}

// maxText bounds a carrier's word and an operator's in a record, in octets.
const maxText = 256

// word is text of which a record has its first octets.
func word[T ~string](c *coder, v *T) {
	short := (*v)[:min(len(*v), maxText)]
	text(c, &short)
	if c.reading {
		*v = short
	}
}

// shipment is the record of a shipment; its id is the row's.
func (c *coder) shipment(s *orders.Shipment) {
	c.uuid(&s.OrderID)
	c.uuid(&s.Claim)
	text(c, &s.Organisation)
	text(c, &s.SendersReference)
	number(c, &s.Channel)
	c.recipient(&s.Recipient)
	number(c, &s.Status)
	c.time(&s.Accepted)
	c.time(&s.Updated)
	c.time(&s.Deadline)
	c.time(&s.ClaimUntil)
	number(c, &s.Total)
	text(c, &s.Carrier)
	list(c, &s.Parts, func(c *coder, p *orders.Part) {
		c.refs(&p.Refs, s.Carrier)
		number(c, &p.State)
		c.time(&p.Submitted)
	})
	word(c, &s.Detail)
	text(c, &s.Trace.Bind)
	text(c, &s.Trace.Encoding)
	for _, d := range []*time.Duration{&s.Trace.Stored, &s.Trace.Slot, &s.Trace.Written, &s.Trace.Answered, &s.Trace.Reported} {
		c.duration(d)
	}
	c.flags(&s.Unreported, &s.Relayed, &s.Complained, &s.Listed)
	number(c, &s.Cost.Parts)
	number(c, &s.Cost.Amount)
	text(c, &s.Cost.Class)
}

func encodeShipment(box *sealed.Box, s *orders.Shipment, newer []byte) []byte {
	return shipmentRowOf(box, s.ID).encode(func(c *coder) { c.shipment(s) }, newer...)
}

func decodeShipment(box *sealed.Box, id uuid.UUID, record []byte) (orders.Shipment, error) {
	s, _, err := readShipment(box, id, record)
	return s, err
}

func readShipment(box *sealed.Box, id uuid.UUID, record []byte) (s orders.Shipment, b beside, err error) {
	s.ID = id
	b, err = shipmentRowOf(box, id).decode("shipment "+id.String(), record, func(c *coder) { c.shipment(&s) })
	if err == nil && (!s.Status.Valid() || s.Status.Channel() != s.Channel) {
		err = fmt.Errorf("%w: shipment %s", ledger.ErrCorrupt, id)
	}
	if err != nil {
		return orders.Shipment{}, b, err
	}
	return s, b, nil
}

// report is the record of a report that waits, without its hints.
func (c *coder) report(r *orders.Report) {
	text(c, &r.Carrier)
	c.refs(&r.Refs, r.Carrier)
	number(c, &r.IDs)
	c.time(&r.At)
	number(c, &r.Status)
	word(c, &r.Detail)
	c.recipient(&r.Recipient)
	c.time(&r.Submitted)
	c.time(&r.Done)
	number(c, &r.Reference)
	c.flags(&r.Unverified, &r.Echoed, &r.Whole, &r.ByRecipient, &r.Relayed, &r.Expanded)
	text(c, &r.Suppress)
	word(c, &r.Word)
}

func encodeReport(box *sealed.Box, id uuid.UUID, r *orders.Report, newer []byte) []byte {
	return parkedRowOf(box, id).encode(func(c *coder) { c.report(r) }, newer...)
}

func decodeReport(box *sealed.Box, id uuid.UUID, record []byte) (orders.Report, error) {
	r, _, err := readReport(box, id, record)
	return r, err
}

func readReport(box *sealed.Box, id uuid.UUID, record []byte) (r orders.Report, b beside, err error) {
	b, err = parkedRowOf(box, id).decode("parked report", record, func(c *coder) { c.report(&r) })
	return r, b, err
}

func (c *coder) block(b *orders.Block) {
	text(c, &b.Organisation)
	number(c, &b.Channel)
	c.recipient(&b.Recipient)
	c.flags(&b.Off)
	c.time(&b.At)
	text(c, &b.Source)
	word(c, &b.Word)
	word(c, &b.Reason)
	word(c, &b.By)
	c.time(&b.Until)
	number(c, &b.Times)
}

func encodeBlock(box *sealed.Box, h hash, b *orders.Block, newer []byte) []byte {
	return blockRowOf(box, h).encode(func(c *coder) { c.block(b) }, newer...)
}

func decodeBlock(box *sealed.Box, h hash, record []byte) (orders.Block, error) {
	b, _, err := readBlock(box, h, record)
	return b, err
}

func readBlock(box *sealed.Box, h hash, record []byte) (b orders.Block, of beside, err error) {
	of, err = blockRowOf(box, h).decode("block", record, func(c *coder) { c.block(&b) })
	return b, of, err
}

func (c *coder) cursor(v *orders.Cursor) {
	number(c, &v.Seq)
	number(c, &v.Begin)
	c.time(&v.FailingSince)
	c.time(&v.StoppedAt)
	word(c, &v.StopReason)
	c.time(&v.Seen)
}
