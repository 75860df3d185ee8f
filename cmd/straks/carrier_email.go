package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
	"straks/smtp"
)

// emailCarrier stands between orders and smtp, which know nothing of each other.
type emailCarrier struct {
	sender func(organisation string) string // of mails that name none
	log    *slog.Logger

	// Set before any of the methods is called: all three know each other.
	pool    *smtp.Pool
	service *orders.Service
}

var _ orders.Carrier = (*emailCarrier)(nil)

// message is m as the pool knows it.
func (c *emailCarrier) message(m orders.Message) smtp.Message {
	from := m.From
	if from == "" {
		from = c.sender(m.Organisation)
	}
	return smtp.Message{ID: m.Shipment.String(), From: from,
		To: string(m.To), Subject: m.Subject, Body: m.Body, HTML: m.HTML}
}

// emailFields are the pool's names for what a fault is about, in orders' words.
var emailFields = map[smtp.Field]orders.Field{
	smtp.FieldTo:      orders.FieldRecipient,
	smtp.FieldFrom:    orders.FieldSender,
	smtp.FieldSubject: orders.FieldSubject,
	smtp.FieldBody:    orders.FieldBody,
}

// Check implements orders.Carrier.
func (c *emailCarrier) Check(m orders.Message) []orders.Fault {
	var faults []orders.Fault
	var found smtp.Faults
	if errors.As(c.pool.Check(c.message(m)), &found) {
		for _, f := range found {
			faults = append(faults, orders.Fault{Field: emailFields[f.Field], Message: f.Message})
		}
	}
	return faults
}

// Ready implements orders.Carrier.
func (c *emailCarrier) Ready() error { return c.pool.Ready() }

// Admit implements orders.Carrier. A mail waits for a connection until its deadline.
func (c *emailCarrier) Admit(orders.Message) (leave func(), err error) { return func() {}, nil }

// Full implements orders.Carrier.
func (c *emailCarrier) Full() bool { return false }

// relayRefusals is where a relay's refusal becomes a status.
var relayRefusals = map[smtp.Refusal]orders.Status{
	smtp.NoSuchMailbox: orders.EmailFailedRecipientNotIdentified,
	smtp.BadAddress:    orders.EmailFailedInvalidFormat,
	smtp.Filtered:      orders.EmailFailedFilteredSpam,
	smtp.OtherRefusal:  orders.EmailFailed,
}

// Send implements orders.Carrier. The one part of a mail is known by its
// shipment, which is in its Message-ID.
func (c *emailCarrier) Send(ctx context.Context, m orders.Message) orders.Handover {
	r := c.pool.Send(ctx, c.message(m))
	return orders.Handover{Outcome: r.Outcome, Status: relayRefusals[r.Refusal], Carrier: r.Relay, Total: 1,
		Parts: mailPart(r), Detail: relayDetail(r)}
}

func mailPart(r smtp.Result) []orders.PartAnswer {
	return []orders.PartAnswer{{Taken: r.Outcome == handover.Accepted}}
}

// late takes a relay's answer that came after its hand-over had ended as unknown.
func (c *emailCarrier) late(message string, r smtp.Result) {
	id, err := uuid.Parse(message)
	if err != nil {
		c.log.Error("late answer to a mail that is not ours", "relay", r.Relay, "err", err)
		return
	}
	a := orders.Answer{Shipment: id, At: time.Now().UTC(), Outcome: r.Outcome, Status: relayRefusals[r.Refusal],
		Carrier: r.Relay, Total: 1, Parts: mailPart(r), Detail: relayDetail(r)}
	if err := c.service.Late(a); err != nil {
		c.log.Error("late answer lost: the deadline settles the shipment", "shipment", id, "relay", r.Relay, "err", err)
	}
}

// relayDetail is the relay's word for operators.
func relayDetail(r smtp.Result) string {
	switch {
	case r.QueueID != "":
		return "queued as " + r.QueueID
	case r.Err != nil:
		return r.Err.Error()
	}
	return ""
}
