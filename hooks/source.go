package hooks

import (
	"context"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// Entry is an entry of a feed.
type Entry struct {
	Seq    uint64
	About  uuid.UUID // the shipment or verification: entries about one are sent in order
	Final  bool      // its status is
	At     time.Time
	Encode func() []byte // the entry as the API's feed has it
}

// Source is a feed of one kind.
type Source interface {
	// Read returns entries, as orders.Journal's Feed.
	Read(ctx context.Context, q orders.FeedQuery) ([]Entry, error)
	// Changed returns a channel that is closed at the next entry of the organisation.
	Changed(organisation string) <-chan struct{}
	// Sample returns an entry that is made up, for a test.
	Sample(organisation string, at time.Time) []byte
}

// shipments is the feed of what became of shipments.
type shipments struct {
	Feed
	encode func(orders.FeedEntry) []byte
}

// Read implements Source.
func (s shipments) Read(ctx context.Context, q orders.FeedQuery) ([]Entry, error) {
	page, err := s.Feed.Feed(ctx, q)
	entries := make([]Entry, len(page))
	for i, e := range page {
		entries[i] = Entry{e.Seq, e.Shipment.ID, e.Shipment.Status.Final(), e.Shipment.Updated, func() []byte { return s.encode(e) }}
	}
	return entries, err
}

// Sample implements Source.
func (s shipments) Sample(organisation string, at time.Time) []byte {
	return s.encode(orders.FeedEntry{Shipment: orders.Shipment{ID: uuid.Must(uuid.NewV7()), Organisation: organisation,
		Channel: orders.SMS, Recipient: "+4799999999", SendersReference: "straks-test", Status: orders.SMSDelivered, Updated: at}})
}
