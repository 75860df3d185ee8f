package orders

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
)

var t0 = time.Date(2026, 2, 4, 11, 33, 9, 0, time.UTC)

func claimed(c Channel) Shipment {
	return Claim(AcceptRequest{Shipment: uuid.New(), OrderID: uuid.New(), Claim: uuid.New(), At: t0, ClaimFor: 10 * time.Second, Channel: c, Organisation: "ttd", TTL: time.Minute})
}

func taken(s Shipment, total int, parts ...int) Answer {
	a := Answer{Shipment: s.ID, Claim: s.Claim, At: t0.Add(time.Second), Outcome: handover.Accepted, Total: total, Carrier: "telco"}
	for _, i := range parts {
		a.Parts = append(a.Parts, PartAnswer{Index: i, Refs: []string{string(rune('a' + i))}, Taken: true})
	}
	return a
}

func said(status Status) Report { return Report{At: t0.Add(2 * time.Second), Status: status} }

func TestStatusesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Statuses() {
		name, prefix := s.String(), s.Channel().String()+"_"
		if len(name) <= len(prefix) || name[:len(prefix)] != prefix || seen[name+s.Order()] || seen[s.label()] {
			t.Errorf("status %d has the name %q", s, name)
		}
		seen[name+s.Order()], seen[s.label()] = true, true
	}
	for _, s := range []Status{0, statusEnd} {
		if s.Valid() || s.String() != "invalid" || s.Final() || s.Free() && s.Channel() != 0 {
			t.Errorf("status %d passes for a status", s)
		}
	}
}

func TestOrderStatus(t *testing.T) {
	for s, want := range map[Status]string{
		SMSNew: "Order_Registered", EmailSending: "Order_Processing", SMSAccepted: "Order_Processed",
		EmailSucceeded: "Order_Processed", SMSFailedTTL: "Order_Completed", EmailDelivered: "Order_Completed",
		EmailSucceededFinal: "Order_Completed",
	} {
		if s.Order() != want {
			t.Errorf("%v: %s, want %s", s, s.Order(), want)
		}
	}
	if SMSNew.InFeed() || SMSSending.InFeed() || !SMSAccepted.InFeed() || !SMSDelivered.InFeed() || !SMSFailedTTL.InFeed() {
		t.Error("feed holds what it should not, or lacks what it should")
	}
}

func TestNotSentFreesTheKey(t *testing.T) {
	s := claimed(SMS)
	a := Answer{Claim: s.Claim, At: t0.Add(time.Hour), Outcome: handover.NotSent} // long after the claim
	if !s.Answer(a) || s.Status != SMSNew || !s.Status.Free() {
		t.Fatalf("status %v after not sent", s.Status)
	}
	if s.Expire(t0.Add(time.Hour)) {
		t.Error("a free shipment expired: its caller was told that nothing was sent")
	}
	late := taken(s, 1, 0)
	late.Claim = uuid.Nil
	if s.Answer(late) || len(s.Parts) != 0 {
		t.Error("a late answer touched a shipment that surely was not sent")
	}
	id, order := s.ID, s.OrderID
	s.Retry(AcceptRequest{Claim: uuid.New(), Shipment: uuid.New(), OrderID: uuid.New(), At: t0.Add(time.Hour), ClaimFor: 10 * time.Second, Channel: SMS, TTL: time.Minute})
	if s.ID != id || s.OrderID != order || s.Status != SMSSending || !s.Accepted.Equal(t0.Add(time.Hour)) {
		t.Errorf("reclaimed: %+v", s)
	}
	if s.Answer(a) {
		t.Error("the answer to an earlier claim freed a shipment that is being sent again")
	}
}

