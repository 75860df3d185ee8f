package sms

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"straks/dlr"
	"straks/orders"
	"straks/smpp"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// receiver gives what SMSCs send on their own to the service.
type receiver struct {
	*Channel
	service *orders.Service
	parts   *joiner
}

// Run runs the gateway until ctx ends, and gives the service what SMSCs send on
// their own: receipts, messages from phones, and late responses.
func (c *Channel) Run(ctx context.Context, service *orders.Service) error {
	r := c.receiver(service)
	deliver := func(smsc string, d *smpp.Delivery) { r.deliver(smsc, d.Message, d.Received.UTC(), d.Respond) }
	defer r.parts.close()
	defer context.AfterFunc(ctx, r.parts.drain)()
	return c.gateway.Run(ctx, smpp.Handler{Deliver: deliver, Late: r.late})
}

func (c *Channel) receiver(service *orders.Service) *receiver {
	r := &receiver{Channel: c, service: service, parts: newJoiner()}
	r.parts.whole, r.parts.lost = r.deliverWhole, c.incomplete
	return r
}

// deliver takes a deliver_sm or data_sm, or keeps it where it is a part of a receipt.
func (r *receiver) deliver(smsc string, m *wire.Message, at time.Time, respond func(wire.Status)) {
	if !r.parts.take(smsc, m, at, respond) {
		r.deliverWhole(smsc, m, at, respond)
	}
}

// deliverWhole takes a receipt or a message from a phone. A receipt is acknowledged when it is on
// disk, not before. One that says nothing is acknowledged at once: nothing would
// be won if it came again.
func (r *receiver) deliverWhole(smsc string, m *wire.Message, at time.Time, respond func(wire.Status)) {
	dialect := r.setup.Load().SMSCs[smsc].Dialect
	receipt, ok := dialect.Parse(parsed(m))
	if !ok {
		r.inbound(smsc, m, respond)
		return
	}
	r.said.Say(smsc, "receipt", func() string { return verbatim(m) })
	r.metrics.errors.count(smsc, receipt.Error, dialect.Cause(receipt))
	report, ok := newReport(smsc, dialect, receipt, at)
	if !ok {
		r.unreadable(smsc, receipt)
		respond(wire.ESMEOK)
		return
	}
	r.tally.count(smsc, &report)
	report.ByRecipient = r.setup.Load().SMSCs[smsc].SettleByRecipient
	if err := r.service.Receive(report, func(err error) { respond(stored(err)) }); err != nil {
		respond(stored(err))
	}
}

// stored returns the command_status that answers a delivery: it is on disk, or
// must be sent again.
func stored(err error) wire.Status {
	if err != nil {
		return wire.ESMERxTAppn
	}
	return wire.ESMEOK
}

// unreadable counts a receipt that says nothing, and logs what of it may be shown:
// it is acknowledged, and never comes again.
func (c *Channel) unreadable(smsc string, receipt dlr.Receipt) {
	c.metrics.unreadable.Inc()
	c.few.Write("unreadable "+smsc, slog.LevelWarn, "receipt lost: it has no id, or its state is not known",
		slog.String("smsc", smsc), slog.Bool("id", receipt.ID != ""),
		slog.String("state", receipt.UnknownState), slog.String("error_code", receipt.Error))
}

// parsed returns the fields and TLVs of a deliver_sm or data_sm that dlr reads.
func parsed(m *wire.Message) dlr.Deliver {
	text, header := octets(m)
	state, _ := wire.Lookup(m.TLVs, wire.TagMessageState)
	code, _ := wire.Lookup(m.TLVs, wire.TagNetworkErrorCode)
	reference, _ := wire.Lookup(m.TLVs, wire.TagUserMessageReference)
	id, _ := wire.Lookup(m.TLVs, wire.TagReceiptedMessageID)
	return dlr.Deliver{
		ESMClass: m.ESMClass, DataCoding: m.DataCoding, Source: m.Source, Destination: m.Dest, Text: text[header:],
		ReceiptedMessageID: wire.CString(id), MessageState: state, NetworkErrorCode: code, UserReference: reference,
	}
}

