package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// maxPage is the most entries of the feed in one answer, and the default.
const maxPage = 500

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
	Status           string             `json:"status"`
	LastUpdate       timestamp          `json:"lastUpdate"`
	Recipients       [1]recipientAnswer `json:"recipients"`
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

// shipment answers what is known of one shipment.
func (a *api) shipment(x *exchange) error {
	text := x.r.PathValue("id")
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 { // uuid.Parse takes other forms too
		return orders.ErrNotFound
	}
	s, err := a.service.Shipment(x.r.Context(), x.who.Organisation, id)
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, answerOf(s))
}

// feed answers one page of the organisation's changes of status.
func (a *api) feed(x *exchange) error {
	q, faults := feedQuery(x.r.URL.RawQuery)
	if faults != nil {
		return invalid(faults, "")
	}
	q.Organisation = x.who.Organisation
	entries, err := a.service.Feed(x.r.Context(), q)
	if err != nil {
		return err
	}
	page := make([]shipmentAnswer, len(entries)) // never nil: an empty page is []
	for i, e := range entries {
		page[i] = answerOf(e.Shipment)
		page[i].Sequence = e.Seq
	}
	return x.reply(http.StatusOK, page)
}

// feedQuery reads the parameters of the feed. Their names ignore case, as
// clients are used to; unknown ones are ignored.
func feedQuery(raw string) (q orders.FeedQuery, f faults) {
	q.Limit = maxPage
	values, err := url.ParseQuery(raw)
	if err != nil {
		f.add("$", "the query is malformed: "+err.Error())
		return q, f
	}
	given := make(map[string]bool, 3)
	for name, all := range values {
		known := knownParameter(name)
		if known == "" {
			continue
		}
		if given[known] || len(all) > 1 {
			f.add(name, "must be given once only")
			continue
		}
		given[known] = true
		if message := readParameter(&q, known, all[0]); message != "" {
			f.add(name, message)
		}
	}
	return q, f
}

func knownParameter(name string) string {
	for _, known := range [...]string{"seq", "pageSize", "orderBy"} {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return ""
}

// readParameter puts one parameter into q, or returns what is wrong with it.
func readParameter(q *orders.FeedQuery, name, value string) (wrong string) {
	switch name {
	case "seq":
		n, err := strconv.ParseUint(value, 10, 63) // 63: many a client has signed numbers only
		if err != nil {
			return "must be a whole number, 0 or more: the last sequenceNumber that you have"
		}
		q.Seq = n
	case "pageSize":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is clamped like the rest
			return fmt.Sprintf("must be a whole number from 1 to %d", maxPage)
		}
		q.Limit = int(min(max(n, 1), maxPage))
	case "orderBy":
		q.Descending = strings.EqualFold(value, "desc")
		if !q.Descending && !strings.EqualFold(value, "asc") {
			return `must be "asc" or "desc"`
		}
	}
	return ""
}
