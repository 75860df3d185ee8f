package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

// ids returns the two ids of an answer to an order.
func ids(t testing.TB, a answer) (order, shipment string) {
	t.Helper()
	var v orderAnswer
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status/100 != 2 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return v.OrderID.String(), v.Notification.ShipmentID.String()
}

// recipientStatus returns what the API says of a shipment.
func recipientStatus(t testing.TB, w *world, shipment string) string {
	t.Helper()
	a := w.do("GET", "/future/shipment/"+shipment, "")
	var v struct{ Recipients []struct{ Status string } }
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || len(v.Recipients) != 1 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return v.Recipients[0].Status
}

// The answers to the letter: what there is, in which order, and nothing else.
func TestOrderAnswer(t *testing.T) {
	w := start(t)
	a := w.sendSMS("one")
	order, shipment := ids(t, a)
	want := fmt.Sprintf(`{"notificationOrderId":"%s","notification":{"shipmentId":"%s","sendersReference":"r"}}`, order, shipment)
	if a.status != http.StatusCreated || a.body != want {
		t.Errorf("%d %s; want 201 %s", a.status, a.body, want)
	}
	if got := a.header.Get("Location"); got != "/notifications/api/v1/future/shipment/"+shipment {
		t.Errorf("Location %q", got)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	again := w.sendSMS("one")
	if again.status != http.StatusOK || again.body != want || again.header.Get("Location") != a.header.Get("Location") {
		t.Errorf("the repeat: %d %s, Location %q", again.status, again.body, again.header.Get("Location"))
	}
	if n := len(w.sms.Sent()); n != 1 {
		t.Errorf("%d messages left; want 1", n)
	}

	a = w.sendEmail("two")
	order, shipment = ids(t, a)
	if want := fmt.Sprintf(`{"notificationOrderId":"%s","notification":{"shipmentId":"%s"}}`, order, shipment); a.status != 201 || a.body != want {
		t.Errorf("without a reference: %d %s; want 201 %s", a.status, a.body, want)
	}
}

// What the carriers get is what was asked for.
func TestOrderReachesCarrier(t *testing.T) {
	w := start(t)
	wrapped := strings.Replace(strings.Replace(smsBody, `"recipientSms":`, `"recipient":{"recipientSms":`, 1)+"}", `"k"`, `"older"`, 1)
	if a := w.do("POST", "/future/orders/instant", wrapped); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.sendEmail("e")
	sms, email := w.sms.Sent(), w.email.Sent()
	if len(sms) != 1 || sms[0].To != "+4799999999" || sms[0].From != "Altinn" || sms[0].Body != "Koden din er 1" || sms[0].Organisation != "ttd" {
		t.Errorf("SMS: %#v", sms)
	}
	if len(email) != 1 || email[0].To != "gørild@blåbær.no" || email[0].Subject != "Koden" || !email[0].HTML || email[0].From != "post@example.org" {
		t.Errorf("e-mail: %#v", email)
	}
}

// A repeat is the same order whatever the rest of it says, for the same
// organisation only, and over all three calls.
func TestRepeat(t *testing.T) {
	w := start(t)
	_, first := ids(t, w.sendSMS("k"))
	if a := w.sendEmail("k"); a.status != http.StatusOK || !strings.Contains(a.body, first) {
		t.Errorf("another body: %d %s", a.status, a.body)
	}
	other := w.sendSMS("k", as(otherToken))
	if _, id := ids(t, other); other.status != http.StatusCreated || id == first {
		t.Errorf("another organisation: %d %s", other.status, other.body)
	}
}

// Not even that the rest of it is an order matters. A key that is new or free gets all its faults.
func TestRepeatThatIsNoOrder(t *testing.T) {
	w := start(t)
	w.sms.Checks(func(m orders.Message) []orders.Fault {
		if m.Body == "" || len(m.Body) > 100 {
			return []orders.Fault{{Field: orders.FieldBody, Message: "must have 1 to 100 octets"}}
		}
		return nil
	})
	first := w.sendSMS("k")
	sms := strings.NewReplacer("Koden", strings.Repeat("Koden", 100))
	for name, body := range map[string]string{
		"nothing else":       `{"idempotencyId":"k"}`,
		"of the wrong types": `{"idempotencyId":"k","sendersReference":1,"recipientSms":[],"recipientEmail":""}`,
		"no number":          strings.Replace(smsBody, "+47", "47", 1),
		"for the carrier":    sms.Replace(smsBody),
		"in a bad state":     `{"idempotencyId":"k","recipientEmail":{"emailAddress":"x"}}`,
	} {
		for _, call := range []string{"sms", "email"} {
			a := w.do("POST", "/future/orders/instant/"+call, body, lenient)
			if a.status != 200 || a.body != first.body || a.header.Get("Location") != first.header.Get("Location") {
				t.Errorf("%s, by %s: %d %s", name, call, a.status, a.body)
			}
			if a := w.do("POST", "/future/orders/instant/"+call, body, lenient, as(otherToken)); call == "sms" && a.status != 400 {
				t.Errorf("%s, another organisation: %d %s", name, a.status, a.body)
			}
		}
	}
	if a := w.do("POST", "/future/orders/instant/sms", `{"idempotencyId":"new"}`); a.status != 400 || len(a.problem(t).Errors) != 1 {
		t.Errorf("a new key: %d %s", a.status, a.body)
	}
	if n := len(w.sms.Sent()) + len(w.email.Sent()); n != 1 {
		t.Errorf("%d messages left; want 1", n)
	}
	w.journal.Close()
	if a := w.do("POST", "/future/orders/instant/sms", `{"idempotencyId":"k"}`); a.status != 503 {
		t.Errorf("without a journal: %d %s", a.status, a.body)
	}
}

func TestSimultaneousRepeats(t *testing.T) {
	w := start(t)
	gate := make(chan struct{})
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		<-gate
		return orders.Handover{Outcome: handover.Accepted, Carrier: "test", Total: 1, Parts: []orders.PartAnswer{{Refs: []string{"1"}, Taken: true}}}
	})
	answers := make(chan answer, 24)
	var wg sync.WaitGroup
	for range cap(answers) {
		wg.Go(func() { answers <- w.sendSMS("k") })
	}
	close(gate)
	wg.Wait()
	close(answers)
	byStatus, bodies := map[int]int{}, map[string]bool{}
	for a := range answers {
		byStatus[a.status]++
		bodies[a.body] = true
	}
	if byStatus[201] != 1 || byStatus[200] != 23 || len(bodies) != 1 || len(w.sms.Sent()) != 1 {
		t.Errorf("statuses %v, bodies %v, %d messages", byStatus, bodies, len(w.sms.Sent()))
	}
}

