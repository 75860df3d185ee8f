package bolt

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// Accepted calls visit with each shipment that was accepted from since on and may have left. One that can't be read is
// logged and skipped.
func (j *Journal) Accepted(ctx context.Context, since time.Time, visit func(orders.Shipment)) error {
	from := firstID(since.Add(-findSlack))
	for from != nil {
		var bad error
		err := j.snapshots.view(func(t tables) error {
			from, bad = t.accepted(from, since, visit)
			return nil
		})
		if bad != nil {
			j.unread(bad)
			j.skipped.Write("accepted", slog.LevelError, "shipment not counted; see straks journal check", slog.Any("err", bad))
		}
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// accepted visits the shipments of at most findStep records from a key on, and returns where to go on: nil where no
// more come.
func (t tables) accepted(from []byte, since time.Time, visit func(orders.Shipment)) (next []byte, bad error) {
	c := t.shipments().Cursor()
	n := 0
	for k, v := shipmentScope.from(c, from); k != nil; k, v = c.Next() {
		if n++; n > findStep {
			return bytes.Clone(k), bad
		}
		id, err := uuid.FromBytes(k)
		if err != nil {
			continue
		}
		s, err := decodeShipment(id, v, false, t.box)
		switch {
		case err != nil:
			bad = err
		case s.MayHaveLeft() && !s.Accepted.Before(since):
			visit(s)
		}
	}
	return nil, bad
}

// firstID returns the lowest UUIDv7 of a time.
func firstID(at time.Time) []byte {
	id := make([]byte, 16)
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}
