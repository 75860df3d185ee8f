package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// freeRetention is how long a key that is free again keeps its ids. A key and its
// shipment are forgotten by the age of these ids: a retry that kept old ones would be
// forgotten soon after it was sent, or with a short retention before it is settled.
const freeRetention = 24 * time.Hour

// errSize tells that there is no room for orders.
var errSize = fmt.Errorf("%w: the file has reached its largest size (max_size)", orders.ErrUnavailable)

// errFull refuses an order before anything of it was stored.
var errFull = fmt.Errorf("%w: %w", orders.ErrNotStored, errSize)

// hashSize is how much of a SHA-256 makes a key: enough that nobody's keys meet.
const hashSize = 16

// hash makes one key of several strings, none of which can pass for another.
func hash(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return sum[:hashSize]
}

func checkIntake(in *orders.Intake) error {
	switch {
	case in.Shipment.Version() != 7:
		return errors.New("journal: the shipment's id is not a UUIDv7")
	case in.Organisation == "":
		return errors.New("journal: order without an organisation")
	case in.Channel != orders.SMS && in.Channel != orders.Email:
		return errors.New("journal: order without a channel")
	case in.ClaimFor <= 0:
		return errors.New("journal: claim that lasts no time")
	}
	in.At = micro(in.At)
	in.TTL, in.ClaimFor = in.TTL.Truncate(time.Microsecond), in.ClaimFor.Truncate(time.Microsecond)
	return nil
}

// accept is Journal.Accept in a transaction.
func (w *writeTx) accept(in orders.Intake) (orders.Shipment, bool, error) {
	key := hash(in.Organisation, in.Key)
	value := w.keys().get(key)
	known, ok, err := w.keyed(value)
	switch {
	case err != nil:
		return orders.Shipment{}, false, err
	case ok && !known.Status.Free():
		claimed := known.Claim == in.Claim
		known.Held = !claimed && known.InFlight(in.At)
		return known, claimed, nil
	case w.full(w.opt.MaxSize):
		return orders.Shipment{}, false, errFull
	case ok && in.At.UnixMicro()-idMicro(known.ID) < freeRetention.Microseconds():
		known.Reclaim(in)
	default:
		known = orders.Claim(in)
		if err := w.putKey(key, value != nil, in.Shipment); err != nil {
			return orders.Shipment{}, false, err
		}
	}
	return known, true, w.claimed(&known)
}

// claimed stores a shipment that is about to be sent, or that must not be.
func (w *writeTx) claimed(s *orders.Shipment) error {
	if w.isBlocked(s) {
		s.Reserve()
		if err := w.changed(s); err != nil {
			return err
		}
	} else if err := w.putDeadline(s); err != nil {
		return err
	}
	return w.putShipment(s)
}

// putKey stores the key of a new shipment. One that it had before leaves: slots of
// another length may be asked before the one that it goes to.
func (w *writeTx) putKey(key []byte, had bool, id uuid.UUID) error {
	if w.shipments().Get(id[:]) != nil {
		return fmt.Errorf("journal: shipment %s exists under another key", id)
	}
	if had {
		if err := w.keys().delete(key); err != nil {
			return err
		}
	}
	return w.keys().put(idMicro(id), key, w.value(func(b []byte) []byte { return append(b, id[:]...) }))
}

// keyed returns the shipment of a key that has this value, and whether there is one.
func (t tables) keyed(v []byte) (orders.Shipment, bool, error) {
	if v == nil {
		return orders.Shipment{}, false, nil
	}
	id, err := uuid.FromBytes(v)
	if err != nil {
		return orders.Shipment{}, false, corrupt("key")
	}
	return t.shipment(id, false)
}

// full tells whether the pages in use, free ones apart, have reached the largest size
// (0: there is none).
func (t tables) full(most int64) bool {
	if most == 0 {
		return false
	}
	db := t.tx.DB()
	free := int64(db.Stats().FreePageN) * int64(db.Info().PageSize)
	return t.tx.Size()-free >= most
}
