package journaltest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// Recipients that must not be found where a sealed journal stores what it has.
const (
	SecretNumber  = orders.Recipient("+4798765432")
	SecretAddress = orders.Recipient("Kari.Kanari@example.org")
)

// Recipients is what PutRecipients has stored about the two recipients.
type Recipients struct{ Accepted, Unanswered, Sending, Mail orders.Shipment }

// PutRecipients stores both recipients wherever a journal can have one, in eight records. Its times are the present's.
func PutRecipients(t *testing.T, j orders.Journal) (h Recipients) {
	t.Helper()
	f := &fixture{T: t, j: j, now: time.Now().UTC()}
	h.Accepted, h.Unanswered = f.acceptSecret(orders.SMS, SecretNumber), f.acceptSecret(orders.SMS, SecretNumber)
	h.Sending, h.Mail = f.acceptSecret(orders.SMS, SecretNumber), f.acceptSecret(orders.Email, SecretAddress)
	mail := f.answer(h.Mail, handover.Accepted)
	mail.Carrier = "mx"
	for _, e := range []orders.Event{
		f.answer(h.Accepted, handover.Accepted, "id:"+h.Accepted.ID.String(), "um:4798765432:17"),
		f.answer(h.Unanswered, handover.Unknown),
		mail,
		orders.Report{Carrier: "telco", Refs: []string{"id:unknown-" + h.Accepted.ID.String(), "um:4798765432:18"}, IDs: 1, At: f.now, Status: orders.SMSDelivered, Recipient: SecretNumber},
		orders.Block{Organisation: "nav", Channel: orders.SMS, Recipient: SecretNumber, At: f.now, Source: orders.BlockedByPhone, Word: "STOP"},
		orders.Block{Organisation: "nav", Channel: orders.Email, Recipient: SecretAddress, At: f.now, Source: orders.BlockedByBounce, Until: f.now.Add(24 * time.Hour), Times: 1},
		orders.Block{Organisation: "skd", Channel: orders.SMS, Recipient: SecretNumber, At: f.now, Off: true, Source: orders.BlockedByOperator},
	} {
		f.apply(e)
	}
	return h
}

// acceptSecret stores an order whose other words name nobody.
func (f *fixture) acceptSecret(c orders.Channel, to orders.Recipient) orders.Shipment {
	f.Helper()
	in := f.acceptRequest(uuid.NewString())
	in.Channel, in.Recipient = c, to
	s, _ := f.accept(in)
	return s
}

// WantRecipients looks for all that PutRecipients has stored, by every look-up, and changes nothing.
func WantRecipients(t *testing.T, j orders.Journal, h Recipients) {
	t.Helper()
	for _, s := range []orders.Shipment{h.Accepted, h.Unanswered, h.Sending, h.Mail} {
		if got, err := j.Shipment(ctx(), s.Organisation, s.ID); err != nil || got.Recipient != s.Recipient {
			t.Errorf("shipment %v: recipient %q, %v", s.ID, string(got.Recipient), err)
		}
	}
	for to, n := range map[orders.Recipient]int{SecretNumber: 3, orders.Recipient(strings.ToUpper(string(SecretAddress))): 1, "+4790000000": 0} {
		if found, err := j.Find(ctx(), orders.FindQuery{Recipient: to, Limit: 10}); err != nil || len(found) < n || n == 0 && len(found) > 0 {
			t.Errorf("%q: found %d, %v", string(to), len(found), err)
		}
	}
	waiting, err := j.Waiting(ctx(), SecretNumber, 10)
	if err != nil || len(waiting) != 1 || len(waiting[0].Refs) != 2 || waiting[0].Refs[1] != "um:4798765432:18" || waiting[0].Recipient != SecretNumber {
		t.Errorf("reports that wait: %+v, %v", waiting, err)
	}
	for _, q := range []orders.BlockQuery{
		{Organisation: "nav", Channel: orders.SMS, Recipient: SecretNumber},
		{Organisation: "nav", Channel: orders.Email, Recipient: SecretAddress},
		{Organisation: "skd", Channel: orders.SMS, Recipient: SecretNumber},
	} {
		page, err := j.Blocks(ctx(), q)
		if err != nil || len(page.Blocks) != 1 || page.Blocks[0].Blocks(time.Now()) != (q.Organisation == "nav") {
			t.Errorf("%v: %+v, %v", q, page.Blocks, err)
		}
	}
	all, err := j.Blocks(ctx(), orders.BlockQuery{Limit: 100})
	if err != nil || len(all.Blocks) != 3 {
		t.Errorf("%d entries in block lists, %v", len(all.Blocks), err)
	}
}

// MeetRecipients has what PutRecipients stored meet what comes later: a receipt its shipment, an answer the report that waits for
// it, a receipt that names only the recipient the unanswered shipment, and an order and a change the entry of a block list.
func MeetRecipients(t *testing.T, j orders.Journal, h Recipients) {
	t.Helper()
	f := &fixture{T: t, j: j, now: time.Now().UTC()}
	if e := f.apply(f.report(orders.SMSDelivered, "um:4798765432:17")); e.Shipment.ID != h.Accepted.ID {
		t.Errorf("a receipt by user reference: %+v", e)
	}
	if e := f.apply(f.answer(h.Sending, handover.Accepted, "um:4798765432:18")); e.Shipment.Status != orders.SMSDelivered {
		t.Errorf("an answer whose report waits: %+v", e)
	}
	r := orders.Report{Carrier: "telco", Refs: []string{"id:elsewhere"}, IDs: 1, At: f.now, Status: orders.SMSDelivered, Recipient: SecretNumber, ByRecipient: true, Whole: true,
		Submitted: h.Unanswered.Accepted, Done: h.Unanswered.Accepted.Add(time.Second)}
	f.apply(r)
	found, err := j.Matches(ctx(), f.now.Add(time.Minute), f.now.Add(time.Minute), 10)
	if err != nil || len(found) != 1 || found[0].Shipment != h.Unanswered.ID {
		t.Fatalf("matches %v, %v", found, err)
	}
	if e := f.apply(found[0]); e.Shipment.ID != h.Unanswered.ID || e.Shipment.Status != orders.SMSDelivered {
		t.Errorf("a match: %+v", e)
	}
	in := f.acceptRequest(uuid.NewString())
	in.Organisation, in.Recipient = "nav", SecretNumber
	if s, _ := f.accept(in); s.Status != orders.SMSFailedRecipientReserved {
		t.Errorf("an order to who is on a block list: %v", s.Status)
	}
	f.apply(orders.Block{Organisation: "nav", Channel: orders.SMS, Recipient: SecretNumber, At: f.now.Add(time.Hour), Off: true, Source: orders.BlockedByOperator})
	page, err := j.Blocks(ctx(), orders.BlockQuery{Limit: 100})
	if err != nil || len(page.Blocks) != 3 {
		t.Errorf("%d entries in block lists, %v", len(page.Blocks), err)
	}
}
