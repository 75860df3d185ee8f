package ledger

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// freeRetention is how long a key that is free again keeps its ids. A key and its shipment are
// forgotten by the age of these ids: a retry that kept old ones would be forgotten soon after it was
// sent, or with a short retention before it is settled.
const (
	freeRetention = 24 * time.Hour
	// freeMail is that of a key whose retry is a mail. Should the process end, its shipments are found among the newest
	// of two minutes and in the index of unanswered ones, which is by number and so has no mails. A claim lasts for a minute
	// and a bit at the most, and another process may have newer shipments by the time that it looks.
	freeMail = 20 * time.Second
)

// Check refuses an order that no engine can store, and cuts its times to what an engine keeps. It
// needs no transaction.
func Check(in *orders.AcceptRequest) error {
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

// Known returns the shipment that Accept at that time would return unclaimed: of a key as
// Store.Key found it. known reports whether it is known and not free.
func Known(s orders.Shipment, ok bool, at time.Time) (_ orders.Shipment, known bool) {
	if !ok || s.Status.Free() {
		return orders.Shipment{}, false
	}
	s.Held = s.InFlight(at)
	return s, true
}

// Accept is orders.Journal.Accept for an order that Check let pass.
func (l *Ledger) Accept(in *orders.AcceptRequest) (orders.Shipment, bool, error) {
	s, ok, stored, err := l.Store.Key(in.Organisation, in.Key)
	if err != nil {
		return orders.Shipment{}, false, err
	}
	if known, ok := Known(s, ok, in.At); ok {
		claimed := known.Claim == in.Claim
		known.Held = known.Held && !claimed
		return known, claimed, nil
	}
	if err := l.Store.Room(); err != nil {
		return orders.Shipment{}, false, err
	}
	listed, keep := in.Recipient.Number() != "", freeMail
	if listed {
		keep = freeRetention
	}
	if ok && in.At.UnixMicro()-idMicro(s.ID) < keep.Microseconds() {
		s.Retry(*in)
		if s.Listed = listed; s.Listed {
			if err := l.Store.List(&s); err != nil {
				return orders.Shipment{}, false, err
			}
		}
	} else {
		s = orders.Claim(*in)
		if err := l.Store.PutKey(in.Organisation, in.Key, in.Shipment, stored); err != nil {
			return orders.Shipment{}, false, err
		}
	}
	return s, true, l.claim(&s)
}

// claim stores a shipment that is about to be sent, or must not be.
func (l *Ledger) claim(s *orders.Shipment) error {
	b, err := l.Store.Blocked(s.Organisation, s.Channel, orders.BlockForm(s.Channel, s.Recipient))
	blocked := b.Blocks(s.Accepted)
	if errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsure) {
		blocked, err = true, nil // nobody knows; the recipient may have asked for it
	}
	if err != nil {
		return err
	}
	if blocked {
		s.Block(b)
		if s.Listed {
			s.Listed = false
			if err := l.Store.Unlist(s); err != nil {
				return err
			}
		}
		if err := l.Store.AppendFeed(s); err != nil {
			return err
		}
	}
	return l.Store.PutShipment(s, !blocked)
}

// idMicro returns the time in a UUIDv7, in µs (RFC 9562 §5.7 has ms).
func idMicro(id uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(id[:8])>>16) * 1000
}
