package client

import (
	"slices"
	"strings"
	"time"
)

// SMS is one order of an SMS.
type SMS struct {
	IdempotencyID    string       `json:"idempotencyId"`
	SendersReference string       `json:"sendersReference,omitempty"`
	Recipient        SMSRecipient `json:"recipientSms"`
}

// SMSRecipient says to whom an SMS goes, and for how long it is worth delivering.
type SMSRecipient struct {
	PhoneNumber string      `json:"phoneNumber"`         // international: + or 00 and the country code
	TTLSeconds  int         `json:"timeToLiveInSeconds"` // 60–172800
	Settings    SMSSettings `json:"smsSettings"`
}

// SMSSettings is what the recipient sees.
type SMSSettings struct {
	Sender string `json:"sender,omitempty"` // empty: the server's default
	Body   string `json:"body"`
}

// Email is one order of an e-mail.
type Email struct {
	IdempotencyID    string         `json:"idempotencyId"`
	SendersReference string         `json:"sendersReference,omitempty"`
	Recipient        EmailRecipient `json:"recipientEmail"`
}

// EmailRecipient says to whom an e-mail goes.
type EmailRecipient struct {
	EmailAddress string        `json:"emailAddress"`
	Settings     EmailSettings `json:"emailSettings"`
}

// EmailSettings is what the recipient sees.
type EmailSettings struct {
	Subject     string `json:"subject"`
	Body        string `json:"body"`
	Sender      string `json:"senderEmailAddress,omitempty"` // empty: the server's default
	ContentType string `json:"contentType,omitempty"`        // "Plain" (default) or "Html"
}

// Placed is the answer to an order.
type Placed struct {
	OrderID          string
	ShipmentID       string
	SendersReference string
	Created          bool   // false: this IdempotencyID was taken before, nothing was sent now
	Location         string // absolute path of the shipment; only where Created
}

// Shipment is the state of one shipment.
type Shipment struct {
	ShipmentID       string      `json:"shipmentId"`
	SendersReference string      `json:"sendersReference,omitempty"`
	Type             string      `json:"type"`   // "Instant"
	Status           string      `json:"status"` // "Order_Completed", …
	LastUpdate       time.Time   `json:"lastUpdate"`
	Recipients       []Recipient `json:"recipients"`
	Events           []Event     `json:"events,omitempty"` // of ShipmentWithEvents
}

// Event is one step of a shipment's way. The contract says which of the texts each type has.
type Event struct {
	Type         string    `json:"type"` // "accepted", "submitted", …
	Time         time.Time `json:"time"`
	Milliseconds float64   `json:"milliseconds"` // since the order was accepted
	Carrier      string    `json:"carrier,omitempty"`
	Bind         string    `json:"bind,omitempty"`
	Encoding     string    `json:"encoding,omitempty"`
	Parts        int       `json:"parts,omitempty"`
	MessageIDs   []string  `json:"messageIds,omitempty"`
	Status       string    `json:"status,omitempty"`
	Detail       string    `json:"detail,omitempty"`
}

// Recipient is the state of a shipment's one recipient.
type Recipient struct {
	Type        string    `json:"type"` // "SMS" or "Email"
	Destination string    `json:"destination"`
	Status      string    `json:"status"` // "SMS_Delivered", …
	LastUpdate  time.Time `json:"lastUpdate"`
}

// Final reports whether the shipment has a final status.
func (s Shipment) Final() bool { return s.Status == "Order_Completed" }

// Failed reports whether the message was refused, or is not known to have arrived, for
// good: any of the contract's SMS_Failed… and Email_Failed….
func (s Shipment) Failed() bool {
	return slices.ContainsFunc(s.Recipients, func(r Recipient) bool { return strings.Contains(r.Status, "_Failed") })
}

// FeedEntry is one change of status.
type FeedEntry struct {
	SequenceNumber uint64 `json:"sequenceNumber"`
	Shipment
}

// FeedQuery asks for one page of the feed.
type FeedQuery struct {
	Seq        uint64 // exclusive cursor; Descending from 0 starts at the newest
	PageSize   int    // 1–500; 0 means 500
	Descending bool
	All        bool          // every change, not only final statuses
	Wait       time.Duration // how long the answer is held back until there is an entry: whole seconds, 1m at most
}
