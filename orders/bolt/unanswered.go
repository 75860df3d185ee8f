package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
)

// listing is a record of unanswered.
type listing struct {
	number string // in one of its forms (numberForms)
	id     uuid.UUID
	until  int64 // when it may be dropped, in µs
}

// decodeListing reads a record of unanswered. One that can't be read is skipped: its shipment then goes by
// its deadline. Check reports it.
func decodeListing(k, record []byte) (l listing, ok bool) {
	v, ok := unansweredScope.open(k, record)
	if n := len(k) - len(l.id); ok && n > 0 && len(v) == 8 {
		return listing{string(k[:n]), uuid.UUID(k[n:]), int64(binary.BigEndian.Uint64(v))}, true
	}
	return l, false
}

// List implements ledger.Store. The entry stays for as long as a report may wait that could be about its
// shipment: without it, the report would seem to fit another shipment only.
func (w *writeTx) List(s *orders.Shipment) error {
	if err := w.Unlist(s); err != nil { // under another form of the number
		return err
	}
	key := w.unansweredKeys(s)[0]
	until := w.value(func(b []byte) []byte {
		n := len(b)
		return unansweredScope.seal(binary.BigEndian.AppendUint64(b, uint64(max(s.MatchedUntil().Add(ledger.ParkedRetention).UnixMicro(), 0))), n, key)
	})
	return w.unanswered().Put(key, until)
}

