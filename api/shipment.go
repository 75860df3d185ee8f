package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/internal/audit"
	"straks/orders"
)

// orderAnswer is the answer to an order.
type orderAnswer struct {
	OrderID      uuid.UUID          `json:"notificationOrderId"`
	Notification notificationAnswer `json:"notification"`
}

type notificationAnswer struct {
	ShipmentID       uuid.UUID `json:"shipmentId"`
	SendersReference string    `json:"sendersReference,omitempty"`
}

// shipmentAnswer is a shipment on the wire. A pointer of time is never needed:
// every shipment has been updated once.
type shipmentAnswer struct {
	Sequence         uint64             `json:"sequenceNumber,omitempty"` // in the feed only, from 1
	ShipmentID       uuid.UUID          `json:"shipmentId"`
	SendersReference string             `json:"sendersReference,omitempty"`
	Type             string             `json:"type"`
	ShipmentType     string             `json:"shipmentType,omitempty"` // in the feed only: type, as existing clients read it
	Status           string             `json:"status"`
	LastUpdate       timestamp          `json:"lastUpdate"`
	Recipients       [1]recipientAnswer `json:"recipients"`
	Events           []eventAnswer      `json:"events,omitempty"` // of a look-up that asks for them
}

type recipientAnswer struct {
	Type        string    `json:"type"`
	Destination string    `json:"destination"`
	Status      string    `json:"status"`
	LastUpdate  timestamp `json:"lastUpdate"`
}

// timestamp is a time as the contract writes it: UTC, RFC 3339, microseconds.
type timestamp time.Time

// MarshalJSON writes all six digits, so that the texts sort like the times.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(make([]byte, 0, 32), `"2006-01-02T15:04:05.000000Z"`), nil
}

func answerOf(s orders.Shipment) shipmentAnswer {
	updated := timestamp(s.Updated)
	return shipmentAnswer{
		ShipmentID: s.ID, SendersReference: s.SendersReference, Type: "Instant",
		Status: s.Status.Order(), LastUpdate: updated,
		Recipients: [1]recipientAnswer{{
			Type: s.Channel.String(), Destination: string(s.Recipient),
			Status: s.Status.String(), LastUpdate: updated,
		}},
	}
}

// shipment answers with one shipment.
func (a *api) shipment(x *exchange) error {
	id, ok := parseID(x.r.PathValue("id"))
	if !ok {
		return orders.ErrNotFound
	}
	q, f := shipmentQuery(x.r.URL.RawQuery)
	if f != nil {
		return invalid(f, "")
	}
	var s orders.Shipment
	err := a.read(x, func() (err error) {
		s, err = a.service.Shipment(x.r.Context(), x.who.Organisation, id)
		return err
	})
	if err != nil {
		return err
	}
	a.record(x, audit.Event{Action: audit.ReadShipment, Object: s.ID.String()})
	return x.reply(http.StatusOK, q.answer(&s))
}

// parseID reads a shipment's id as .NET's Guid.Parse does: with hyphens or without, in braces or
// parentheses, in capitals or not.
func parseID(s string) (uuid.UUID, bool) {
	if n := len(s); n == 38 && (s[0] == '{' && s[n-1] == '}' || s[0] == '(' && s[n-1] == ')') {
		s = s[1 : n-1]
	}
	if len(s) != 36 && len(s) != 32 { // uuid.Parse takes "urn:uuid:" too
		return uuid.UUID{}, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// shipmentByKey answers with the shipment of an idempotencyId. If its order is in flight, the
// answer waits for the outcome, as for a repeat of the order.
func (a *api) shipmentByKey(x *exchange) error {
	q, f := shipmentQuery(x.r.URL.RawQuery)
	if len(q.keys) != 1 || strings.TrimSpace(q.keys[0]) == "" {
		f.add("idempotencyId", "is required, once: the idempotencyId of the order whose shipment you want")
	}
	if f != nil {
		return invalid(f, "")
	}
	s, known, err := a.service.Repeated(x.r.Context(), orders.Order{Organisation: x.who.Organisation, Key: q.keys[0]})
	if err != nil && !errors.Is(err, orders.ErrNotSent) {
		return err
	}
	if !known { // new, or free to be tried again
		return orders.ErrNotFound
	}
	a.record(x, audit.Event{Action: audit.ReadShipment, Object: s.ID.String()})
	return x.reply(http.StatusOK, q.answer(&s))
}
