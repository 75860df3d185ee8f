package client

import (
	"cmp"
	"fmt"

	"github.com/google/uuid"
)

// checkIDs returns an error unless both ids of a placed order are UUIDs that say something.
func checkIDs(order, shipment string) error {
	return cmp.Or(checkID("notificationOrderId", order), checkID("shipmentId", shipment))
}

func checkID(name, id string) error {
	if id == "" {
		return fmt.Errorf("%s is missing", name)
	}
	if parsed, err := uuid.Parse(id); err != nil || parsed == uuid.Nil {
		return fmt.Errorf("%s is %q, no id", name, cut(id))
	}
	return nil
}

// check returns an error unless the shipment is the one that was asked for, with a status.
func (s *Shipment) check(asked string) error {
	err := s.complete()
	if err == nil {
		want, wantErr := uuid.Parse(asked)
		if got := uuid.MustParse(s.ShipmentID); wantErr == nil && got != want {
			err = fmt.Errorf("it is about shipment %v", got)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnexpected, err)
	}
	return nil
}

// complete returns an error unless the shipment has an id and a recipient with a status.
func (s *Shipment) complete() error {
	if err := checkID("shipmentId", s.ShipmentID); err != nil {
		return err
	}
	if s.Status == "" || len(s.Recipients) == 0 {
		return fmt.Errorf("shipment %s has no status or no recipient", s.ShipmentID)
	}
	for _, r := range s.Recipients {
		if r.Status == "" {
			return fmt.Errorf("the recipient of shipment %s has no status", s.ShipmentID)
		}
	}
	return nil
}

// maxPage is the most entries that a page has.
const maxPage = 500

// check returns an error unless the page continues from the query's number, entry by entry.
func (q FeedQuery) check(page []FeedEntry) error {
	if most := cmp.Or(q.PageSize, maxPage); len(page) > most {
		return fmt.Errorf("%w: a page of %d entries, of which %d were asked for", ErrUnexpected, len(page), most)
	}
	if page == nil {
		return fmt.Errorf("%w: null in place of a page", ErrUnexpected)
	}
	last := q.Seq
	for i := range page {
		seq := page[i].SequenceNumber
		advances := seq > last
		if q.Descending {
			advances = seq < last || i == 0 && q.Seq == 0 // the newest may have any number
		}
		if !advances {
			return fmt.Errorf("%w: the feed does not advance: entry %d follows %d", ErrUnexpected, seq, last)
		}
		if err := page[i].complete(); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrUnexpected, seq, err)
		}
		last = seq
	}
	return nil
}