func TestUnknownIsSettledByWhatComesLater(t *testing.T) {
	unknown := func(s Shipment) Answer {
		return Answer{Claim: s.Claim, At: t0, Outcome: handover.Unknown, Total: 1,
			Parts: []PartAnswer{{Index: 0, Refs: []string{"um"}}}}
	}
	s := claimed(SMS)
	if s.Answer(unknown(s)) || s.Status != SMSSending {
		t.Fatalf("status %v after unknown", s.Status)
	}
	if s.Answer(Answer{Claim: s.Claim, Outcome: handover.NotSent}) {
		t.Error("what may have left became free")
	}
	if dead := claimed(SMS); dead.Answer(Answer{Claim: dead.Claim, At: t0, Outcome: handover.Unknown, Total: 1}) || // its process seemed to have ended
		!dead.Answer(Answer{Claim: dead.Claim, At: t0, Outcome: handover.NotSent}) || dead.Status != SMSFailed {
		t.Errorf("not sent, after its claim was ended: %v", dead.Status)
	}
	late, receipt, ttl := s, s, s
	late.Parts, receipt.Parts, ttl.Parts = clone(s.Parts), clone(s.Parts), clone(s.Parts)
	if !late.Answer(taken(late, 1, 0)) || late.Status != SMSAccepted {
		t.Errorf("late answer: %v", late.Status)
	}
	if !receipt.Report(0, said(SMSDelivered)) || receipt.Status != SMSDelivered {
		t.Errorf("receipt: %v", receipt.Status)
	}
	if ttl.Expire(t0.Add(59*time.Second)) || !ttl.Expire(t0.Add(time.Minute)) || ttl.Status != SMSFailedTTL {
		t.Errorf("deadline: %v", ttl.Status)
	}
	if !ttl.Report(0, said(SMSDelivered)) || ttl.Status != SMSDelivered {
		t.Errorf("delivered after the TTL: %v", ttl.Status)
	}
}

func clone(p []Part) []Part { return append([]Part(nil), p...) }

func TestFinalStays(t *testing.T) {
	s := claimed(SMS)
	s.Answer(taken(s, 1, 0))
	if !s.Report(0, said(SMSFailedUndelivered)) {
		t.Fatal("no change")
	}
	for _, later := range []Status{SMSDelivered, SMSFailedExpired, SMSAccepted} {
		if s.Report(0, said(later)) || s.Status != SMSFailedUndelivered {
			t.Errorf("%v changed a final status to %v", later, s.Status)
		}
	}
	if s.Expire(t0.Add(time.Hour)) || s.Answer(taken(s, 1, 0)) {
		t.Error("a final status changed")
	}
}

func TestRefusedWithoutAStatusIsFailed(t *testing.T) {
	s := claimed(Email)
	if !s.Answer(Answer{Claim: s.Claim, Outcome: handover.Refused, Status: SMSFailedRejected}) || s.Status != EmailFailed {
		t.Errorf("status %v", s.Status)
	}
}

// The verdict on a long message does not hang on the order in which answers
// and receipts come.
func TestPartsInAnyOrder(t *testing.T) {
	const total = 5
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := claimed(SMS)
		s.Answer(Answer{Claim: s.Claim, At: t0, Outcome: handover.Unknown, Total: total})
		failed := rnd.IntN(total+1) - 1 // -1: none
		var facts []func()
		for i := range total {
			status := SMSDelivered
			if i == failed {
				status = SMSFailedUndelivered
			}
			facts = append(facts, func() { s.Answer(taken(s, total, i)) }, func() { s.Report(i, said(status)) },
				func() { s.Report(i, said(status)) }, func() { s.Report(i, said(SMSAccepted)) })
		}
		rnd.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		for _, fact := range facts {
			fact()
		}
		want := SMSDelivered
		if failed >= 0 {
			want = SMSFailedUndelivered
		}
		if s.Status != want {
			t.Fatalf("seed %d: %v, want %v", seed, s.Status, want)
		}
	}
}

func TestPartsAreAcceptedWhenAllAre(t *testing.T) {
	s := claimed(SMS)
	if s.Answer(taken(s, 3, 0, 2)) || s.Status != SMSSending {
		t.Fatalf("accepted with a part missing: %v", s.Status)
	}
	if !s.Answer(taken(s, 3, 1)) || s.Status != SMSAccepted {
		t.Fatalf("not accepted: %v", s.Status)
	}
	if s.Report(0, said(SMSDelivered)) || s.Report(1, said(SMSDelivered)) || !s.Report(2, said(SMSDelivered)) {
		t.Error("delivered is when every part is")
	}
}

func TestRecipientIsMasked(t *testing.T) {
	for r, want := range map[Recipient]string{"+4799999999": "+4799***", "kari@example.org": "***@example.org", "": "***", "+47": "+***"} {
		if got := r.LogValue().String(); got != want {
			t.Errorf("%q is logged as %q, want %q", string(r), got, want)
		}
	}
	if got := (Message{Body: "123456", Subject: "code", Channel: SMS, To: "+4799999999"}).LogValue().String(); got != "[shipment=00000000-0000-0000-0000-000000000000 channel=SMS to=+4799***]" {
		t.Error(got)
	}
}
