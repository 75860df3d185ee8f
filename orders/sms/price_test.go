package sms

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/dlr"
	"straks/internal/cost"
	"straks/internal/handover"
	"straks/orders"
	"straks/smpp"
)

// TestPrice: before the hand-over the most expensive SMSC of the route counts, afterwards the one that took the message,
// for the parts that the phone gets: however they are sent, and in how many receipts they come back.
func TestPrice(t *testing.T) {
	t.Parallel()
	cheap := smpp.SMSC{Name: "cheap", Addr: "127.0.0.1:1", SystemID: "s"}
	dear := cheap
	dear.Name, dear.LongMessages = "dear", smpp.LongPayload
	gateway, err := smpp.New(smpp.Config{SMSCs: []smpp.SMSC{cheap, dear}, Routes: []smpp.Route{
		{Name: "home", Prefixes: []string{"+47"}, SMSCs: []string{"cheap", "dear"}}, {Name: "rest", SMSCs: []string{"cheap"}}}},
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{SMSCs: map[string]SMSC{"dear": {Dialect: dlr.Dialect{OneReceipt: true}}}, Prices: cost.NewTable([]cost.Price{
		{Prefix: "+47", Class: "home", Amount: 10}, {SMSC: "dear", Prefix: "+47", Amount: 15}, {SMSC: "dear", Amount: 90}, {Prefix: "+46", Amount: 20}})},
		gateway, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	long := strings.Repeat("x", 400)
	for _, m := range []struct {
		to, text string
		parts    int
		want     orders.Cost
	}{
		{"+4799999999", "1234", 1, orders.Cost{Parts: 1, Amount: 15, Class: "+47"}},
		{"+4799999999", long, 3, orders.Cost{Parts: 3, Amount: 45, Class: "+47"}},
		{"+46701740605", long, 3, orders.Cost{Parts: 3, Amount: 60, Class: "+46"}},
		{"+358401234567", "1234", 1, orders.Cost{Parts: 1}},
	} {
		if parts, got := c.Estimate(orders.Message{To: orders.Recipient(m.to), Body: m.text}); parts != m.parts || got != m.want {
			t.Errorf("%s: %d parts, %+v, want %d, %+v", m.to, parts, got, m.parts, m.want)
		}
	}
	taken := []smpp.Part{{Index: 0, MessageID: "a", Taken: true}, {Index: 1, MessageID: "b", Taken: true}, {Index: 2}}
	for name, r := range map[string]struct {
		smpp.Result
		want orders.Cost
	}{
		"in parts":     {smpp.Result{Outcome: handover.Unknown, SMSC: "cheap", Total: 3, Segments: 3, Parts: taken}, orders.Cost{Parts: 3, Amount: 30, Class: "home"}},
		"as a payload": {smpp.Result{Outcome: handover.Accepted, SMSC: "dear", Total: 1, Segments: 3, Parts: taken[:1]}, orders.Cost{Parts: 3, Amount: 45, Class: "+47"}},
		"incomplete":   {smpp.Result{Outcome: handover.Refused, SMSC: "cheap", Total: 3, Segments: 3, Parts: taken[:2]}, orders.Cost{Parts: 3, Amount: 20, Class: "home"}},
		"refused":      {smpp.Result{Outcome: handover.Refused, SMSC: "cheap", Total: 3, Segments: 3}, orders.Cost{Parts: 3, Class: "home"}},
		"nowhere":      {smpp.Result{Outcome: handover.NotSent, Err: errors.New("no bind")}, orders.Cost{}},
	} {
		if got := c.handover("+4799999999", r.Result).Cost; got != r.want {
			t.Errorf("%s: %+v, want %+v", name, got, r.want)
		}
	}
}
