package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/codes"
	"straks/internal/audit"
	"straks/orders"
)

// verificationRoutes are the calls about verifications.
func (a *api) verificationRoutes() []route {
	body := min(a.maxBody, a.maxBodySMS)
	return []route{
		{method: "POST", path: "/verifications", scopes: scopesToPlace, serve: a.verified(a.startVerification(body))},
		{method: "POST", path: "/verifications/check", scopes: scopesToPlace, serve: a.verified(a.checkRecipient(body))},
		{method: "GET", path: "/verifications/feed", scopes: scopesToRead, serve: a.verified(a.verificationFeed().serve)},
		{method: "GET", path: "/verifications/{id}", scopes: scopesToLookUp, serve: a.verified(a.verification)},
		{method: "DELETE", path: "/verifications/{id}", scopes: scopesToPlace, serve: a.verified(a.cancelVerification)},
		{method: "POST", path: "/verifications/{id}/check", scopes: scopesToPlace, serve: a.verified(a.checkCode(body))},
		{method: "POST", path: "/verifications/{id}/resend", scopes: scopesToPlace, serve: a.verified(a.resendCode(body))},
	}
}

// verified answers calls only where verifications are set up.
func (a *api) verified(serve endpoint) endpoint {
	return func(x *exchange) error {
		if a.codes == nil {
			return newProblem(http.StatusNotFound, "Verifications are not set up in this service: its operator has to give it a key for them.")
		}
		return serve(x)
	}
}

// verificationAnswer is a verification on the wire.
type verificationAnswer struct {
	ID               uuid.UUID    `json:"verificationId"`
	ShipmentID       *uuid.UUID   `json:"shipmentId,omitempty"` // of the message that the call is about
	SendersReference string       `json:"sendersReference,omitempty"`
	Template         string       `json:"template"`
	Status           codes.Status `json:"status"`
	LastUpdate       timestamp    `json:"lastUpdate"`
	Expires          timestamp    `json:"expires"`
	AttemptsLeft     int          `json:"attemptsLeft"`
	Messages         int          `json:"messages"`
}

// answerVerification answers with a verification.
func (a *api) answerVerification(x *exchange, status int, st *codes.State) error {
	v := verificationAnswer{ID: st.ID, SendersReference: st.SendersReference, Template: st.Template, Status: st.Status,
		LastUpdate: timestamp(st.Updated), Expires: timestamp(st.Expires), AttemptsLeft: st.Left(), Messages: len(st.Channels)}
	if st.Status == codes.Expired && st.Verification.Status == codes.Pending { // nobody has marked it yet
		v.LastUpdate = timestamp(st.Expires)
	}
	if st.Shipment != nil {
		v.ShipmentID = &st.Shipment.ID
		x.Header().Set("Straks-Status", st.Shipment.Status.String())
	}
	x.Header().Set("Location", a.base+"/verifications/"+st.ID.String())
	return x.reply(status, v)
}

// startVerification makes a verification, or goes on with one.
func (a *api) startVerification(octets int64) endpoint {
	return func(x *exchange) error {
		started := time.Now()
		v, st, err := a.start(x, octets)
		if err == nil && x.status != 0 {
			return nil // another node has answered it
		}
		if err == nil {
			status := http.StatusOK
			if st.Created {
				status = http.StatusCreated
			}
			err = a.answerVerification(x, status, &st)
		}
		if !errors.Is(err, orders.ErrBusy) && !errors.Is(err, errFull) { // of those a sample is logged
			a.logVerification(x, v, &st, err, time.Since(started))
		}
		a.recordVerification(x, audit.StartVerification, &st, startOutcome(&st, err))
		return err
	}
}

// start carries a verification from the request to the service.
func (a *api) start(x *exchange, octets int64) (*verifying, codes.State, error) {
	defer a.release(x)
	body, err := a.readBody(x, octets)
	if err != nil {
		return nil, codes.State{}, err
	}
	v := a.decodeVerification(x, body)
	if err := a.allow(x); err != nil {
		a.metrics.limited.WithLabelValues(x.who.Organisation).Inc()
		st, err := a.startedBefore(x, v, err)
		return v, st, err
	}
	if v.faults == nil {
		v.add(a.codes.Check(&v.Request))
	}
	if v.faults != nil {
		reason := invalid(v.faults, "This call sent nothing.")
		st, err := a.startedBefore(x, v, reason)
		if v.refused != "" && errors.Is(err, reason) {
			a.metrics.numbers.WithLabelValues(x.who.Organisation, v.refused).Inc()
		}
		return v, st, err
	}
	first := orders.Order{Organisation: x.who.Organisation, Message: orders.Message{Channel: v.To[0].Channel, To: v.To[0].To, From: v.To[0].From}}
	if done, err := a.forward(x, &first, body); done || err != nil {
		return v, codes.State{}, err
	}
	st, err := a.codes.Start(x.r.Context(), &v.Request)
	return v, st, err
}

// startedBefore returns the verification of an idempotencyId that was taken before, else the reason why this request is
// refused.
func (a *api) startedBefore(x *exchange, v *verifying, reason error) (codes.State, error) {
	if v.Key != "" {
		if st, known, err := a.codes.Repeated(x.r.Context(), x.who.Organisation, v.Key); known || err != nil {
			return st, err
		}
	}
	return codes.State{}, reason
}

