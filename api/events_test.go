package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
)

// delivered sends an SMS that is delivered, by a carrier that says when it did what, and returns its id.
func (w *world) delivered(key string) string {
	w.t.Helper()
	w.sms.Sends(func(_ context.Context, m orders.Message) orders.Handover {
		now := time.Now()
		return orders.Handover{Outcome: handover.Accepted, Carrier: "telco", Bind: "telco/1", Encoding: "gsm", Total: 1,
			Parts: []orders.PartAnswer{{Refs: []string{orders.IDPrefix + "4c9ee0b1"}, Taken: true}}, Slot: now, Written: now, Answered: now}
	})
	_, id := ids(w.t, w.sendSMS(key))
	stored := make(chan error, 1)
	if err := w.service.Receive(orders.Report{Carrier: "telco", Refs: []string{orders.IDPrefix + "4c9ee0b1"}, Status: orders.SMSDelivered,
		At: time.Now().UTC(), Detail: "DELIVRD err:000"}, func(err error) { stored <- err }); err != nil {
		w.t.Fatal(err)
	}
	if err := <-stored; err != nil {
		w.t.Fatal(err)
	}
	return id
}

// TestEvents: the way of a message, in order, in µs, with the carrier's ids; and only where it is asked for.
func TestEvents(t *testing.T) {
	w := start(t)
	id := w.delivered("k")
	for _, query := range []string{"/" + id + "?include=events", "/" + id + "?INCLUDE=Events", "?idempotencyId=k&include=events"} {
		a := w.do("GET", "/future/shipment"+query, "", lenient)
		var got struct {
			LastUpdate string
			Events     []struct {
				Type, Time, Carrier, Bind, Encoding, Status, Detail string
				Milliseconds                                        json.Number
				Parts                                               int
				MessageIDs                                          []string
			}
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, a.status, a.body)
		}
		var kinds []string
		last := ""
		for _, e := range got.Events {
			kinds = append(kinds, e.Type)
			if e.Time < last || !strings.Contains(e.Milliseconds.String(), ".") {
				t.Errorf("%s: %+v comes after %s", query, e, last)
			}
			last = e.Time
		}
		if want := "accepted stored ready submitted answered reported final"; strings.Join(kinds, " ") != want {
			t.Errorf("%s: %q, want %s", query, kinds, want)
			continue
		}
		said := fmt.Sprint(got.Events[3].Carrier, got.Events[3].Bind, got.Events[3].Encoding, got.Events[3].Parts, got.Events[4].MessageIDs, got.Events[6].Status, got.Events[6].Detail)
		if said != fmt.Sprint("telco", "telco/1", "gsm", 1, []string{"4c9ee0b1"}, "SMS_Delivered", "DELIVRD err:000") || got.Events[6].Time != got.LastUpdate {
			t.Errorf("%s: %s", query, a.body)
		}
		if strings.Contains(a.body, "123456") {
			t.Errorf("the text is in %s", a.body)
		}
	}
	if a := w.do("GET", "/future/shipment/"+id, ""); strings.Contains(a.body, "events") {
		t.Errorf("nobody asked for %s", a.body)
	}
	for _, query := range []string{"include=", "include=all", "include=events&include=events", "include=events&Include=events"} {
		a := w.do("GET", "/future/shipment/"+id+"?"+query, "", lenient)
		if p := a.problem(t); a.status != http.StatusBadRequest || len(p.Errors) != 1 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if a := w.do("GET", "/future/shipment/"+id+"?include=events", "", as(otherToken)); a.status != http.StatusNotFound {
		t.Errorf("another organisation: %d", a.status)
	}
}

// TestEventsOfFailures: an order that no carrier took, one that waits, and one that was refused.
func TestEventsOfFailures(t *testing.T) {
	w := start(t, func(_ *Config, oc *orders.Config) { oc.SendDeadline = time.Minute })
	for name, c := range map[string]struct {
		handover orders.Handover
		last     string
	}{
		"not sent": {orders.Handover{Outcome: handover.NotSent, Detail: "no bind is up"}, "notSent"},
		"refused":  {orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1, Detail: "ESME_RSUBMITFAIL"}, "final"},
		"unknown":  {orders.Handover{Outcome: handover.Unknown, Carrier: "telco", Total: 1}, "stored"},
	} {
		w.sms.Does(c.handover)
		w.sendSMS(name)
		found, err := w.service.Find(context.Background(), orders.FindQuery{Recipient: "+4799999999", Limit: 1})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		a := w.do("GET", "/future/shipment/"+found[0].ID.String()+"?include=events", "")
		var got struct {
			Events []struct{ Type, Detail string }
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || len(got.Events) < 2 {
			t.Fatalf("%s: %s %v", name, a.body, err)
		}
		if e := got.Events[len(got.Events)-1]; e.Type != c.last || e.Detail != c.handover.Detail {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

// TestScopes: what each scope lets its token do, and what not.
func TestScopes(t *testing.T) {
	scopes := map[string][]string{"create": {ScopeCreate}, "read": {ScopeRead}, "support": {ScopeSupport}, "both": {ScopeRead, ScopeSupport}, "none": {}}
	w := start(t, func(c *Config, _ *orders.Config) {
		var tokens []Token
		for name, list := range scopes {
			tokens = append(tokens, Token{Organisation: "ttd", Name: name, SHA256: sum(name), Scopes: list})
		}
		tokens = append(tokens, Token{Organisation: "ttd", Name: "backend", SHA256: sum(ttdToken)})
		auth, err := NewTokens(tokens)
		if err != nil {
			t.Fatal(err)
		}
		c.Auth = auth
	})
	id := w.delivered("k")
	for _, c := range []struct {
		method, path, body, allowed string
	}{
		{"POST", "/future/orders/instant/sms", smsBody, "create"},
		{"POST", "/future/orders/instant/email", emailBody, "create"},
		{"POST", "/future/orders/instant", `{"idempotencyId":"k","recipient":{}}`, "create"},
		{"GET", "/future/shipment/feed", "", "create read both"},
		{"GET", "/future/shipment/" + id, "", "create read both support"},
		{"GET", "/future/shipment/" + id + "?include=events", "", "create read both support"},
		{"GET", "/future/shipment?idempotencyId=k", "", "create read both support"},
	} {
		for name := range scopes {
			a := w.do(c.method, c.path, c.body, as(name), lenient)
			allowed := strings.Contains(" "+c.allowed+" ", " "+name+" ")
			if allowed == (a.status == http.StatusForbidden) || allowed && a.status > 400 {
				t.Errorf("%s %s with the scope %s: %d %s", c.method, c.path, name, a.status, a.body)
			}
			if challenge := a.header.Get("WWW-Authenticate"); !allowed && !strings.Contains(challenge, ScopeCreate) {
				t.Errorf("%s %s: %s", c.method, c.path, challenge)
			}
		}
	}
	eventually.True(t, "nothing was sent without the scope", func() bool { return len(w.sms.Sent()) == 1 })
}
