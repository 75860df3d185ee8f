package api

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"straks/orders"
)

// place returns the endpoint of the orders whose body has the given form, and at most so many octets.
func (a *api) place(read form, octets int64) endpoint {
	return func(x *exchange) error {
		started := time.Now()
		p, shipment, created, err := a.take(x, read, octets)
		if err == nil {
			err = a.placed(x, shipment, created)
		}
		if !errors.Is(err, orders.ErrBusy) { // the service logs a sample of those
			level, attrs := orderAttrs(x, p, &shipment, created, err, time.Since(started))
			a.log.LogAttrs(x.r.Context(), level, "order", attrs...)
		}
		return err
	}
}

// take carries the order from the request to the service.
func (a *api) take(x *exchange, read form, octets int64) (*placing, orders.Shipment, bool, error) {
	body, err := readBody(x, octets)
	if err != nil {
		return nil, orders.Shipment{}, false, err
	}
	p := decode(body, read, a.numbers)
	p.order.Organisation = x.who.Organisation
	if err := a.rates.allow(x.who.Organisation); err != nil {
		shipment, err := a.repeated(x, p, err)
		return p, shipment, false, err
	}
	if p.order.Message.Channel != 0 { // else the body could not be read at all
		p.add(a.service.Check(p.order))
	}
	if p.faults != nil {
		shipment, err := a.repeated(x, p, invalid(p.faults, "This call sent nothing."))
		return p, shipment, false, err
	}
	shipment, created, err := a.service.Place(x.r.Context(), p.order)
	return p, shipment, created, err
}

// repeated returns the shipment of an order that can't be placed, if its key is known: whatever the
// reason, the caller of a repeat wants to know what became of the first order. Else it returns the reason.
func (a *api) repeated(x *exchange, p *placing, reason error) (orders.Shipment, error) {
	if p.order.Key != "" && p.order.Message.Channel != 0 {
		if shipment, known, err := a.service.Repeated(x.r.Context(), p.order); known || err != nil {
			return shipment, err
		}
	}
	return orders.Shipment{}, reason
}

// placed answers an order that was accepted, now or before.
func (a *api) placed(x *exchange, s orders.Shipment, created bool) error {
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	x.Header().Set("Location", a.base+"/future/shipment/"+s.ID.String())
	x.Header().Set("Straks-Status", s.Status.String())
	return x.reply(status, orderAnswer{
		OrderID:      s.OrderID,
		Notification: notificationAnswer{ShipmentID: s.ID, SendersReference: s.SendersReference},
	})
}

// readBody returns the body of an order, at most so many octets of it.
func readBody(x *exchange, most int64) ([]byte, error) {
	if err := checkContentType(x.r.Header); err != nil {
		return nil, err
	}
	if x.r.ContentLength > most {
		return nil, tooLarge(most)
	}
	// At most 64 KiB are allocated before they arrive, whatever Content-Length says. One more
	// octet lets Read return the end of the body.
	body := make([]byte, 0, min(max(x.r.ContentLength, 512), 64<<10)+1)
	reader := http.MaxBytesReader(x.ResponseWriter, x.r.Body, most)
	for {
		n, err := reader.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, readError(x.r, err)
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

func tooLarge(most int64) error {
	p := newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is larger than %d octets. This call sent nothing: send a smaller one.", most))
	p.outcome = "invalid"
	return p
}

// readError answers a body that could not be read to its end.
func readError(r *http.Request, err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newProblem(http.StatusRequestTimeout, "The body did not arrive in time. This call sent nothing: repeat it with the same idempotencyId.")
	case r.Context().Err() != nil, errors.Is(err, io.ErrUnexpectedEOF):
		return orders.ErrAbandoned
	}
	return newProblem(http.StatusBadRequest, "The body could not be read: its length, or its division into chunks, is wrong. This call sent nothing.")
}

// checkContentType accepts JSON in UTF-8, under the media types that clients of Altinn
// Notifications use, and no compressed body.
func checkContentType(h http.Header) error {
	given := h.Get("Content-Type")
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "Send the body without a Content-Encoding.")
	}
	if given == "application/json" { // nearly always
		return nil
	}
	name, parameters, err := mime.ParseMediaType(given)
	isJSON := name == "application/json" || name == "text/json" ||
		strings.HasPrefix(name, "application/") && strings.HasSuffix(name, "+json")
	charset := parameters["charset"]
	if err != nil || !isJSON || charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return newProblem(http.StatusUnsupportedMediaType, "Send JSON in UTF-8: Content-Type: application/json.")
	}
	return nil
}

// orderAttrs are the attributes of an order's log line: no text, no idempotency key, and
// the recipient masked.
func orderAttrs(x *exchange, p *placing, s *orders.Shipment, created bool, err error, took time.Duration) (level slog.Level, attrs []slog.Attr) {
	level = slog.LevelInfo
	attrs = make([]slog.Attr, 0, 14)
	attrs = append(attrs, slog.String("organisation", x.who.Organisation), slog.String("token", x.who.Token))
	if p != nil && p.order.Message.Channel != 0 {
		attrs = append(attrs, slog.String("channel", p.order.Message.Channel.String()), slog.Any("to", p.order.Message.To))
	}
	status, outcome := x.status, "repeated"
	if err != nil {
		answer := problemOf(err)
		status, outcome = answer.Status, cmp.Or(answer.outcome, "error")
		if status >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		if p != nil && p.faults != nil {
			attrs = append(attrs, slog.Any("faults", slices.Sorted(maps.Keys(p.faults))))
		}
	} else {
		if created {
			outcome = "created"
		}
		attrs = append(attrs, slog.String("shipment", s.ID.String()), slog.String("state", s.Status.String()))
		attrs = append(attrs, carrierAttrs(s)...)
	}
	attrs = append(attrs, slog.String("outcome", outcome), slog.Int("status", status),
		slog.Float64("ms", float64(took.Microseconds())/1000))
	if err != nil {
		attrs = append(attrs, slog.String("trace", x.traceID()))
	} else if trace := traceOf(x.r.Header); trace != "" {
		attrs = append(attrs, slog.String("trace", trace))
	}
	if detail := detailOf(s, err); detail != "" {
		attrs = append(attrs, slog.String("detail", detail))
	}
	return level, attrs
}

// carrierAttrs says which way a shipment went; empty where it went none.
func carrierAttrs(s *orders.Shipment) (attrs []slog.Attr) {
	key := "smsc"
	if s.Channel == orders.Email {
		key = "relay"
	}
	if s.Carrier != "" {
		attrs = append(attrs, slog.String(key, s.Carrier))
	}
	if s.Trace.Bind != "" {
		attrs = append(attrs, slog.String("bind", s.Trace.Bind))
	}
	if s.Channel == orders.SMS && len(s.Parts) > 0 {
		attrs = append(attrs, slog.Int("parts", len(s.Parts)))
	}
	return attrs
}

// detailOf is the reason why an order was not sent, or the carrier's response to it; empty where
// there is neither.
func detailOf(s *orders.Shipment, err error) string {
	switch {
	case err == nil:
		return s.Detail
	case errors.Is(err, orders.ErrNotSent), errors.Is(err, orders.ErrUnavailable):
		return err.Error()
	}
	return ""
}