func startOutcome(st *codes.State, err error) string {
	switch {
	case err != nil:
		return cmp.Or(problemOf(err).outcome, "error")
	case st.Created:
		return "created"
	}
	return "repeated"
}

// recordVerification adds a call about a verification to the audit.
func (a *api) recordVerification(x *exchange, action string, st *codes.State, outcome string) {
	e := audit.Event{Action: action, Outcome: outcome}
	if st.ID != uuid.Nil {
		e.Object, e.Reason = st.ID.String(), string(st.Status)
	}
	a.record(x, e)
}

// logVerification writes the log line of a request for a code: no code, no text, and the recipient masked.
func (a *api) logVerification(x *exchange, v *verifying, st *codes.State, err error, took time.Duration) {
	level, status := slog.LevelInfo, x.status
	attrs := []slog.Attr{slog.String("organisation", x.who.Organisation), slog.String("token", x.who.Token)}
	if v != nil {
		for _, to := range v.To {
			attrs = append(attrs, slog.Any("to", to.To))
		}
	}
	if err != nil {
		if status = problemOf(err).Status; status >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		if v != nil && v.faults != nil {
			attrs = append(attrs, slog.Any("faults", slices.Sorted(maps.Keys(v.faults))))
		}
		attrs = append(attrs, slog.String("trace", x.traceID()))
	} else {
		attrs = append(attrs, slog.String("verification", st.ID.String()), slog.String("verification_status", string(st.Status)), slog.Int("messages", len(st.Channels)))
		if st.Shipment != nil {
			attrs = append(attrs, slog.String("shipment", st.Shipment.ID.String()), slog.String("state", st.Shipment.Status.String()))
		}
	}
	attrs = append(attrs, slog.String("outcome", startOutcome(st, err)), slog.Int("status", status), slog.Float64("ms", float64(took.Microseconds())/1000))
	a.log.LogAttrs(x.r.Context(), level, "verification", attrs...)
}

// verificationID returns the id in the path.
func verificationID(x *exchange) (uuid.UUID, error) {
	id, ok := parseID(x.r.PathValue("id"))
	if !ok {
		return id, codes.ErrNotFound
	}
	return id, nil
}

// verification answers with one verification.
func (a *api) verification(x *exchange) error {
	id, err := verificationID(x)
	if err != nil {
		return err
	}
	var st codes.State
	err = a.read(x, func() (err error) {
		st, err = a.codes.Get(x.r.Context(), x.who.Organisation, id)
		return err
	})
	if err != nil {
		return err
	}
	a.recordVerification(x, audit.ReadVerification, &st, "ok")
	return a.answerVerification(x, http.StatusOK, &st)
}

// cancelVerification ends a verification.
func (a *api) cancelVerification(x *exchange) error {
	id, err := verificationID(x)
	if err != nil {
		return err
	}
	if err := a.codes.Cancel(x.r.Context(), x.who.Organisation, id); err != nil {
		return err
	}
	st, err := a.codes.Get(x.r.Context(), x.who.Organisation, id)
	if err != nil {
		return err
	}
	a.recordVerification(x, audit.CancelVerification, &st, "ok")
	return a.answerVerification(x, http.StatusOK, &st)
}

// resendCode sends a code again.
func (a *api) resendCode(octets int64) endpoint {
	return func(x *exchange) error {
		id, err := verificationID(x)
		if err != nil {
			return err
		}
		st, err := a.resend(x, id, octets)
		if err == nil && x.status != 0 {
			return nil // another node has answered it
		}
		a.recordVerification(x, audit.ResendVerification, &st, startOutcome(&st, err))
		if err != nil {
			return err
		}
		return a.answerVerification(x, http.StatusOK, &st)
	}
}

func (a *api) resend(x *exchange, id uuid.UUID, octets int64) (st codes.State, err error) {
	defer a.release(x)
	var body []byte
	if x.r.ContentLength != 0 { // a call without a body needs no type for it
		if body, err = a.readBody(x, octets); err != nil {
			return st, err
		}
	}
	channel, f := decodeResend(body)
	if f != nil {
		return st, invalid(f, "This call sent nothing.")
	}
	if err := a.allow(x); err != nil {
		a.metrics.limited.WithLabelValues(x.who.Organisation).Inc()
		return st, err
	}
	if done, err := a.forwardResend(x, id, channel, body); done || err != nil {
		return st, err
	}
	st, err = a.codes.Resend(x.r.Context(), x.who.Organisation, id, channel)
	if errors.Is(err, codes.ErrNoChannel) {
		f.add("channel", "must be one that the verification has a recipient on")
		err = invalid(f, "This call sent nothing.")
	}
	return st, err
}

// verificationFeed is the feed of what became of verifications. Every change is shown unless a request says otherwise.
func (a *api) verificationFeed() *feedCall {
	return &feedCall{a, verificationFeed{a.codes}, "verifications", func(string) bool { return true }}
}

// verificationFeed is the source of what became of verifications.
type verificationFeed struct{ *codes.Service }

func (s verificationFeed) read(ctx context.Context, q orders.FeedQuery) ([]feedEntry, error) {
	page, err := s.Feed(ctx, codes.FeedQuery{Organisation: q.Organisation, Seq: q.Seq, Limit: q.Limit, Descending: q.Descending, FinalOnly: q.FinalOnly})
	entries := make([]feedEntry, len(page))
	for i, e := range page {
		entries[i] = feedEntry{e.Seq, e.Status.Final(), func() []byte { return EncodeVerification(e) }}
	}
	return entries, err
}
