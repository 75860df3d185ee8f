package api

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"straks/orders"
)

// place returns the endpoint of the orders whose body has the given form, and at most so many octets.
func (a *api) place(read form, octets int64) endpoint {
	return func(x *exchange) error {
		x.logged = true
		started := time.Now()
		p, shipment, created, err := a.take(x, read, octets)
		if err == nil && x.status != 0 {
			return nil // another node has answered it
		}
		if err == nil {
			err = a.placed(x, shipment, created)
		}
		if !errors.Is(err, orders.ErrBusy) && !errors.Is(err, errFull) { // of those a sample is logged
			level, attrs := orderAttrs(x, p, &shipment, created, err, time.Since(started))
			a.log.LogAttrs(x.r.Context(), level, "order", attrs...)
			a.recordOrder(x, &shipment, created, err)
		}
		return err
	}
}

// take carries the order from the request to the service.
func (a *api) take(x *exchange, read form, octets int64) (*placing, orders.Shipment, bool, error) {
	defer a.release(x)
	body, err := a.readBody(x, octets)
	if err != nil {
		return nil, orders.Shipment{}, false, err
	}
	p := decode(body, read, a.settings.Load().numbers[x.who.Organisation])
	p.order.Organisation = x.who.Organisation
	if err := a.allow(x); err != nil {
		a.keepOnly(x, p)
		a.metrics.limited.WithLabelValues(x.who.Organisation).Inc()
		shipment, err := a.repeated(x, p, err)
		return p, shipment, false, err
	}
	if p.order.Message.Channel != 0 { // else the body could not be read at all
		p.add(a.service.Check(p.order))
	}
	if p.faults != nil {
		a.keepOnly(x, p)
		reason := invalid(p.faults, "This call sent nothing.")
		shipment, err := a.repeated(x, p, reason)
		if p.refused != "" && errors.Is(err, reason) {
			a.metrics.numbers.WithLabelValues(x.who.Organisation, p.refused).Inc()
		}
		return p, shipment, false, err
	}
	if done, err := a.forward(x, &p.order, body); done || err != nil {
		return p, orders.Shipment{}, false, err
	}
	a.keepOnly(x, p)
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
	if s.Channel == orders.SMS {
		x.Header().Set("Straks-Parts", strconv.Itoa(max(s.Cost.Parts, len(s.Parts), 1)))
		if s.Cost.Class != "" {
			x.Header().Set("Straks-Price-Class", s.Cost.Class)
		}
	}
	return x.reply(status, orderAnswer{
		OrderID:      s.OrderID,
		Notification: notificationAnswer{ShipmentID: s.ID, SendersReference: s.SendersReference},
	})
}

// orderAttrs are the attributes of an order's log line: no text, no idempotency key, and
// the recipient masked.
func orderAttrs(x *exchange, p *placing, s *orders.Shipment, created bool, err error, took time.Duration) (level slog.Level, attrs []slog.Attr) {
	level = slog.LevelInfo
	attrs = make([]slog.Attr, 0, 14)
	attrs = append(attrs, x.who.credentialAttrs()...)
	if x.from != 0 {
		attrs = append(attrs, slog.Int("from_node", x.from))
	}
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
			if p.refused != "" {
				attrs = append(attrs, slog.String("number_refused", p.refused))
			}
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
		attrs = append(attrs, slog.Int("parts", max(s.Cost.Parts, len(s.Parts))))
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
