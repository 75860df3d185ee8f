package codes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// Request asks for a verification.
type Request struct {
	Organisation     string
	Key              string // idempotencyId
	SendersReference string
	To               []Address     // one, or one of each channel: the first one gets the first message
	FallbackAfter    time.Duration // until a message goes to the second one; 0 where there is none
	Template         string        // one that there is, with a text for each channel in Language
	Language         string
	Alphabet         Alphabet
	Length           int
	TTL              time.Duration
	Attempts         int
	ResendAfter      time.Duration
	Origin           string // empty: none
}

// Check returns every fault that keeps a message of the request from ever being sent, by its channel.
func (s *Service) Check(r *Request) map[orders.Channel][]orders.Fault {
	all := make(map[orders.Channel][]orders.Fault)
	code := strings.Repeat(r.Alphabet.characters()[:1], r.Length)
	for _, a := range r.To {
		o := orders.Order{Organisation: r.Organisation, TTL: r.TTL, Message: orders.Message{Channel: a.Channel, To: a.To, From: a.From}}
		o.Message.Subject, o.Message.Body = s.text(r.Organisation, r.Template, r.Language, a.Channel,
			Values{Code: code, Minutes: int(r.TTL / time.Minute), Origin: r.Origin})
		if found := s.cfg.Orders.Check(o); len(found) > 0 {
			all[a.Channel] = found
		}
	}
	return all
}

// text returns the text of a message; empty where the configuration has none any more.
func (s *Service) text(organisation, template, language string, c orders.Channel, v Values) (subject, body string) {
	t := s.templates[template]
	if t == nil {
		return "", ""
	}
	v.App = organisation
	if app := s.cfg.Apps[organisation]; app != "" {
		v.App = app
	}
	subject, body, ok := t.Text(c, language, v)
	if !ok {
		return "", ""
	}
	return subject, body
}

// Start makes a verification and sends its code. Where one is pending for the same recipient and template, it continues
// that one: with the same code, and with another message if the last one is ResendAfter old. A repeat of an idempotencyId
// changes nothing, and sends its message only if that has not left yet.
//
// Errors are those of orders.Service.Place, and LimitError. After them a repeat with the same idempotencyId sends no
// second message.
func (s *Service) Start(ctx context.Context, r *Request) (State, error) {
	var v Verification
	var message int
	var made bool
	var limit error
	err := s.cfg.Store.UpdateCodes(ctx, func(tx Tx) (err error) {
		v, message, made, limit = Verification{}, 0, false, nil
		known, err := repeat(tx, r.Organisation, r.Key, &v, &message)
		if known || err != nil {
			return err
		}
		now := s.now()
		all, err := s.places(tx, r)
		if err != nil {
			return err
		}
		if limit = refusal(all, now); limit != nil {
			return nil
		}
		open, err := s.pending(tx, r, all, now)
		if err != nil {
			return err
		}
		if open.same != nil {
			v = *open.same
			message = len(v.Channels)
			if v.mayResend(now) {
				message = v.message(r.To[0].Channel, now)
				err = s.store(tx, &v, false, now)
			}
		} else if limit = open.refusal(now); limit == nil {
			v, made = s.open(r, now), true
			message = 1
			err = s.begin(tx, &v, now)
		}
		if err != nil || limit != nil {
			return err
		}
		return put(tx, Requests, requestHash(r.Organisation, r.Key), request{v.ID, message, now}, now.Add(s.cfg.Retention))
	})
	if err == nil {
		err = limit
	}
	if err != nil {
		return State{}, err
	}
	if made {
		s.changes.Happened(v.Organisation)
		s.metrics.status(v.Organisation, Pending)
		if r.FallbackAfter > 0 {
			s.hurry()
		}
	}
	st, err := s.send(ctx, &v, message)
	st.Created = made && err == nil
	return st, err
}

// Repeated returns the verification of an idempotencyId that was taken before, as Start would, and false where it is
// new. It is for requests that are not fit to be started; nothing is sent.
func (s *Service) Repeated(ctx context.Context, organisation, key string) (st State, known bool, err error) {
	var v Verification
	var message int
	err = s.cfg.Store.ViewCodes(ctx, func(r Reader) (err error) {
		known, err = repeat(r, organisation, key, &v, &message)
		return err
	})
	if !known || err != nil {
		return State{}, false, err
	}
	st, err = s.state(ctx, &v, message)
	return st, err == nil, err
}