// Each way in which a hand-over ends has its answer.
func TestHandoverOutcomes(t *testing.T) {
	for _, c := range []struct {
		name   string
		does   orders.Handover
		status int
		state  string
	}{
		{"accepted", orders.Handover{Outcome: handover.Accepted, Total: 1, Parts: []orders.PartAnswer{{Refs: []string{"1"}, Taken: true}}}, 201, "SMS_Accepted"},
		{"bad number", orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedInvalidRecipient, Total: 1}, 201, "SMS_Failed_InvalidRecipient"},
		{"barred", orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedBarredReceiver, Total: 1}, 201, "SMS_Failed_BarredReceiver"},
		{"rejected", orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1}, 201, "SMS_Failed_Rejected"},
		{"unknown", orders.Handover{Outcome: handover.Unknown, Total: 1}, 201, "SMS_Sending"},
	} {
		w := start(t)
		w.sms.Does(c.does)
		a := w.sendSMS("k")
		_, shipment := ids(t, a)
		if got := recipientStatus(t, w, shipment); a.status != c.status || got != c.state {
			t.Errorf("%s: %d and %s; want %d and %s", c.name, a.status, got, c.status, c.state)
		}
		if again := w.sendSMS("k"); again.status != 200 || len(w.sms.Sent()) != 1 {
			t.Errorf("%s: the repeat: %d, %d messages", c.name, again.status, len(w.sms.Sent()))
		}
	}
}

// What surely did not leave is a 503; its key is free, and keeps its shipment.
func TestNotSent(t *testing.T) {
	w := start(t)
	var tried []string
	w.sms.Sends(func(_ context.Context, m orders.Message) orders.Handover {
		tried = append(tried, m.Shipment.String())
		return orders.Handover{Outcome: handover.NotSent}
	})
	a := w.sendSMS("k")
	if p := a.problem(t); a.status != 503 || p.Code != "NOT-00004" || a.header.Get("Retry-After") != "2" || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s, %v", a.status, a.body, a.header)
	}
	eventually.True(t, "no order in flight", func() bool { return w.service.InFlight() == 0 }) // until then a repeat shares the outcome
	w.sms.Sends(nil)
	again := w.sendSMS("k")
	if _, shipment := ids(t, again); again.status != 201 || len(tried) != 1 || shipment != tried[0] {
		t.Errorf("%d %s; want 201 with the shipment %v", again.status, again.body, tried)
	}
}

