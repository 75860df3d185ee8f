package bolt

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
	"straks/orders/ledger"
)

// bounced sends a mail, and has it come back as one to an unknown address.
func bounced(t *testing.T, j *Journal, key string, to orders.Recipient) orders.Effect {
	t.Helper()
	in := acceptRequest(key)
	in.Channel, in.Recipient = orders.Email, to
	s, _, err := j.Accept(t.Context(), in)
	if err != nil || s.Status != orders.EmailSending {
		t.Fatal(s.Status, err)
	}
	effects, err := j.Apply(t.Context(), []orders.Event{
		orders.Answer{Shipment: s.ID, Claim: s.Claim, At: in.At, Outcome: handover.Accepted, Total: 1, Parts: []orders.PartAnswer{{Taken: true}}},
		orders.Report{Carrier: orders.MailReports, Refs: []string{s.ID.String()}, At: in.At, Status: orders.EmailFailedRecipientNotIdentified,
			Suppress: orders.BlockedByBounce, Word: "5.1.1"},
	})
	if err != nil || effects[1].Shipment.Status != orders.EmailFailedRecipientNotIdentified {
		t.Fatal(effects, err)
	}
	return effects[1]
}

// Beyond the bound no address is suppressed, until others are forgotten. They are counted over restarts.
func TestSuppressionsAreBounded(t *testing.T) {
	t.Parallel()
	opt := Options{MaxSuppressions: 3}
	j, path := newJournal(t, opt)
	to := func(i int) orders.Recipient { return orders.Recipient(fmt.Sprintf("nobody%d@example.org", i)) }
	for i := range 5 {
		e := bounced(t, j, fmt.Sprint("k", i), to(i))
		if e.Suppressed.Suppression() != (i < 3) {
			t.Fatalf("the number %d, of at most 3: %+v", i, e.Suppressed)
		}
		j.Close()
		j = mustOpen(t, path, opt)
	}
	lift := orders.Block{Organisation: acceptRequest("").Organisation, Channel: orders.Email, Recipient: to(0), Off: true,
		At: time.Now().UTC(), Source: orders.BlockedByOperator, Reason: "asked"}
	if _, err := j.Apply(t.Context(), []orders.Event{lift}); err != nil {
		t.Fatal(err)
	}
	if e := bounced(t, j, "in place of the lifted one", to(7)); !e.Suppressed.Suppression() {
		t.Error("no room, though one was lifted")
	}
	if e := bounced(t, j, "one too many", to(8)); e.Suppressed.Suppression() {
		t.Error("beyond the bound")
	}
	if err := j.Check(t.Context()); err != nil {
		t.Error(err)
	}
	sweepAll(t, j, time.Now().Add(25*time.Hour+ledger.SuppressionMemory))
	for i := range 2 {
		if e := bounced(t, j, fmt.Sprint("later", i), to(10+i)); !e.Suppressed.Suppression() {
			t.Errorf("no room, though the others are forgotten")
		}
	}
	if err := j.Check(t.Context()); err != nil {
		t.Error(err)
	}
	spoil(t, j, func(w *writeTx) error { return w.blocked().SetSequence(7) })
	if err := j.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "addresses are suppressed") {
		t.Errorf("a wrong count: %v", err)
	}
}