// repeat finds the verification of a known idempotencyId.
func repeat(r Reader, organisation, key string, v *Verification, message *int) (known bool, err error) {
	var kept request
	known, err = read(r, Requests, requestHash(organisation, key), &kept)
	if !known || err != nil {
		return false, err
	}
	found, ok, err := verification(r, kept.Verification)
	if !ok || err != nil {
		return false, err
	}
	*v, *message = found, kept.Message
	return true, nil
}

// places reads what is kept of the recipient's addresses: those of the active key first, in the order of r.To.
func (s *Service) places(tx Tx, r *Request) ([]*place, error) {
	var hashes [][]byte
	for _, k := range s.cfg.Keys.all() {
		for _, a := range r.To {
			hashes = append(hashes, k.addressHash(r.Organisation, a))
		}
	}
	return places(tx, hashes)
}

// refusal returns the error of a recipient that is stopped.
func refusal(all []*place, now time.Time) error {
	for _, p := range all {
		if after := p.stopped(now); after > 0 {
			return stoppedError(after)
		}
	}
	return nil
}

// open is what is pending for a recipient.
type open struct {
	same *Verification // the newest one that the request continues; nil: none
	most int           // that are pending of one address
	next time.Time     // when one of them expires
}

func (s *Service) pending(tx Tx, r *Request, all []*place, now time.Time) (o open, err error) {
	subjects := make(map[string][]byte)
	for _, k := range s.cfg.Keys.all() {
		subjects[k.id] = k.subjectHash(r.Organisation, r.To)
	}
	for _, p := range all {
		n := 0
		for _, id := range p.Open {
			v, ok, err := verification(tx, id)
			if err != nil {
				return o, err
			}
			if !ok || v.StatusAt(now) != Pending {
				continue
			}
			n++
			if o.next.IsZero() || v.Expires.Before(o.next) {
				o.next = v.Expires
			}
			if v.Template == r.Template && bytes.Equal(v.Subject, subjects[v.KeyID]) && (o.same == nil || o.same.Created.Before(v.Created)) {
				o.same = &v
			}
		}
		o.most = max(o.most, n)
	}
	return o, nil
}

func (o *open) refusal(now time.Time) error {
	if o.most < MaxPending {
		return nil
	}
	return &LimitError{fmt.Sprintf("%d verifications of this recipient are pending.", MaxPending), o.next.Sub(now)}
}

// open returns a new verification, with its first message.
func (s *Service) open(r *Request, now time.Time) Verification {
	k := s.cfg.Keys.Active
	v := Verification{
		ID: uuid.Must(uuid.NewV7()), Organisation: r.Organisation, SendersReference: r.SendersReference, Template: r.Template, Language: r.Language,
		Origin: r.Origin, Alphabet: r.Alphabet, Length: r.Length, KeyID: k.id, Subject: k.subjectHash(r.Organisation, r.To),
		Status: Pending, Created: now, Updated: now, Expires: now.Add(r.TTL), Attempts: r.Attempts, ResendAfter: r.ResendAfter,
	}
	for _, a := range r.To {
		v.Addresses = append(v.Addresses, k.addressHash(r.Organisation, a))
	}
	if r.FallbackAfter > 0 {
		v.FallbackAt = now.Add(r.FallbackAfter)
	}
	text, err := json.Marshal(r.To)
	if err != nil {
		panic(err) // strings can't fail
	}
	v.Sealed = k.sealed(v.ID, text)
	v.message(r.To[0].Channel, now)
	return v
}

// begin stores a new verification.
func (s *Service) begin(tx Tx, v *Verification, now time.Time) error {
	all, err := places(tx, v.Addresses)
	if err != nil {
		return err
	}
	for _, p := range all {
		p.opened(v.ID)
		if err := p.put(tx, now); err != nil {
			return err
		}
	}
	return s.store(tx, v, true, now)
}

// addresses decrypts those of a pending verification.
func (s *Service) addresses(v *Verification) (to []Address, err error) {
	key := s.cfg.Keys.find(v.KeyID)
	if key == nil {
		return nil, errKeyGone
	}
	text, err := key.opened(v.ID, v.Sealed)
	if err == nil {
		err = json.Unmarshal(text, &to)
	}
	return to, err
}
