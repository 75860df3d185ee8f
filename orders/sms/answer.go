package sms

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/dlr"
	"straks/internal/handover"
	"straks/orders"
	"straks/smpp"
	"straks/smpp/wire"
)

// handover returns how the gateway's attempt to send to a recipient ended.
func (c *Channel) handover(to orders.Recipient, r smpp.Result) orders.Handover {
	d := c.setup.Load().SMSCs[r.SMSC].Dialect
	var parts []orders.PartAnswer
	for _, p := range r.Parts {
		if p.Taken {
			c.said.Say(r.SMSC, "response", func() string { return fmt.Sprintf("message_id %q", p.MessageID) })
		}
		ref := d.AnswerRef(p.MessageID)
		if ref == "" { // no response, or one without an id: a receipt may echo our user_message_reference
			ref = d.UserRef(string(to), p.Reference)
		}
		parts = append(parts, orders.PartAnswer{Index: p.Index, Taken: p.Taken, Refs: []string{ref}})
	}
	h := orders.Handover{Outcome: r.Outcome, Status: refusals[r.Refusal], Carrier: r.SMSC, Detail: detail(r.Status, r.Err),
		Bind: r.Bind, Encoding: r.Encoding, Slot: r.Times.Slot, Written: r.Times.Written, Answered: r.Times.Answered}
	h.Total, h.Parts = receiptParts(d, r.Total, parts)
	if r.SMSC != "" {
		h.Cost = c.cost(r.SMSC, to, r.Segments, billed(&r))
	}
	return h
}

// billed returns how many segments the SMSC has, or may have.
func billed(r *smpp.Result) int {
	if len(r.Parts) == r.Total {
		return r.Segments
	}
	return len(r.Parts)
}

// receiptParts returns the parts that receipts are about, where a message has
// total parts and these were answered: each part, or (OneReceipt) all together.
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

// detail returns what operators see of an answer: the command_status, else the error.
func detail(status wire.Status, err error) string {
	switch {
	case status != wire.ESMEOK:
		return status.String()
	case err != nil:
		return err.Error()
	}
	return ""
}

// refusals maps an SMSC's refusal to a status.
var refusals = map[smpp.Refusal]orders.Status{
	smpp.RefusedFailed:           orders.SMSFailed,
	smpp.RefusedRejected:         orders.SMSFailedRejected,
	smpp.RefusedInvalidRecipient: orders.SMSFailedInvalidRecipient,
	smpp.RefusedBarred:           orders.SMSFailedBarredReceiver,
	smpp.RefusedNotIdentified:    orders.SMSFailedRecipientNotIdentified,
	smpp.RefusedInvalidSender:    orders.SMSFailedRejected,
	smpp.RefusedIncomplete:       orders.SMSFailed,
}

// late takes a submit_sm_resp that came after its hand-over had ended as unknown.
func (r *receiver) late(l smpp.LateResponse) {
	id, err := uuid.Parse(l.Message)
	if err != nil {
		r.log.Error("late response to a message that is not ours", "smsc", l.SMSC, "err", err)
		return
	}
	a := orders.Answer{Shipment: id, At: time.Now().UTC(), Outcome: handover.Accepted, Carrier: l.SMSC}
	d := r.setup.Load().SMSCs[l.SMSC].Dialect
	var parts []orders.PartAnswer
	if l.Status == wire.ESMEOK {
		part := orders.PartAnswer{Index: l.Index, Taken: true}
		if ref := d.AnswerRef(l.MessageID); ref != "" {
			part.Refs = []string{ref}
		}
		parts = []orders.PartAnswer{part}
	} else {
		a.Outcome, a.Status, a.Detail = handover.Refused, refusals[l.Refusal], l.Status.String()
	}
	a.Total, a.Parts = receiptParts(d, l.Total, parts)
	if err := r.service.Late(a); err != nil {
		r.log.Error("late response lost: a receipt or the deadline settles the shipment", "shipment", id, "smsc", l.SMSC, "err", err)
	}
}
