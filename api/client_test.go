package api

import (
	"errors"
	"strings"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/handover"
	"straks/orders"
)

// The client and the server understand each other, in good and in bad.
func TestClient(t *testing.T) {
	w := start(t)
	c, err := client.New(w.server.URL+DefaultBasePath+"/", ttdToken, w.http)
	if err != nil {
		t.Fatal(err)
	}
	sms := client.SMS{IdempotencyID: "s", SendersReference: "r", Recipient: client.SMSRecipient{
		PhoneNumber: "+4799999999", TTLSeconds: 60, Settings: client.SMSSettings{Sender: "Altinn", Body: "Hei"}}}
	placed, err := c.SendSMS(t.Context(), sms)
	if err != nil || !placed.Created || placed.SendersReference != "r" || !strings.HasSuffix(placed.Location, placed.ShipmentID) || placed.OrderID == "" {
		t.Fatalf("%+v, %v", placed, err)
	}
	again, err := c.SendSMS(t.Context(), sms)
	if err != nil || again.Created || again.ShipmentID != placed.ShipmentID {
		t.Errorf("the repeat: %+v, %v", again, err)
	}
	email := client.Email{IdempotencyID: "e", Recipient: client.EmailRecipient{
		EmailAddress: "ola@example.org", Settings: client.EmailSettings{Subject: "s", Body: "b", Sender: "post@example.org", ContentType: "Html"}}}
	if placed, err := c.SendEmail(t.Context(), email); err != nil || !placed.Created {
		t.Errorf("%+v, %v", placed, err)
	}
	s, err := c.Shipment(t.Context(), placed.ShipmentID)
	if err != nil || s.Final() || s.Status != "Order_Processed" || s.Recipients[0].Destination != "+4799999999" || time.Since(s.LastUpdate) > time.Hour {
		t.Errorf("%+v, %v", s, err)
	}
	page, err := c.Feed(t.Context(), client.FeedQuery{PageSize: 1, Descending: true, All: true})
	if err != nil || len(page) != 1 || page[0].SequenceNumber != 2 || page[0].Recipients[0].Type != "Email" {
		t.Errorf("%+v, %v", page, err)
	}
	if page, err := c.Feed(t.Context(), client.FeedQuery{Seq: 2}); err != nil || len(page) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestClientProblems(t *testing.T) {
	w := start(t)
	w.sms.Does(orders.Handover{Outcome: handover.NotSent})
	c, err := client.New(w.server.URL+DefaultBasePath, ttdToken, w.http)
	if err != nil {
		t.Fatal(err)
	}
	var p *client.Problem
	_, err = c.SendSMS(t.Context(), client.SMS{})
	if !errors.As(err, &p) || p.Status != 400 || p.Temporary() || len(p.Errors) != 4 || !strings.Contains(err.Error(), "\n  recipientSms.phoneNumber: ") {
		t.Errorf("invalid: %v", err)
	}
	_, err = c.SendSMS(t.Context(), client.SMS{IdempotencyID: "k", Recipient: client.SMSRecipient{
		PhoneNumber: "+4799999999", TTLSeconds: 60, Settings: client.SMSSettings{Body: "Hei"}}})
	if !errors.As(err, &p) || p.Status != 503 || !p.Temporary() || p.RetryAfter != 2*time.Second || p.Code != "NOT-00004" {
		t.Errorf("not sent: %v", err)
	}
	if _, err = c.Shipment(t.Context(), "../feed"); !errors.As(err, &p) || p.Code != "NOT-00003" {
		t.Errorf("not found: %v", err)
	}
	stranger, _ := client.New(w.server.URL+DefaultBasePath, "nobody's", w.http)
	if _, err = stranger.Feed(t.Context(), client.FeedQuery{}); !errors.As(err, &p) || p.Status != 401 {
		t.Errorf("unknown: %v", err)
	}
	lost, _ := client.New(w.server.URL, ttdToken, w.http)
	if _, err = lost.Feed(t.Context(), client.FeedQuery{}); !errors.As(err, &p) || p.Status != 404 || p.Detail == "" {
		t.Errorf("wrong base URL: %v", err)
	}
	for _, bad := range []string{"", "localhost:8080", "ftp://x/y", "http://", "http://%zz"} {
		if _, err := client.New(bad, "t", nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := client.New("http://localhost", "", nil); err == nil {
		t.Error("no token was taken")
	}
}
