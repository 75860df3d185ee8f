package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
)

// coder writes a record, or reads it: one function for each kind of record says what is in it, for both. Strings may
// have any octets. A record may grow at its end only: what an older record lacks reads as zero, and what follows is
// skipped.
type coder struct {
	b       []byte
	reading bool
	bad     bool
}

// recordVersion is the first octet of a record.
const recordVersion = 1

// encode returns the record that fields write.
func encode(fields func(*coder)) []byte {
	c := &coder{b: []byte{recordVersion}}
	fields(c)
	return c.b
}

// decode reads a record.
func decode(what string, record []byte, fields func(*coder)) error {
	if len(record) == 0 || record[0] != recordVersion {
		return fmt.Errorf("%w: %s", ledger.ErrCorrupt, what)
	}
	c := &coder{b: record[1:], reading: true}
	if fields(c); c.bad {
		return fmt.Errorf("%w: %s", ledger.ErrCorrupt, what)
	}
	return nil
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
	text(c, &s.Recipient)
	number(c, &s.Status)
	c.time(&s.Accepted)
	c.time(&s.Updated)
	c.time(&s.Deadline)
	c.time(&s.ClaimUntil)
	number(c, &s.Total)
	text(c, &s.Carrier)
	list(c, &s.Parts, func(c *coder, p *orders.Part) {
		list(c, &p.Refs, text[string])
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

func decodeShipment(id uuid.UUID, record []byte) (orders.Shipment, error) {
	s := orders.Shipment{ID: id}
	err := decode("shipment "+id.String(), record, func(c *coder) { c.shipment(&s) })
	if err == nil && (!s.Status.Valid() || s.Status.Channel() != s.Channel) {
		err = fmt.Errorf("%w: shipment %s", ledger.ErrCorrupt, id)
	}
	if err != nil {
		return orders.Shipment{}, err
	}
	return s, nil
}

// report is the record of a report that waits, without its hints.
func (c *coder) report(r *orders.Report) {
	text(c, &r.Carrier)
	list(c, &r.Refs, text[string])
	number(c, &r.IDs)
	c.time(&r.At)
	number(c, &r.Status)
	word(c, &r.Detail)
	text(c, &r.Recipient)
	c.time(&r.Submitted)
	c.time(&r.Done)
	number(c, &r.Reference)
	c.flags(&r.Unverified, &r.Echoed, &r.Whole, &r.ByRecipient, &r.Relayed, &r.Expanded)
	text(c, &r.Suppress)
	word(c, &r.Word)
}

func decodeReport(record []byte) (r orders.Report, err error) {
	err = decode("parked report", record, func(c *coder) { c.report(&r) })
	return r, err
}

func (c *coder) block(b *orders.Block) {
	text(c, &b.Organisation)
	number(c, &b.Channel)
	text(c, &b.Recipient)
	c.flags(&b.Off)
	c.time(&b.At)
	text(c, &b.Source)
	word(c, &b.Word)
	word(c, &b.Reason)
	word(c, &b.By)
	c.time(&b.Until)
	number(c, &b.Times)
}

func decodeBlock(record []byte) (b orders.Block, err error) {
	err = decode("block", record, func(c *coder) { c.block(&b) })
	return b, err
}

func (c *coder) cursor(v *orders.Cursor) {
	number(c, &v.Seq)
	number(c, &v.Begin)
	c.time(&v.FailingSince)
	c.time(&v.StoppedAt)
	word(c, &v.StopReason)
	c.time(&v.Seen)
}

// hash is a key of several strings, none of which can pass for another.
type hash [16]byte

func hashOf(parts ...string) (h hash) {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// blockHash, like the hash of a key, is the one that orders/bolt has: a journal that moves has no more of old entries.
func blockHash(organisation string, c orders.Channel, to orders.Recipient) hash {
	return hashOf(organisation, c.String(), string(to))
}

func refHash(carrier, ref string) hash { return hashOf("ref", carrier, ref) }

// octets returns hashes as a bytea[].
func octets(hashes []hash) [][]byte {
	all := make([][]byte, len(hashes))
	for i := range hashes {
		all[i] = hashes[i][:]
	}
	return all
}

// ids returns ids as a uuid[].
func ids(all []uuid.UUID) [][16]byte {
	out := make([][16]byte, len(all))
	for i, id := range all {
		out[i] = id
	}
	return out
}
