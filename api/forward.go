package api

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/google/uuid"

	"straks/internal/forward"
	"straks/orders"
)

// An order goes to another node where no SMSC or relay of its route can take it here, and one there can. That is decided
// before anything of it is stored: later there would be two nodes that know of one outcome. A node passes an order on
// once; one that was passed on is placed. A verification that begins is passed on likewise, by the order of its first
// message, and one whose code must be sent again by that of the next.

// allow takes one order from the rate of the organisation, where the client is.
func (a *api) allow(x *exchange) error {
	if x.from != 0 {
		return nil
	}
	return a.settings.Load().rates.allow(x.who.Organisation)
}

// forward has another node answer a request for an order that can't be sent here, and reports whether one did. If it reports false
// without an error, nothing has happened.
func (a *api) forward(x *exchange, o *orders.Order, body []byte) (done bool, err error) {
	if a.peers == nil || x.from != 0 {
		return false, nil
	}
	carriers, now := a.service.Reach(*o)
	if now {
		return false, nil
	}
	began := time.Now()
	answer, err := a.peers.Forward(x.r.Context(), carriers, forward.Request{
		Path: x.r.URL.Path, Header: x.r.Header, Body: body,
		Caller: x.caller(),
	})
	switch {
	case errors.Is(err, forward.ErrNone):
		return false, nil
	case errors.Is(err, context.Canceled):
		return false, orders.ErrAbandoned
	case err != nil:
		return false, errForward
	}
	a.log.LogAttrs(x.r.Context(), slog.LevelInfo, "order forwarded", append(x.who.credentialAttrs(),
		slog.String("channel", o.Message.Channel.String()), slog.Any("to", o.Message.To), slog.Int("node", answer.Node),
		slog.Int("status", answer.Status), slog.Float64("ms", float64(time.Since(began).Microseconds())/1000))...)
	maps.Copy(x.Header(), answer.Header)
	x.Header().Set("Content-Length", strconv.Itoa(len(answer.Body)))
	x.WriteHeader(answer.Status)
	x.Write(answer.Body) // an error means that the client has gone
	return true, nil
}

// forwardResend is forward for a request to send a verification's code again. To repeat one is safe without a key: there
// is a next message only when it is time for it.
func (a *api) forwardResend(x *exchange, id uuid.UUID, c orders.Channel, body []byte) (done bool, err error) {
	if a.peers == nil || x.from != 0 {
		return false, nil
	}
	to, err := a.codes.Next(x.r.Context(), x.who.Organisation, id, c)
	if err != nil || to.To == "" {
		return false, err
	}
	next := orders.Order{Organisation: x.who.Organisation, Message: orders.Message{Channel: to.Channel, To: to.To, From: to.From}}
	if done, err = a.forward(x, &next, body); errors.Is(err, errForward) {
		err = errForwardResend
	}
	return done, err
}

// caller is the exchange's client, as another node gets to know it.
func (x *exchange) caller() forward.Caller {
	return forward.Caller{Organisation: x.who.Organisation, Token: x.who.Token, Certificate: x.who.Certificate,
		Fingerprint: x.who.Fingerprint, Scopes: x.who.Scopes, Address: x.r.RemoteAddr}
}

// forwarded is the client of another node.
func forwarded(c *forward.Caller) Principal {
	return Principal{Organisation: c.Organisation, Token: c.Token, Certificate: c.Certificate, Fingerprint: c.Fingerprint, Scopes: c.Scopes}
}

// errForward answers an order that another node may have. It makes no statement about what was sent.
var errForward = unavailable("forward_broken", "No answer came from the part of the service that the order was passed to, so nothing is known of it. "+
	"Repeat it with the same idempotencyId: it is sent once at the most.", retryStore)

// errForwardResend is errForward for a code that must be sent again.
var errForwardResend = unavailable("forward_broken", "No answer came from the part of the service that the request was passed to, so it may have sent the code again. "+
	"Repeat it: a message that was made is not made again.", retryStore)
