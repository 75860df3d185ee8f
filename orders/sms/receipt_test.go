package sms

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/dlr"
	"straks/internal/handover"
	"straks/internal/logtest"
	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
	"straks/smpp/wire"
)

// newReceiver returns the receiver of a service that runs.
func newReceiver(t *testing.T, d dlr.Dialect, log *slog.Logger) *receiver {
	t.Helper()
	journal := bolttest.New(t)
	carrier := &orderstest.Carrier{}
	carrier.Sends(func(_ context.Context, m orders.Message) orders.Handover { // as this channel refers to it
		return orders.Handover{Outcome: handover.Accepted, Carrier: "telco", Total: 1,
			Parts: []orders.PartAnswer{{Refs: []string{dlr.Dialect{}.AnswerRef(m.Shipment.String())}, Taken: true}}}
	})
	service := orders.NewService(orders.Config{Journal: journal, SMS: carrier, StallAfter: time.Minute, ReceiptWait: orderstest.Patient, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		service.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	cfg := Config{SMSCs: map[string]SMSC{"telco": {Dialect: d}}}
	return New(cfg, nil, log, prometheus.NewRegistry()).receiver(service)
}

func (r *receiver) place(t *testing.T) uuid.UUID {
	t.Helper()
	s, _, err := r.service.Place(t.Context(), orderstest.SMS("k"))
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func (r *receiver) status(t *testing.T, id uuid.UUID) orders.Status {
	t.Helper()
	s, err := r.service.Shipment(t.Context(), "ttd", id)
	if err != nil {
		t.Fatal(err)
	}
	return s.Status
}

// take delivers a message, and returns the command_status that answers it.
func (r *receiver) take(m *wire.Message) wire.Status {
	answers := make(chan wire.Status, 1)
	r.deliver("telco", m, time.Now().UTC(), func(status wire.Status) { answers <- status })
	return <-answers
}

func receipt(text string) *wire.Message {
	return &wire.Message{ESMClass: 4, ShortMessage: []byte(text)}
}

var quiet = slog.New(slog.DiscardHandler)

// A receipt that says nothing is acknowledged and counted.
func TestUnreadableReceipt(t *testing.T) {
	r := newReceiver(t, dlr.Dialect{}, quiet)
	for _, text := range []string{"id:1 stat:", "stat:DELIVRD", "id:1 stat:QUUX err:099"} {
		if status := r.take(receipt(text)); status != wire.ESMEOK {
			t.Errorf("%s: %v", text, status)
		}
	}
	for _, receipt := range []dlr.Receipt{{ID: "1"}, {State: dlr.Delivered}, {ID: "1", Cause: dlr.CauseBarred, Intermediate: true}} {
		if report, ok := newReport("telco", dlr.Dialect{}, receipt, time.Now()); ok {
			t.Errorf("%+v: %+v", receipt, report)
		}
	}
}

// The log names a lost receipt, masks what is unknown in it, and is bounded.
func TestUnreadableReceiptIsLogged(t *testing.T) {
	var log logtest.Log
	r := newReceiver(t, dlr.Dialect{}, slog.New(slog.NewJSONHandler(&log, nil)))
	for range 100 {
		m := receipt("id:42 stat:QUUX err:013 text:hemmelig")
		m.Source = "4799999999"
		if status := r.take(m); status != wire.ESMEOK {
			t.Fatal(status)
		}
	}
	lines := log.String()
	if n := strings.Count(lines, `"smsc":"telco","id":true,"state":"QU**","error_code":"013"`); n < 1 || n > 5 {
		t.Errorf("%d lines: %s", n, lines)
	}
	if strings.Contains(lines, "hemmelig") || strings.Contains(lines, "4799999999") {
		t.Error(lines)
	}
}

// An unknown state is no loss where the error code is known.
func TestErrorCodeDecidesWhereTheStateIsUnknown(t *testing.T) {
	table, err := dlr.NewErrorTable(map[string]string{"13": "barred", "27": "absent"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want orders.Status
	}{
		{"stat:QUUX err:013", orders.SMSFailedBarredReceiver},
		{"stat:QUUX err:027", orders.SMSFailedUndelivered},
		{"err:013", orders.SMSFailedBarredReceiver},
		{"stat:DELIVRD err:013", orders.SMSDelivered},
		{"stat:ENROUTE err:013", orders.SMSAccepted},
		{"stat:BARRED err:000", orders.SMSFailedBarredReceiver},
	} {
		r := newReceiver(t, dlr.Dialect{Errors: table}, quiet)
		id := r.place(t)
		if status := r.take(receipt("id:" + id.String() + " " + c.text)); status != wire.ESMEOK {
			t.Errorf("%s: %v", c.text, status)
		} else if got := r.status(t, id); got != c.want {
			t.Errorf("%s makes %v, want %v", c.text, got, c.want)
		}
	}
}

func TestReceiptStatuses(t *testing.T) {
	for state, want := range map[dlr.State]orders.Status{
		dlr.Delivered: orders.SMSDelivered, dlr.Expired: orders.SMSFailedExpired, dlr.Deleted: orders.SMSFailedDeleted,
		dlr.Undeliverable: orders.SMSFailedUndelivered, dlr.Unknown: orders.SMSFailed, dlr.Rejected: orders.SMSFailedRejected,
		dlr.Enroute: orders.SMSAccepted, dlr.Accepted: orders.SMSAccepted,
	} {
		r := newReceiver(t, dlr.Dialect{}, quiet)
		id := r.place(t)
		if status := r.take(receipt("id:" + id.String() + " stat:" + state.String())); status != wire.ESMEOK {
			t.Fatal(status)
		}
		if got := r.status(t, id); got != want {
			t.Errorf("%v makes %v, want %v", state, got, want)
		}
	}
}

func TestIntermediateReceiptEndsNothing(t *testing.T) {
	r := newReceiver(t, dlr.Dialect{}, quiet)
	id := r.place(t)
	for _, step := range []struct {
		state dlr.State
		want  orders.Status
	}{{dlr.Undeliverable, orders.SMSAccepted}, {dlr.Enroute, orders.SMSAccepted}, {dlr.Delivered, orders.SMSDelivered}} {
		m := receipt("id:" + id.String() + " stat:" + step.state.String())
		m.ESMClass = 0x20
		if status := r.take(m); status != wire.ESMEOK {
			t.Fatal(status)
		}
		if got := r.status(t, id); got != step.want {
			t.Errorf("an intermediate %v makes %v, want %v", step.state, got, step.want)
		}
	}
}
