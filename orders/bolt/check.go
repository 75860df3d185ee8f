package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
)

// maxFaults is how many faults Check reports before it gives up.
const maxFaults = 20

// Check walks every invariant of the package comment over one snapshot, and
// returns all faults that it finds, up to a bound. A page that can't be read ends the
// walk of its table only. It reads the whole file, and for as long as it does no page
// that is freed can be used again.
func (r *reader) Check(ctx context.Context) error {
	return r.snapshots.view(func(t tables) error {
		if err := t.current(); err != nil {
			return err
		}
		c := &checker{tables: t, ctx: ctx, progress: r.progress}
		if c.progress != nil {
			c.total = t.records()
		}
		c.walk("keys", c.keyed)
		c.walk("shipments", c.shipped)
		c.walk("refs", c.referenced)
		c.walk("parked", c.parkedReports)
		c.walk("deadlines", c.deadlined)
		c.walk("feed", c.fed)
		c.walk("blocked", c.listed)
		c.walk("lifted", c.liftedBlocks)
		c.walk("unanswered", c.unansweredOnes)
		c.walk("cursors", c.cursorsRead)
		c.walk("verifications", c.verified)
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if c.progress != nil {
			c.progress(c.done, c.done)
		}
		return errors.Join(c.faults...)
	})
}

// Check is reader.Check, and that each page is either in use, once, or listed as free: the next
// writes destroy what is in use and listed as free. Where no list is stored there is nothing to check.
func (r *ReadOnly) Check(ctx context.Context) error {
	if err := r.reader.Check(ctx); err != nil || !listed(r.file.fd) {
		return err
	}
	return r.snapshots.view(func(t tables) error {
		c := &checker{tables: t, ctx: ctx}
		c.pages()
		return errors.Join(append(c.faults, context.Cause(ctx))...)
	})
}

// pages runs bbolt's own check, in which each page has been read before: bbolt's goroutine must not
// meet one that can't be.
func (c *checker) pages() {
	lost := 0
	for err := range c.tx.Check() {
		switch {
		case strings.Contains(err.Error(), "unreachable unfreed"):
			lost++
		case !c.enough():
			c.fault("%w", err)
		}
	}
	if lost > 0 {
		c.fault("%d pages are neither in use nor free, which costs room only: straks journal compact takes them back", lost)
	}
}

type checker struct {
	tables
	ctx    context.Context
	faults []error

	progress    func(done, total int64) // may be nil
	done, total int64                   // records
}

// walk checks one table, as far as its pages can be read.
func (c *checker) walk(table string, check func()) {
	err := func() (err error) {
		defer caught(&err)()
		check()
		return nil
	}()
	if err != nil {
		c.fault("the check of %s met a page that can't be read, and ended there: %w", table, err)
	}
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("journal: "+format, args...))
}

func (c *checker) enough() bool { return len(c.faults) >= maxFaults || c.ctx.Err() != nil }

// keyed: a key leads to a shipment, or to one that was swept, and stays at least as
// long. If another record hides the key, the message could be sent a second time. Version 2 left the
// key of a shipment that is gone or free where it was when the key was used again.
func (c *checker) keyed() {
	c.eachSlot(c.keys(), func(end int64, k, v []byte, hidden bool) {
		id, err := decodeKey(k, v)
		switch {
		case err != nil:
			c.fault("key %x: %w", k, err)
		case idMicro(id) >= end:
			c.fault("key of shipment %s in a slot that ends before it", id)
		}
		if hidden && err == nil && c.holdsKey(id) {
			c.fault("key of shipment %s: another record of the same key hides it", id)
		}
	})
}

// holdsKey reports whether a shipment's key is not free.
func (c *checker) holdsKey(id uuid.UUID) bool {
	s, ok, err := c.shipment(id, true)
	return err != nil || ok && !s.Status.Free()
}

// eachSlot calls visit for each record of a table in slots. hidden: no look-up finds the record, since
// a newer slot has another one of the same key. PutKey and PutRef remove the older record from every slot.
func (c *checker) eachSlot(s *slots, visit func(end int64, k, v []byte, hidden bool)) {
	s.b.ForEach(func(name, _ []byte) error {
		b := s.b.Bucket(name)
		if b == nil || len(name) != 4 {
			c.fault("a slot is called %x", name)
			return nil
		}
		if b.Sequence() != slotMark(name) {
			c.fault("a slot is called %x, which is not its name: it never leaves", name)
		}
		filter := s.openFilter(name)
		c.ranges(name, filter)
		cur := b.Cursor()
		for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
			if !filter.maybe(k, filterSum(k)) {
				c.fault("slot %x: its filter hides a key", name)
			}
			first, _ := s.get(k)
			visit(slotEnd(name), k, v, first != nil && !bytes.Equal(first, v))
		}
		return nil
	})
	s.filters.ForEachBucket(func(name []byte) error {
		if s.b.Bucket(name) == nil {
			c.fault("a filter of no slot is called %x", name)
		}
		return nil
	})
}

