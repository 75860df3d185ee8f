package simulated_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/eventually"
	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
	"straks/orders/simulated"
)

// TestModes: what may leave does, and what may not looks delivered and never reaches the carrier.
func TestModes(t *testing.T) {
	real := &orderstest.Carrier{Most: orders.Cost{Parts: 2, Amount: 5, Class: "+47"}}
	rules := map[string]*simulated.Rule{"tests": {}, "pilot": {Allowed: []string{"+4799999999", "Kari@example.org", "@example.net"}}}
	sms := simulated.New(orders.SMS, real, rules, slog.New(slog.DiscardHandler))
	mail := simulated.New(orders.Email, real, rules, slog.New(slog.DiscardHandler))
	service := orders.NewService(orders.Config{Journal: bolttest.New(t), SMS: sms, Email: mail, StallAfter: time.Minute, ReceiptWait: orderstest.Patient,
		Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	var ended []chan error
	for _, run := range []func(context.Context, *orders.Service) error{sms.Run, mail.Run} {
		done := make(chan error)
		ended = append(ended, done)
		go func() { done <- run(ctx, service) }()
	}
	serving, end := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- service.Run(serving) }()
	t.Cleanup(func() {
		stop()
		for _, done := range ended {
			<-done
		}
		end()
		<-served
	})
	kept := make(map[uuid.UUID]string) // organisation by shipment
	for _, c := range []struct {
		organisation string
		channel      orders.Channel
		to           orders.Recipient
		leaves       bool
	}{
		{"ttd", orders.SMS, "+4799999999", true},
		{"tests", orders.SMS, "+4799999999", false},
		{"pilot", orders.SMS, "+4799999999", true},
		{"pilot", orders.SMS, "+4799999998", false},
		{"pilot", orders.Email, "kari@example.org", true},
		{"pilot", orders.Email, "ola@example.org", false},
		{"pilot", orders.Email, "ola@EXAMPLE.net", true},
		{"pilot", orders.Email, "ola@sub.example.net", false},
		{"pilot", orders.Email, "ola@example.net@evil.example", false},
		{"tests", orders.Email, "kari@example.org", false},
	} {
		before := len(real.Sent())
		o := orderstest.SMS(uuid.NewString())
		o.Organisation, o.Message.Channel, o.Message.To = c.organisation, c.channel, c.to
		s, created, err := service.Place(t.Context(), o)
		if err != nil || !created {
			t.Fatal(err)
		}
		if left := len(real.Sent()) > before; left != c.leaves || (s.Carrier == simulated.Name) == c.leaves {
			t.Errorf("%s to %s: left %v, carrier %q", c.organisation, string(c.to), left, s.Carrier)
		}
		cost := real.Most
		if !c.leaves {
			cost.Amount = 0 // and the client sees no difference
		}
		if s.Cost != cost {
			t.Errorf("%s to %s: %+v, want %+v", c.organisation, string(c.to), s.Cost, cost)
		}
		if !c.leaves {
			kept[s.ID] = c.organisation
		}
	}
	for id, organisation := range kept {
		eventually.True(t, "the delivery", func() bool {
			s, err := service.Shipment(t.Context(), organisation, id)
			return err == nil && s.Status.Delivered()
		})
	}
	if len(kept) != 6 {
		t.Errorf("%d messages were kept", len(kept))
	}
}

// TestRestOfAStop: what was taken within the last second is delivered before the end.
func TestRestOfAStop(t *testing.T) {
	c := simulated.New(orders.SMS, &orderstest.Carrier{}, map[string]*simulated.Rule{"ttd": {}}, slog.New(slog.DiscardHandler))
	service := orders.NewService(orders.Config{Journal: bolttest.New(t), SMS: c, StallAfter: time.Minute, ReceiptWait: orderstest.Patient,
		Log: slog.New(slog.DiscardHandler)})
	serving, end := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- service.Run(serving) }()
	s, _, err := service.Place(t.Context(), orderstest.SMS("k"))
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	_ = c.Run(stopped, service)
	end()
	<-served
	if s, err = service.Shipment(t.Context(), "ttd", s.ID); err != nil || s.Status != orders.SMSDelivered {
		t.Error(s.Status, err)
	}
}
