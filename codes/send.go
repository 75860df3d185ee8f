package codes

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"straks/orders"
)

// Resend sends the code again, on a channel or, with 0, on that of the first message. If the last message is not yet
// ResendAfter old, nothing is sent, and the state is that of the last message.
func (s *Service) Resend(ctx context.Context, organisation string, id uuid.UUID, c orders.Channel) (State, error) {
	var v Verification
	var message int
	var err error
	failed := s.cfg.Store.UpdateCodes(ctx, func(tx Tx) (failed error) {
		message, err = 0, nil
		var ok bool
		if v, ok, failed = verification(tx, id); failed != nil {
			return failed
		}
		if !ok || v.Organisation != organisation {
			err = ErrNotFound
			return nil
		}
		message, err = s.again(tx, &v, c)
		var ended *EndedError
		var limit *LimitError
		if errors.As(err, &ended) || errors.As(err, &limit) || errors.Is(err, ErrNoChannel) {
			return nil
		}
		return err
	})
	if failed != nil {
		return State{}, failed
	}
	if err != nil {
		return State{}, err
	}
	return s.send(ctx, &v, message)
}

// Next returns where Resend would send the code now; the zero Address where it would send nothing, or where that is for
// Resend to say. It changes nothing.
func (s *Service) Next(ctx context.Context, organisation string, id uuid.UUID, c orders.Channel) (Address, error) {
	v, err := s.view(ctx, organisation, id)
	if errors.Is(err, ErrNotFound) || err == nil && v.StatusAt(s.now()) != Pending {
		return Address{}, nil
	}
	if err != nil {
		return Address{}, err
	}
	to, err := s.addresses(&v)
	if err != nil {
		return Address{}, nil
	}
	a, _ := on(to, c)
	return a, nil
}

// again makes another message of a verification, if it is time, and returns the number of the last one.
func (s *Service) again(tx Tx, v *Verification, c orders.Channel) (message int, err error) {
	now := s.now()
	if status := v.StatusAt(now); status != Pending {
		return 0, &EndedError{v.ID, status}
	}
	all, err := places(tx, v.Addresses)
	if err != nil {
		return 0, err
	}
	if err := refusal(all, now); err != nil {
		return 0, err
	}
	to, err := s.addresses(v)
	if err != nil {
		s.fault("code not sent again", v, err)
		return 0, &EndedError{v.ID, Expired}
	}
	a, ok := on(to, c)
	switch {
	case !ok:
		return 0, ErrNoChannel
	case v.mayResend(now):
		return v.message(a.Channel, now), s.store(tx, v, false, now)
	case len(v.Channels) >= MaxMessages && now.Sub(v.Sent).Abs() >= v.ResendAfter:
		return 0, &LimitError{fmt.Sprintf("This verification has had %d messages.", MaxMessages), v.Expires.Sub(now)}
	}
	return len(v.Channels), nil
}

// send sends a message of a verification, unless it was sent before: orders know each message by a key of its own, so
// that it may be called again after a crash, and after any error. The code of a verification that has ended is not sent
// any more.
func (s *Service) send(ctx context.Context, v *Verification, message int) (State, error) {
	now := s.now()
	st := State{Verification: *v, Status: v.StatusAt(now)}
	if st.Status != Pending {
		return s.state(ctx, v, message)
	}
	o, err := s.order(v, message)
	if err != nil {
		s.fault("code not sent", v, err)
		return s.state(ctx, v, message)
	}
	shipment, _, err := s.cfg.Orders.Place(ctx, o)
	if err == nil {
		st.Shipment = &shipment
	}
	return st, err
}

var errNoText = errors.New("its template has no such text any more")

// order returns the order of a message.
func (s *Service) order(v *Verification, message int) (o orders.Order, err error) {
	to, err := s.addresses(v)
	if err != nil {
		return o, err
	}
	a, ok := on(to, v.Channels[message-1])
	code, known := s.codeOf(v)
	if !ok || !known {
		return o, errKeyGone
	}
	now := s.now()
	subject, body := s.text(v.Organisation, v.Template, v.Language, a.Channel, Values{Code: code, Minutes: v.minutes(now), Origin: v.Origin})
	if body == "" {
		return o, errNoText
	}
	o = orders.Order{Organisation: v.Organisation, Key: s.cfg.Keys.find(v.KeyID).orderKey(v.ID, message), SendersReference: v.SendersReference,
		TTL:     v.Expires.Sub(now),
		Message: orders.Message{Channel: a.Channel, To: a.To, From: a.From, Subject: subject, Body: body}}
	if a.Channel == orders.Email {
		o.TTL = mailTTL
	}
	return o, nil
}
