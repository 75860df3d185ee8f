package bolt

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"straks/orders"
	"straks/orders/journaltest"
	"straks/orders/sealed"
)

// TestForgottenLeavesTheFile: when a person is forgotten, and a day has passed for the block lists, a compacted file has
// nothing of the person, with a key or without. A call that ends early is gone on with by the next one.
func TestForgottenLeavesTheFile(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testForgotten(t, Options{}) })
	t.Run("sealed", func(t *testing.T) { testForgotten(t, keysOf(sealed.NewKey())) })
}

func testForgotten(t *testing.T, opt Options) {
	t.Parallel()
	j, path := newJournal(t, opt)
	h := put(t, j)
	now := time.Now().UTC()
	service := func() *orders.Service {
		return orders.NewService(orders.Config{Journal: j, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	}
	ask := orders.ForgetQuery{Channel: orders.SMS, Recipient: journaltest.SecretNumber, Blocks: true, By: "ola"}
	if done, err := service().Forget(t.Context(), ask); err != nil || done.Shipments != 0 || done.UnderWay != 3 || done.Reports != 0 {
		t.Fatalf("messages under way: %+v, %v", done, err)
	}
	now = now.Add(72 * time.Hour)
	for _, s := range []orders.Shipment{h.Accepted, h.Unanswered, h.Sending, h.Mail} {
		if _, err := j.Apply(t.Context(), []orders.Event{orders.Expiry{Shipment: s.ID, At: now}}); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := service().Forget(ended, ask); err == nil {
		t.Error("a call that ends early does not say so")
	}
	j = closeAndOpen(t, j, path, opt)
	done, err := service().Forget(t.Context(), ask)
	if err != nil || done != (orders.ForgottenCounts{Shipments: 3, Reports: 1}) {
		t.Fatalf("number: %+v, %v", done, err)
	}
	ask.Channel, ask.Recipient = orders.Email, "KARI.kanari@EXAMPLE.org"
	if done, err = service().Forget(t.Context(), ask); err != nil || done != (orders.ForgottenCounts{Shipments: 1, Lifted: 1}) {
		t.Fatalf("address: %+v, %v", done, err)
	}
	check(t, j)
	if _, err := j.Sweep(t.Context(), now.Add(25*time.Hour), orders.Retention{All: 90 * 24 * time.Hour}, 1000); err != nil {
		t.Fatal(err)
	}
	if page, err := j.Blocks(t.Context(), orders.BlockQuery{Limit: 10}); err != nil || len(page.Blocks) > 0 {
		t.Errorf("block lists: %+v, %v", page, err)
	}
	check(t, j)
	j.Close()
	compacted := filepath.Join(t.TempDir(), "compacted.db")
	if err := Compact(path, compacted, Options{}); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, compacted)
	j = mustOpen(t, compacted, opt)
	for _, s := range []orders.Shipment{h.Accepted, h.Unanswered, h.Sending, h.Mail} {
		if got, err := j.Shipment(t.Context(), s.Organisation, s.ID); err != nil || got.Recipient != orders.Forgotten || !got.Status.Final() {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
