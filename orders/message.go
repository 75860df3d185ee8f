package orders

import (
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Order is what a caller asks for: one message to one recipient, now.
type Order struct {
	Organisation     string        // the caller's
	Key              string        // idempotencyId, unique within the organisation
	SendersReference string        // echoed; empty means none
	TTL              time.Duration // how long the message is worth delivering, from acceptance
	Message          Message
}

// octets is what the order holds in memory while it waits.
func (o *Order) octets() int {
	m := &o.Message
	return len(o.Key) + len(o.SendersReference) + len(m.To) + len(m.From) + len(m.Subject) + len(m.Body)
}

// Message is what leaves for the carrier. It lives in memory for the length of
// one request: neither its text nor its subject is ever stored or logged.
type Message struct {
	Shipment     uuid.UUID // set by Service.Place
	Organisation string    // set by Service.Place
	Channel      Channel
	To           Recipient // E.164 with '+' for SMS, an address for e-mail
	From         string    // sender as the caller gave it; empty means the default
	Subject      string    // e-mail only
	Body         string
	HTML         bool      // e-mail only: Body is HTML
	Expires      time.Time // set by Service.Place: acceptance plus TTL, by the monotonic clock too
	Reference    uint16    // set by Service.Place: the user_message_reference of the first part of an SMS
}

// LogValue keeps the text out of logs.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("shipment", m.Shipment.String()),
		slog.String("channel", m.Channel.String()),
		slog.String("to", m.To.Masked()))
}

// Recipient is a phone number or an e-mail address. It masks itself in logs
// and in whatever fmt prints; convert it to string where the real value is meant.
type Recipient string

// Forgotten stands for a recipient that was erased (Journal.Forget). No order can have it.
const Forgotten Recipient = "forgotten"

// String returns the masked form, so that a careless %v leaks nothing.
func (r Recipient) String() string { return r.Masked() }

// LogValue keeps enough to show an operator the country or the domain.
func (r Recipient) LogValue() slog.Value { return slog.StringValue(r.Masked()) }

// Masked returns "+4799***" for a number and "***@example.org" for an address.
func (r Recipient) Masked() string {
	if r == Forgotten {
		return string(r)
	}
	for i := len(r) - 1; i >= 0; i-- {
		if r[i] == '@' {
			return "***" + string(r[i:])
		}
	}
	return string(r[:min(len(r)/2, 5)]) + "***"
}
