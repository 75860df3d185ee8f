package bolt

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"straks/orders"
)

// TestFeedOfNobody: a call that steps over very many entries, since their shipments are
// gone, ends when nobody waits for it any more.
func TestFeedOfNobody(t *testing.T) {
	j, _ := newJournal(t, Options{})
	order(t, j, "k")
	spoil(t, j, func(w *writeTx) error {
		feed := w.feed().Bucket([]byte("ttd"))
		gone := encodeEntry(nil, entry{shipment: uuid.Must(uuid.NewV7()), status: orders.SMSAccepted})
		var err error
		for seq := range uint64(feedLook) {
			err = errors.Join(err, feed.Put(seqKey(seq+3), gone))
		}
		return err
	})
	q := orders.FeedQuery{Organisation: "ttd", Limit: 10}
	if page, err := j.Feed(t.Context(), q); err != nil || len(page) != 2 {
		t.Errorf("%d entries, %v", len(page), err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Feed(gone, q); !errors.Is(err, context.Canceled) || !errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("nobody waits: %v", err)
	}
}
