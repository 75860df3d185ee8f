package postgres

import (
	"fmt"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// TestNewerFields: what a newer program has appended to a record is there still after this one has written it again, and
// a report with more fields than this program knows is matched.
func TestNewerFields(t *testing.T) {
	t.Parallel()
	j := open(t, made(t))
	defer j.Close()
	const newer = `\x0a6e6577657221`
	grow := func(table string) {
		t.Helper()
		if err := j.write(t, fmt.Sprintf("update %s set record = record || '%s'", table, newer)); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(what, table string, want int) {
		t.Helper()
		var n, all int
		if err := j.pool.QueryRow(t.Context(), fmt.Sprintf("select count(*) filter (where substr(record, length(record) - 6) = '%s'), count(*) from %s", newer, table)).
			Scan(&n, &all); err != nil || n != want || all != want {
			t.Errorf("%s: %d of %d %s have the newer field, %v", what, n, all, table, err)
		}
	}
	apply := func(e orders.Event) orders.Effect {
		t.Helper()
		effects, err := j.Apply(t.Context(), []orders.Event{e})
		if err != nil {
			t.Fatal(err)
		}
		return effects[0]
	}
	now := time.Now().UTC().Truncate(time.Second)

	in := order("free")
	free, _, err := j.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	grow("shipments")
	apply(orders.Answer{Shipment: free.ID, Claim: free.Claim, At: now, Outcome: handover.NotSent})
	kept("not sent", "shipments", 1)
	in.Shipment, in.Claim, in.At = order("").Shipment, order("").Claim, now.Add(time.Second)
	s, claimed, err := j.Accept(t.Context(), in)
	if err != nil || !claimed || s.ID != free.ID {
		t.Fatalf("the free key: %+v, claimed %v, %v", s, claimed, err)
	}
	kept("claimed again", "shipments", 1)
	if e := apply(orders.Report{Carrier: "telco", Refs: []string{"m1"}, IDs: 1, At: now, Status: orders.SMSDelivered}); !e.Parked {
		t.Fatalf("%+v", e)
	}
	grow("parked")
	if e := apply(orders.Answer{Shipment: s.ID, Claim: s.Claim, At: now, Outcome: handover.Accepted, Carrier: "telco", Total: 1,
		Parts: []orders.PartAnswer{{Refs: []string{"m1"}, Taken: true}}}); e.Shipment.Status != orders.SMSDelivered {
		t.Fatalf("a waiting report with a newer field is not matched: %+v", e)
	}
	kept("answered and delivered", "shipments", 1)
	if s, err = j.Shipment(t.Context(), "ttd", s.ID); err != nil {
		t.Fatal(err)
	}
	f, _ := s.Forgetting(now)
	if e := apply(f); e.Shipment.Recipient != orders.Forgotten {
		t.Fatalf("%+v", e)
	}
	kept("forgotten", "shipments", 1)

	block := orders.Block{Organisation: "ttd", Channel: orders.SMS, Recipient: "+4799999999", At: now, Source: orders.BlockedByOperator, Reason: "asked"}
	apply(block)
	grow("blocked")
	block.Off, block.At = true, now.Add(time.Minute)
	apply(block)
	kept("lifted", "blocked", 1)

	c := orders.Cursor{Organisation: "ttd", Name: "hook", Seq: 1}
	put := func() {
		t.Helper()
		if err := j.PutCursors(t.Context(), []orders.Cursor{c}, nil); err != nil {
			t.Fatal(err)
		}
	}
	put()
	grow("cursors")
	c.Seq = 1 << 40
	put()
	kept("moved on", "cursors", 1)
	if got, ok, err := j.Cursor(t.Context(), "ttd", "hook"); err != nil || !ok || got != c {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
}