// All faults at once: the API's own and the carrier's.
func TestAllFaultsAtOnce(t *testing.T) {
	w := start(t)
	w.sms.Checks(func(m orders.Message) []orders.Fault {
		return []orders.Fault{{Field: orders.FieldSender, Message: "must be at most 11 characters long"}, {Field: orders.FieldBody, Message: "needs 17 segments; at most 16 are allowed"}}
	})
	a := w.do("POST", "/future/orders/instant/sms", strings.NewReplacer("300", "5", "+47", "47").Replace(smsBody))
	want := `{"type":"about:blank","title":"The request is not valid","status":400,"detail":"This call sent nothing. Correct what errors says and try again.","traceId":"` + a.problem(t).TraceID + `","errors":{` +
		`"recipientSms.phoneNumber":["must be a valid phone number in international form: \"+\" or \"00\", then country code and number, like +4799999999"],` +
		`"recipientSms.smsSettings.body":["needs 17 segments; at most 16 are allowed"],` +
		`"recipientSms.smsSettings.sender":["must be at most 11 characters long"],` +
		`"recipientSms.timeToLiveInSeconds":["must be a whole number from 60 to 172800"]}}`
	if a.status != 400 || a.body != want || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s\nwant 400 %s", a.status, a.body, want)
	}
	// The carrier's alone are as good a reason.
	if a := w.sendSMS("k"); a.status != 400 || !strings.Contains(a.body, "17 segments") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if len(w.sms.Sent()) != 0 {
		t.Error("an invalid order was sent")
	}
}

func TestAbsentChannel(t *testing.T) {
	w := start(t, func(_ *Config, oc *orders.Config) { oc.Email = nil })
	a := w.sendEmail("k")
	p := a.problem(t)
	if a.status != 400 || len(p.Errors["recipientEmail"]) != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.sendSMS("k"); a.status != 201 {
		t.Errorf("the other channel: %d %s", a.status, a.body)
	}
}

func TestLenientBody(t *testing.T) {
	w := start(t)
	body := `{"x":[{}],"IDEMPOTENCYID":"k","SendersReference":null,"RecipientSMS":{"PHONENUMBER":"0047 999 99 999","TimeToLiveInSeconds":60,"smssettings":{"BODY":"æøå €","sender":null}}}`
	if a := w.do("POST", "/future/orders/instant/sms", body, lenient); a.status != 201 || strings.Contains(a.body, "null") || strings.Contains(a.body, "sendersReference") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Without its journal the service promises nothing, and sends nothing.
func TestJournalUnavailable(t *testing.T) {
	w := start(t)
	_, id := ids(t, w.sendSMS("1"))
	w.journal.Close()
	for _, a := range []answer{w.sendSMS("2"), w.do("GET", "/future/shipment/"+id, ""), w.do("GET", "/future/shipment/feed", "")} {
		if p := a.problem(t); a.status != 503 || p.Code != "NOT-00004" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s, %v", a.status, a.body, a.header)
		}
	}
	if n := len(w.sms.Sent()); n != 1 {
		t.Errorf("%d messages left; want 1", n)
	}
}

// TestAnswerTellsParts: how many parts an SMS has, and the class of their price, the first time and in a repeat.
func TestAnswerTellsParts(t *testing.T) {
	w := start(t)
	want := func(a answer, status int, parts, class string) {
		t.Helper()
		if h := a.header; a.status != status || h.Get("Straks-Parts") != parts || h.Get("Straks-Price-Class") != class {
			t.Errorf("%d %v, want %d, %q, %q", a.status, h, status, parts, class)
		}
	}
	want(w.sendSMS("plain"), http.StatusCreated, "1", "")
	w.sms.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		h := orderstest.Accepts(ctx, m)
		h.Cost = orders.Cost{Parts: 3, Amount: 1_350_000, Class: "+47"}
		return h
	})
	want(w.sendSMS("long"), http.StatusCreated, "3", "+47")
	want(w.sendSMS("long"), http.StatusOK, "3", "+47")
	want(w.sendSMS("plain"), http.StatusOK, "1", "")
	mail := w.sendEmail("mail")
	if _, ok := mail.header["Straks-Parts"]; ok || mail.status != http.StatusCreated {
		t.Errorf("a mail has parts: %d, %v", mail.status, mail.header)
	}
}

// TestAnswerTellsStatus: the header saves a login page from asking again.
func TestAnswerTellsStatus(t *testing.T) {
	w := start(t)
	if got := w.sendSMS("taken").header.Get("Straks-Status"); got != "SMS_Accepted" {
		t.Errorf("taken: %q", got)
	}
	w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedBarredReceiver, Total: 1})
	if got := w.sendSMS("refused").header.Get("Straks-Status"); got != "SMS_Failed_BarredReceiver" {
		t.Errorf("refused: %q", got)
	}
	w.sms.Does(orders.Handover{Outcome: handover.Unknown, Total: 1})
	if got := w.sendSMS("unknown").header.Get("Straks-Status"); got != "SMS_Sending" {
		t.Errorf("unknown: %q", got)
	}
	if got := w.sendSMS("taken").header.Get("Straks-Status"); got != "SMS_Accepted" {
		t.Errorf("the repeat: %q", got)
	}
	if got := w.sendEmail("mail").header.Get("Straks-Status"); got != "Email_Succeeded" {
		t.Errorf("mail: %q", got)
	}
}
