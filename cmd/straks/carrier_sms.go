package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/dlr"
	"straks/internal/config"
	"straks/internal/handover"
	"straks/orders"
	"straks/smpp"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// smsCarrier stands between orders and smpp, which know nothing of each other:
// it turns messages into submits, answers into hand-overs, and what SMSCs
// deliver into receipts.
type smsCarrier struct {
	cfg      *config.Config
	dialects map[string]dlr.Dialect // by SMSC
	inbound  *inbound
	log      *slog.Logger

	// Set before any of the methods is called: all three know each other.
	gateway *smpp.Gateway
	service *orders.Service
}

var _ orders.Carrier = (*smsCarrier)(nil)

func newSMSCarrier(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) *smsCarrier {
	c := &smsCarrier{cfg: cfg, dialects: cfg.Dialects(), log: log}
	block := func(b orders.Block, done func(error)) error { return c.service.Block(b, done) }
	c.inbound = newInbound(cfg, block, log, reg)
	return c
}

// message is m as the gateway knows it.
func (c *smsCarrier) message(m orders.Message) smpp.Message {
	from, text := m.From, m.Body
	if from == "" {
		from = c.cfg.SMSSender(m.Organisation)
	}
	if c.cfg.Transliterates(m.Organisation) {
		text = gsm.Transliterate(text)
	}
	return smpp.Message{ID: m.Shipment.String(), Organisation: m.Organisation,
		To: string(m.To), From: from, Text: text, Expires: m.Expires}
}

// smsFields are the gateway's names for what a fault is about, in orders' words.
var smsFields = map[smpp.Field]orders.Field{
	smpp.FieldRecipient: orders.FieldRecipient,
	smpp.FieldSender:    orders.FieldSender,
	smpp.FieldBody:      orders.FieldBody,
}

// Check implements orders.Carrier.
func (c *smsCarrier) Check(m orders.Message) []orders.Fault {
	var faults []orders.Fault
	for _, f := range c.gateway.Check(c.message(m)) {
		faults = append(faults, orders.Fault{Field: smsFields[f.Field], Message: f.Message})
	}
	return faults
}

// Ready implements orders.Carrier.
func (c *smsCarrier) Ready() error { return c.gateway.Ready() }

// Admit implements orders.Carrier.
func (c *smsCarrier) Admit(m orders.Message) (leave func(), err error) {
	m.Body = "" // does not matter, and need not be transliterated
	return c.gateway.Admit(c.message(m))
}

// Full implements orders.Carrier.
func (c *smsCarrier) Full() bool { return c.gateway.Full() }

// Send implements orders.Carrier.
func (c *smsCarrier) Send(ctx context.Context, m orders.Message) orders.Handover {
	r := c.gateway.Send(ctx, c.message(m))
	d := c.dialects[r.SMSC]
	var parts []orders.PartAnswer
	for _, p := range r.Parts {
		ref := d.AnswerRef(p.MessageID)
		if ref == "" { // no answer, or one without an id: the SMSC may echo our reference in a receipt, which settles it
			ref = d.UserRef(string(m.To), p.Reference)
		}
		parts = append(parts, orders.PartAnswer{Index: p.Index, Taken: p.Taken, Refs: []string{ref}})
	}
	h := orders.Handover{Outcome: r.Outcome, Status: refusalStatuses[r.Refusal], Carrier: r.SMSC, Detail: smsDetail(r.Status, r.Err)}
	h.Total, h.Parts = receiptParts(d, r.Total, parts)
	return h
}

// receiptParts returns what receipts tell of where a message has so many parts and these
// were answered: of each part, or of all together.
func receiptParts(d dlr.Dialect, total int, parts []orders.PartAnswer) (int, []orders.PartAnswer) {
	if !d.OneReceipt || total < 2 {
		return total, parts
	}
	whole := orders.PartAnswer{Taken: len(parts) == total}
	for _, p := range parts {
		whole.Taken = whole.Taken && p.Taken
		for _, ref := range p.Refs {
			if !slices.Contains(whole.Refs, ref) {
				whole.Refs = append(whole.Refs, ref)
			}
		}
	}
	return 1, []orders.PartAnswer{whole}
}

// smsDetail is the carrier's word for operators: a status, else the error.
func smsDetail(status wire.Status, err error) string {
	switch {
	case status != wire.ESMEOK:
		return status.String()
	case err != nil:
		return err.Error()
	}
	return ""
}

// refusalStatuses is where an SMSC's refusal becomes a status.
var refusalStatuses = map[smpp.Refusal]orders.Status{
	smpp.RefusedFailed:           orders.SMSFailed,
	smpp.RefusedRejected:         orders.SMSFailedRejected,
	smpp.RefusedInvalidRecipient: orders.SMSFailedInvalidRecipient,
	smpp.RefusedBarred:           orders.SMSFailedBarredReceiver,
	smpp.RefusedNotIdentified:    orders.SMSFailedRecipientNotIdentified,
	smpp.RefusedInvalidSender:    orders.SMSFailedRejected,
	smpp.RefusedIncomplete:       orders.SMSFailed,
}

// handler takes what the SMSCs send by themselves.
func (c *smsCarrier) handler() smpp.Handler {
	return smpp.Handler{Deliver: c.deliver, Late: c.late}
}

// late takes an answer that came after its hand-over had ended as unknown.
func (c *smsCarrier) late(l smpp.LateAnswer) {
	id, err := uuid.Parse(l.Message)
	if err != nil {
		c.log.Error("late answer to a message that is not ours", "smsc", l.SMSC, "err", err)
		return
	}
	a := orders.Answer{Shipment: id, At: time.Now().UTC(), Outcome: handover.Accepted, Carrier: l.SMSC}
	d := c.dialects[l.SMSC]
	var parts []orders.PartAnswer
	if l.Status == wire.ESMEOK {
		part := orders.PartAnswer{Index: l.Index, Taken: true}
		if ref := d.AnswerRef(l.MessageID); ref != "" {
			part.Refs = []string{ref}
		}
		parts = []orders.PartAnswer{part}
	} else {
		a.Outcome, a.Status, a.Detail = handover.Refused, refusalStatuses[l.Refusal], l.Status.String()
	}
	a.Total, a.Parts = receiptParts(d, l.Total, parts)
	if err := c.service.Late(a); err != nil {
		c.log.Error("late answer lost: a receipt or the deadline settles the shipment", "shipment", id, "smsc", l.SMSC, "err", err)
	}
}

// deliver takes what an SMSC delivers. A receipt is acknowledged when it is on
// disk, not before; one that says nothing is acknowledged at once, since
// sending it again helps nobody.
func (c *smsCarrier) deliver(smsc string, d *smpp.Delivery) {
	receipt, ok := dlr.Parse(dlrDeliver(d.Message))
	if !ok {
		c.inbound.receive(smsc, d.Message, d.Respond)
		return
	}
	err := c.service.Receive(orders.Arrival{Carrier: smsc, Receipt: receipt, At: d.Received.UTC(),
		Done: func(err error) { d.Respond(storedStatus(err)) }})
	switch {
	case errors.Is(err, orders.ErrUnreadable):
		d.Respond(wire.ESMEOK)
	case err != nil:
		d.Respond(storedStatus(err))
	}
}

// storedStatus is what the SMSC is told: done, or to come again.
func storedStatus(err error) wire.Status {
	if err != nil {
		return wire.ESMERxTAppn
	}
	return wire.ESMEOK
}
