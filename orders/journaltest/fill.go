package journaltest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// Journal is what an engine gives beyond orders.Journal.
type Journal interface {
	orders.Journal
	orders.Cursors
}

// Fill stores something of every kind in an empty journal, with times up to now: orders of two organisations in every
// status, references of which some were used twice and one is long, reports that wait, blocks and suppressions, and
// cursors.
func Fill(t *testing.T, j Journal) {
	t.Helper()
	f := &fixture{T: t, j: j, now: time.Now().Add(-20 * time.Hour).Truncate(time.Microsecond).UTC()}
	for round := range 6 {
		f.fillOrders(fmt.Sprint(round, "-"))
		f.pass(time.Hour)
	}
	f.fillBlocks()
	held := f.acceptRequest("held")
	held.ClaimFor = 48 * time.Hour
	f.accept(held)
	if err := j.PutCursors(ctx(), []orders.Cursor{
		{Organisation: org, Name: "reader", Seq: 3, Begin: 1, Seen: f.now},
		{Organisation: org, Name: "stopped", Seq: 2, FailingSince: f.now, StoppedAt: f.now, StopReason: "410", Seen: f.now},
	}, nil); err != nil {
		f.Fatal(err)
	}
}

// fillOrders stores an order of each end.
func (f *fixture) fillOrders(prefix string) {
	f.Helper()
	delivered := f.taken(prefix+"delivered", "reused")
	f.apply(f.report(orders.SMSDelivered, "reused"))
	f.taken(prefix+"taken", prefix+"id")
	f.apply(f.answer(f.sent(prefix+"free"), handover.NotSent))
	f.apply(f.answer(f.sent(prefix+"unknown"), handover.Unknown, strings.Repeat("x", 200)+prefix))
	refused := f.answer(f.sent(prefix+"refused"), handover.Refused)
	refused.Status, refused.Detail = orders.SMSFailedInvalidRecipient, "ESME_RINVDSTADR"
	f.apply(refused)

	in := f.acceptRequest(prefix + "parts")
	in.Organisation, in.SendersReference, in.Total = "brg", "\x00ref\xff", 2
	s, _ := f.accept(in)
	answer := f.answer(s, handover.Accepted, prefix+"a")
	answer.Total, answer.Trace = 2, orders.Trace{Bind: "telco/1", Encoding: "gsm", Stored: time.Millisecond, Slot: 2 * time.Millisecond, Written: 3 * time.Millisecond, Answered: 9 * time.Millisecond}
	answer.Parts = append(answer.Parts, orders.PartAnswer{Index: 1, Refs: []string{prefix + "b"}, Taken: true})
	f.apply(answer)
	report := f.report(orders.SMSDelivered, prefix+"b")
	report.Submitted, report.Done = f.now.Truncate(time.Minute), f.now.Truncate(time.Minute).Add(time.Minute)
	f.apply(report)

	waiting := f.report(orders.SMSDelivered, prefix+"waits", prefix+"waits too")
	waiting.Recipient, waiting.Detail = delivered.Recipient, "DELIVRD err:000"
	f.apply(waiting)
	f.apply(f.report(orders.SMSFailed, "other "+strings.Repeat("y", 150)+prefix))
	f.pass(10 * time.Minute)
	for range 10 {
		if f.expire() == 0 {
			break
		}
	}
}

// fillBlocks puts recipients on block lists, and takes one off.
func (f *fixture) fillBlocks() {
	f.Helper()
	for _, b := range []orders.Block{
		{Organisation: org, Channel: orders.SMS, Recipient: "+4790000001", At: f.now, Source: orders.BlockedByPhone, Word: "STOP"},
		{Organisation: org, Channel: orders.SMS, Recipient: "+4790000002", At: f.now, Source: orders.BlockedByOperator, Reason: "asked", By: "kari"},
		{Organisation: org, Channel: orders.SMS, Recipient: "+4790000002", At: f.now.Add(time.Second), Off: true},
		{Organisation: "brg", Channel: orders.Email, Recipient: "Kari@example.org", At: f.now, Source: orders.BlockedByBounce, Word: "5.1.1", Until: f.now.Add(72 * time.Hour), Times: 2},
	} {
		f.apply(b)
	}
	in := f.acceptRequest("blocked")
	in.Recipient = "+4790000001"
	f.accept(in)
}
