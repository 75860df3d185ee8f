package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders"
)

// findStep is how many shipments one snapshot is looked through for: an operator's look-up holds none for
// long.
const findStep = 5000

// Find implements orders.Journal. There is no index: it looks through the shipments, of which a second
// takes about two million.
func (j *Journal) Find(ctx context.Context, q orders.FindQuery) (found []orders.Shipment, err error) {
	for before := []byte(nil); ; {
		var bad error
		err = j.snapshots.view(func(t tables) error {
			found, before, bad = t.find(q, before, found)
			return nil
		})
		if bad != nil {
			j.unread(bad)
			j.skipped.Write("find", slog.LevelError, "shipment skipped in a look-up; see straks journal check", slog.Any("err", bad))
		}
		if err = errors.Join(err, context.Cause(ctx)); err != nil || before == nil || len(found) >= q.Limit {
			return found, err
		}
	}
}

// find looks through findStep shipments that are older than before (nil: from the newest on). It returns
// where to go on: nil where no more come.
func (t tables) find(q orders.FindQuery, before []byte, found []orders.Shipment) (_ []orders.Shipment, next []byte, bad error) {
	c := t.shipments().Cursor()
	k, v := firstOf(c, &q, before)
	needle := t.needleOf(&q)
	for n := 0; k != nil && len(found) < q.Limit; k, v = c.Prev() {
		if n++; n > findStep {
			return found, append([]byte(nil), next...), bad
		}
		next = k
		id, err := uuid.FromBytes(k)
		if old := err == nil && microTime(idMicro(id)).Before(q.Since.Add(-findSlack)); old && shipmentScope.whole(k, v) {
			return found, nil, bad
		} else if old || err != nil { // a key that has rotted says nothing of those before it
			bad = corrupt(fmt.Sprintf("shipment %x", k))
			continue
		}
		if needle == nil || bytes.Contains(v, needle) {
			s, err := decodeShipment(id, v, false, t.box)
			if err != nil {
				bad = err
			} else if q.Matches(&s) && !s.Accepted.Before(q.Since) {
				found = append(found, s)
			}
		}
		if q.Shipment != uuid.Nil {
			return found, nil, bad
		}
	}
	return found, nil, bad
}

// Waiting implements orders.Journal.
func (j *Journal) Waiting(ctx context.Context, to orders.Recipient, limit int) (found []orders.Report, err error) {
	err = j.snapshots.view(func(t tables) error {
		found = nil
		t.eachParked(func(_ string, k, v []byte) bool {
			r, err := decodeReport(k, v, t.box)
			if err == nil && to.Number() != "" && r.Recipient.Number() == to.Number() {
				found = append(found, r)
			}
			return len(found) < limit && ctx.Err() == nil
		})
		return context.Cause(ctx)
	})
	j.unread(err)
	return found, err
}

// firstOf returns the first record to look at: that of the shipment, if the query has one.
func firstOf(c *bbolt.Cursor, q *orders.FindQuery, before []byte) (k, v []byte) {
	switch {
	case q.Shipment != uuid.Nil:
		return c.Seek(q.Shipment[:])
	case before == nil:
		return c.Last()
	}
	if k, _ := c.Seek(before); k == nil {
		return c.Last()
	}
	return c.Prev()
}

// findSlack is how much later than its id a shipment may have been accepted: a retried key keeps its id.
const findSlack = 24 * time.Hour

// needleOf returns octets that the record of every shipment has which the query is about; nil where letter
// case could hide them, or the record may be of either form. It spares the decoding of nearly all.
func (t tables) needleOf(q *orders.FindQuery) []byte {
	if q.Recipient != "" && t.box.Seals() {
		if !t.box.Settled() {
			return nil
		}
		return t.box.Finder(string(q.Recipient))
	}
	text := string(q.Recipient) + q.Word
	if text == "" || strings.ToUpper(text) != strings.ToLower(text) {
		return nil
	}
	return []byte(text)
}