// ranges: a filter rules out what it can.
func (c *checker) ranges(slot []byte, f *filter) {
	if f == nil {
		return
	}
	cur := f.b.Cursor()
	for last, record := cur.First(); last != nil && c.more(); last, record = cur.Next() {
		if r, ok := f.rangeOf(last, record); !ok || !r.whole() {
			c.fault("slot %x: a filter of it can't be read, which costs time only", slot)
			return
		}
	}
}

// shipped: a shipment reads well, its times are in order, an unsettled one has
// its deadline, and the references of its parts are bound, to it or to a
// shipment that got them later.
func (c *checker) shipped() {
	cur := c.shipments().Cursor()
	for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
		id, err := uuid.FromBytes(k)
		if err != nil {
			c.fault("shipment %x: not an id", k)
			continue
		}
		s, err := decodeShipment(id, v, false, c.box)
		if err != nil {
			c.fault("shipment %s: %w", id, err)
			continue
		}
		if s.Updated.Before(s.Accepted) {
			c.fault("shipment %s: changed before it was accepted", id)
		}
		if s.Status.Free() && s.Parts != nil {
			c.fault("shipment %s: free, but it may have left", id)
		}
		if !s.Status.Final() && !s.Status.Free() && !deadlineScope.whole(deadlineKey(&s), c.deadlines().Get(deadlineKey(&s))) {
			c.fault("shipment %s: unsettled without a deadline", id)
		}
		if s.Listed && !s.Status.Final() && !c.listedAs(&s) {
			c.fault("shipment %s: unanswered, but not in the index of those", id)
		}
		c.boundRefs(&s)
	}
}

func (c *checker) boundRefs(s *orders.Shipment) {
	for i, p := range s.Parts {
		for _, name := range p.Refs {
			if !strings.HasPrefix(name, orders.IDPrefix) {
				continue // a shipment that got it later may be forgotten, and its references with it
			}
			key, v, _ := c.refs().refRecord(c.refKeys(s.Carrier, name))
			if v == nil {
				if s.Status.Final() || s.Deadline.Sub(s.Accepted) > refRetention {
					continue // its slot may have been swept
				}
				c.fault("shipment %s: reference of part %d is not bound", s.ID, i)
				continue
			}
			if r, err := decodeRef(key, v); err == nil && r.Bound.None() && !s.Status.Final() {
				c.fault("shipment %s: reference of part %d is bound, yet a report waits for it", s.ID, i)
			}
		}
	}
}

// referenced: a reference leads to parts that have it, and to a parked report
// that has it.
func (c *checker) referenced() {
	c.eachSlot(c.refs(), func(_ int64, k, v []byte, hidden bool) {
		if hidden {
			c.fault("a reference has another record of the same key, which hides it")
		}
		r, err := decodeRef(k, v)
		if err != nil {
			c.fault("reference: %w", err)
			return
		}
		if r.Parked != "" {
			c.parkedRef(k, r)
		}
		c.boundRef(k, r.Bound)
		c.boundRef(k, r.Before)
	})
}

func (c *checker) boundRef(k []byte, b ledger.Binding) {
	s, ok, err := c.shipment(b.Shipment, false)
	if err != nil || !ok {
		return // none, reported by shipped, or swept
	}
	if b.Part >= len(s.Parts) && len(s.Parts) == 1 {
		return // a report about the whole message has made one part of all (Shipment.Attach)
	}
	if c.box == nil && isHashed(k) {
		return // only its key could tell
	}
	bears := func(name string) bool { return c.hasKey(s.Carrier, name, k) }
	if b.Part >= len(s.Parts) || !slices.ContainsFunc(s.Parts[b.Part].Refs, bears) {
		c.fault("shipment %s: bound to a reference that part %d does not have", s.ID, b.Part)
	}
}