// verbatim returns what a receipt says word for word, for an operator's eyes only: its text, which may
// hold the beginning of the message, and its TLVs.
func verbatim(m *wire.Message) string {
	text, header := octets(m)
	all := fmt.Sprintf("esm_class %#02x, data_coding %d, text %q", m.ESMClass, m.DataCoding, text[header:])
	for _, t := range m.TLVs {
		if t.Tag != wire.TagMessagePayload {
			all += fmt.Sprintf(", TLV %#04x %q", t.Tag, t.Value)
		}
	}
	return all
}

// esmUDHI says that a user data header begins the message (SMPP 3.4 §5.2.12).
const esmUDHI = 0x40

// octets returns short_message, or message_payload where that is empty, and the
// length of the user data header at its beginning.
func octets(m *wire.Message) (octets []byte, header int) {
	octets = m.ShortMessage
	if len(octets) == 0 {
		octets, _ = wire.Lookup(m.TLVs, wire.TagMessagePayload)
	}
	if m.ESMClass&esmUDHI != 0 {
		header, _ = gsm.HeaderLen(octets)
	}
	return octets, header
}

// newReport returns what a receipt says of a part. ok is false where it says
// nothing: it has neither an id nor a user reference, or neither a state nor a cause.
func newReport(smsc string, d dlr.Dialect, receipt dlr.Receipt, at time.Time) (r orders.Report, ok bool) {
	refs, ids := d.Refs(receipt)
	status, ok := statusOf(receipt, d.Cause(receipt))
	if !ok || len(refs) == 0 {
		return orders.Report{}, false
	}
	r = orders.Report{Carrier: smsc, Refs: refs, IDs: ids, Hints: hints(d, receipt), At: at, Status: status,
		Recipient: orders.Recipient(receipt.Recipient), Submitted: receipt.Submitted, Unverified: receipt.Unverified,
		Detail: receipt.Detail(), Done: receipt.Done, Whole: d.OneReceipt}
	if receipt.HasReference {
		r.Echoed, r.Reference = true, receipt.UserReference
	}
	return r, true
}

// hints returns the references that a receipt's ids would be under other settings.
func hints(d dlr.Dialect, receipt dlr.Receipt) []orders.MismatchHint {
	found := d.Hints(receipt)
	all := make([]orders.MismatchHint, len(found))
	for i, h := range found {
		all[i] = orders.MismatchHint{Form: h.String(), Ref: h.Ref}
	}
	return all
}

// states maps a receipt's state to a status (SMPP 3.4 §5.2.28).
var states = map[dlr.State]orders.Status{
	dlr.Enroute:       orders.SMSAccepted,
	dlr.Accepted:      orders.SMSAccepted,
	dlr.Delivered:     orders.SMSDelivered,
	dlr.Expired:       orders.SMSFailedExpired,
	dlr.Deleted:       orders.SMSFailedDeleted,
	dlr.Undeliverable: orders.SMSFailedUndelivered,
	dlr.Unknown:       orders.SMSFailed,
	dlr.Rejected:      orders.SMSFailedRejected,
	dlr.Skipped:       orders.SMSFailed,
}

// causes maps the causes that say more about a failure than the receipt's state
// does. The others (absent, memory full, …) leave the state's status.
var causes = map[dlr.Cause]orders.Status{
	dlr.CauseBarred:            orders.SMSFailedBarredReceiver,
	dlr.CauseUnknownSubscriber: orders.SMSFailedRecipientNotIdentified,
	dlr.CauseInvalidNumber:     orders.SMSFailedInvalidRecipient,
	dlr.CauseRejected:          orders.SMSFailedRejected,
	dlr.CauseExpired:           orders.SMSFailedExpired,
	dlr.CauseDeleted:           orders.SMSFailedDeleted,
}

// statusOf returns what a receipt says of its part. Where the state is not known,
// a known cause means failure: we ask for receipts of the final outcome only.
func statusOf(r dlr.Receipt, cause dlr.Cause) (orders.Status, bool) {
	status, ok := states[r.State]
	better, has := causes[cause]
	switch {
	case ok && r.Intermediate && !r.Final(): // the network tries again, however this attempt ended
		return orders.SMSAccepted, true
	case has && status.Final() && !status.Delivered():
		return better, true
	case r.State == dlr.None && !r.Intermediate && has:
		return better, true
	case r.State == dlr.None && !r.Intermediate && cause != dlr.CauseNone:
		return orders.SMSFailedUndelivered, true
	}
	return status, ok
}