// Unlist implements ledger.Store.
func (w *writeTx) Unlist(s *orders.Shipment) error {
	for _, key := range w.unansweredKeys(s) {
		if err := w.unanswered().Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// maxUnanswered bounds the shipments of one number that Unanswered returns: of more than one, none is
// matched without a user reference.
const maxUnanswered = 64

// Unanswered implements ledger.Store.
func (w *writeTx) Unanswered(number string) (ids []uuid.UUID, err error) {
	c := w.unanswered().Cursor()
	for _, form := range w.numberForms(number) {
		for k, v := unansweredScope.from(c, []byte(form)); k != nil && len(ids) < maxUnanswered; k, v = c.Next() {
			l, ok := decodeListing(k, v) // of one that can't be read, nobody knows whose it is
			mine := bytes.HasPrefix(k, []byte(form))
			if ok && !mine && bytes.Compare(k, []byte(form)) > 0 {
				break
			}
			if ok && mine {
				ids = append(ids, l.id)
			}
		}
	}
	return ids, nil
}

// dropUnanswered removes entries whose time has passed: it looks at up to n, from where it ended the
// last time.
func (w *writeTx) dropUnanswered(from *[]byte, now time.Time, n int) error {
	var old [][]byte
	c := w.unanswered().Cursor()
	k, v := c.Seek(*from)
	for ; k != nil && n > 0; k, v = c.Next() {
		n--
		if l, ok := decodeListing(k, v); !ok || l.until < now.UnixMicro() {
			old = append(old, append([]byte(nil), k...))
		}
	}
	*from = append([]byte(nil), k...)
	for _, k := range old {
		if err := w.unanswered().Delete(k); err != nil {
			return err
		}
	}
	return nil
}

const (
	// claimsBack is how far back from the newest order Open looks for claims of a process that has ended.
	// A claim lasts for the send deadline and 2 s. The orders of keys that were tried again may be
	// older: they are in the index. An order with a time to come, of a clock that was ahead, is not the newest.
	claimsBack = 2 * time.Minute
	// claimsMost bounds how many orders it looks at.
	claimsMost = 500_000
)

// claims returns the shipments whose claim is unanswered.
func (t tables) claims() (ids []uuid.UUID) {
	c := t.shipments().Cursor()
	k, v := c.Last()
	if k == nil {
		return nil
	}
	now, newest, n := time.Now().UnixMicro(), int64(0), 0
	for ; k != nil && n < claimsMost; k, v = c.Prev() {
		if len(k) != len(uuid.UUID{}) {
			continue
		}
		id := uuid.UUID(k)
		at := idMicro(id)
		if newest == 0 && at <= now {
			newest = at
		}
		if at < newest-claimsBack.Microseconds() {
			break
		}
		if t.claimed(id, v) {
			ids = append(ids, id)
		}
		n++
	}
	listed := t.unanswered().Cursor()
	for k, v := listed.First(); k != nil; k, v = listed.Next() {
		if l, ok := decodeListing(k, v); ok && t.claimed(l.id, t.shipments().Get(l.id[:])) {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// claimed reports whether a record is that of a shipment whose claim is unanswered. Those of most
// shipments are not read to their end.
func (t tables) claimed(id uuid.UUID, v []byte) bool {
	if len(v) < 2 || v[0] != recordClaimed && v[0] != recordFields && v[0] != recordSealed {
		return false
	}
	if st := orders.Status(v[1]); st.Final() || st.Free() || st.InFeed() {
		return false
	}
	s, err := decodeShipment(id, v, false, nil)
	return err == nil && !s.ClaimUntil.IsZero()
}

// Abandoned implements orders.Journal: of the shipments that were claimed before Open, those that are.
func (j *Journal) Abandoned(ctx context.Context) (left []orders.Shipment, err error) {
	err = j.snapshots.view(func(t tables) error {
		left = nil
		for id, claim := range j.abandoned {
			s, ok, err := t.shipment(id, false)
			if err != nil && !errors.Is(err, ErrCorrupt) {
				return err
			}
			if ok && err == nil && s.Claim == claim && !s.ClaimUntil.IsZero() {
				left = append(left, s)
			}
		}
		return nil
	})
	j.unread(err)
	return left, err
}

// noteClaims notes what is claimed when the journal is opened: its process has ended. What can't be read
// does not keep the journal from being opened.
func (j *Journal) noteClaims(f file) {
	j.abandoned = make(map[uuid.UUID]uuid.UUID)
	err := f.view(func(t tables) error {
		for _, id := range t.claims() {
			s, _, err := t.shipment(id, false)
			if err != nil {
				return err
			}
			j.abandoned[id] = s.Claim
		}
		return nil
	})
	if err != nil {
		j.opt.Log.Error("orders that were in flight when straks ended are not all known; see straks journal check", "err", err)
	}
}

// maxMatching bounds the entries of the index that one call of Matches reads.
const maxMatching = 100_000

// Matches implements orders.Journal. It costs nothing while nothing is unanswered.
func (j *Journal) Matches(ctx context.Context, before, now time.Time, limit int) (found []orders.Match, err error) {
	err = j.snapshots.view(func(t tables) (err error) {
		found, err = t.matches(ctx, before, now, limit)
		return err
	})
	j.unread(err)
	return found, err
}

func (t tables) matches(ctx context.Context, before, now time.Time, limit int) (found []orders.Match, err error) {
	listed := make(map[string][]uuid.UUID)
	c := t.unanswered().Cursor()
	n := 0
	for k, v := c.First(); k != nil && n < maxMatching; k, v = c.Next() {
		if l, ok := decodeListing(k, v); ok {
			form := t.sealedForm(l.number)
			listed[form] = append(listed[form], l.id)
		}
		n++
	}
	if len(listed) == 0 {
		return nil, nil
	}
	waiting := make(map[string][]orders.Report)
	t.eachParked(func(_ string, k, v []byte) bool {
		r, err := decodeReport(k, v, t.box)
		if number := t.numberForm(r.Recipient.Number()); err == nil && listed[number] != nil { // retention reports what can't be read
			waiting[number] = append(waiting[number], r)
		}
		return ctx.Err() == nil
	})
	for number, reports := range waiting {
		if len(found) >= limit {
			break
		}
		var shipments []orders.Shipment
		for _, id := range listed[number] {
			s, ok, err := t.shipment(id, false)
			if err != nil && !errors.Is(err, ErrCorrupt) {
				return nil, err
			}
			if ok && err == nil {
				shipments = append(shipments, s)
			}
		}
		found = append(found, orders.FindMatches(reports, shipments, before, now)...)
	}
	return found[:min(len(found), limit)], context.Cause(ctx)
}