func (c *checker) parkedRef(k []byte, r ledger.Ref) {
	carrier, _, _ := bytes.Cut(k, []byte{0})
	v := c.parkedRecord(string(carrier), []byte(r.Parked))
	if v == nil {
		c.fault("a reference waits for a report that is gone")
		return
	}
	report, err := decodeReport([]byte(r.Parked), v, c.box)
	if c.box == nil && isHashed(k) {
		return
	}
	bears := func(name string) bool { return c.hasKey(report.Carrier, name, k) }
	if err == nil && !slices.ContainsFunc(report.Refs, bears) {
		c.fault("a reference leads to a report that does not have it")
	}
}

// parkedReports: each is its carrier's, and found under one of its references at least.
func (c *checker) parkedReports() {
	sealing := c.meta().Get(keySealing) != nil
	c.eachParked(func(carrier string, k, v []byte) bool {
		report, err := decodeReport(k, v, c.box)
		switch {
		case err != nil:
			c.fault("%w", err)
		case report.Carrier != carrier:
			c.fault("a parked report of %q lies among those of %q", report.Carrier, carrier)
		case !(c.box == nil && sealing) && !slices.ContainsFunc(report.Refs, func(name string) bool {
			key, v, _ := c.refs().refRecord(c.refKeys(carrier, name))
			r, err := decodeRef(key, v)
			return v != nil && err == nil && string(r.Parked) == string(k)
		}):
			c.fault("a parked report has no reference that leads to it")
		}
		return c.more()
	})
}

func (c *checker) deadlined() {
	cur := c.deadlines().Cursor()
	for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
		if _, _, err := splitDeadline(k, v); err != nil {
			c.fault("%w", err)
		}
	}
}

// fed: each feed is dense up to its bucket's sequence, and a shipment's last
// entry says the status that it has.
func (c *checker) fed() {
	c.feed().ForEachBucket(func(name []byte) error {
		feed, scope := c.feed().Bucket(name), feedScope(name)
		last := uint64(0)
		start, err := c.feedStart()
		if err != nil {
			c.fault("%w", err)
		}
		if feed.Sequence() < start {
			c.fault("feed of %q has numbered up to %d, but numbers begin above %d", name, feed.Sequence(), start)
		}
		status := make(map[uuid.UUID]entry) // of the feed; Check is for an operator, not for the hot path
		cur := feed.Cursor()
		for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
			seq := binary.BigEndian.Uint64(k)
			if seq <= start {
				c.fault("feed of %q: %d is not above %d, where numbers begin", name, seq, start)
			}
			if last != 0 && seq != last+1 {
				c.fault("feed of %q: %d follows %d", name, seq, last)
			}
			last = seq
			en, err := decodeEntry(scope, k, v)
			if err != nil {
				c.fault("feed of %q: %d: %w", name, seq, err)
				continue
			}
			status[en.shipment] = en
		}
		if last != 0 && last != feed.Sequence() && !c.enough() {
			c.fault("feed of %q ends with %d, but its last number was %d", name, last, feed.Sequence())
		}
		c.fedLast(name, status)
		return nil
	})
}

func (c *checker) fedLast(organisation []byte, status map[uuid.UUID]entry) {
	for id, en := range status {
		if c.enough() {
			return
		}
		s, ok, err := c.shipment(id, true)
		switch {
		case err != nil || !ok: // reported by shipped, or swept
		case s.Organisation != string(organisation):
			c.fault("shipment %s: in the feed of %q, but it is not theirs", id, organisation)
		case s.Status != en.status:
			c.fault("shipment %s: %v, but the feed of %q says %v", id, s.Status, organisation, en.status)
		}
	}
}

// listedAs reports whether the index of unanswered shipments has an entry of the shipment, as far as can be told without
// its recipient.
func (c *checker) listedAs(s *orders.Shipment) bool {
	return s.Recipient == "" || slices.ContainsFunc(c.unansweredKeys(s), func(k []byte) bool { return c.unanswered().Get(k) != nil })
}

// unansweredOnes: each entry leads to a shipment of its number that may be unanswered.
func (c *checker) unansweredOnes() {
	cur := c.unanswered().Cursor()
	for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
		l, ok := decodeListing(k, v)
		if !ok {
			c.fault("%w", corrupt("entry of an unanswered shipment"))
			continue
		}
		s, ok, err := c.shipment(l.id, false)
		if err == nil && ok && (!s.Listed || s.Recipient != "" && c.numberForm(s.Recipient.Number()) != c.sealedForm(l.number)) {
			c.fault("shipment %s: in the index of unanswered ones without reason", l.id)
		}
	}
}
