package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"straks/console"
	"straks/orders"
)

// maxShownOthers bounds the other messages on a message's page.
const maxShownOthers = 10

// Find implements console.Messages.
func (s *consoleSource) Find(ctx context.Context, text string, since time.Duration) (f console.Found, err error) {
	kind, found, err := s.trace(ctx, text, time.Now().UTC().Add(-since))
	if err != nil {
		return f, err
	}
	f.Kind, f.More = kind, len(found) > maxTraced
	for i := range found[:min(len(found), maxTraced)] {
		f.Messages = append(f.Messages, shown(&found[i]))
	}
	return f, nil
}

// Message implements console.Messages.
func (s *consoleSource) Message(ctx context.Context, id string) (m console.Message, err error) {
	shipment, err := uuid.Parse(id)
	if err != nil {
		return m, console.ErrNone
	}
	found, err := s.service.Find(ctx, orders.FindQuery{Shipment: shipment, Limit: 1})
	if err == nil && len(found) == 0 {
		err = console.ErrNone
	}
	if err != nil {
		return m, err
	}
	m = shown(&found[0])
	others, err := s.service.Find(ctx, orders.FindQuery{Since: m.Accepted.Add(-24 * time.Hour), Recipient: found[0].Recipient, Limit: maxShownOthers + 1})
	for i := range others {
		if o := &others[i]; o.ID != shipment && o.Accepted.Before(m.Accepted.Add(24*time.Hour)) && len(m.Others) < maxShownOthers {
			m.Others = append(m.Others, shown(o))
		}
	}
	return m, err
}

func shown(s *orders.Shipment) console.Message {
	m := console.Message{ID: s.ID.String(), Organisation: s.Organisation, Reference: s.SendersReference, Recipient: string(s.Recipient),
		Channel: s.Channel.String(), Status: s.Status.String(), Delivered: s.Status.Delivered(), Final: s.Status.Final(), Free: s.Status.Free(),
		Answered: s.Trace.Answered > 0, Accepted: s.Accepted, Updated: s.Updated, Deadline: s.Deadline, Carrier: s.Carrier, Detail: s.Detail, MessageIDs: s.MessageIDs()}
	for _, step := range s.Steps() {
		one := console.Step{Kind: string(step.Kind), At: step.At, After: step.After, Carrier: step.Carrier, Bind: step.Bind,
			Encoding: step.Encoding, Parts: step.Parts, MessageIDs: step.MessageIDs, Detail: step.Detail}
		if step.Status.Valid() {
			one.Status = step.Status.String()
		}
		m.Steps = append(m.Steps, one)
	}
	return m
}

// consolePage is how many entries of block lists one page of the console has at the most.
const consolePage = 100

// Blocks implements console.Blocks.
func (s *consoleSource) Blocks(ctx context.Context, q console.BlockQuery) (p console.BlockPage, err error) {
	if q.Organisation != "" && !s.config().Has(q.Organisation) {
		return p, fmt.Errorf("%w: no organisation has that name", console.ErrRequest)
	}
	page, err := s.blocksOf(ctx, blockQuery{q.Organisation, q.Recipient, q.After, consolePage})
	for _, b := range page.Blocks {
		p.Blocks = append(p.Blocks, console.Block{Organisation: b.Organisation, Channel: b.Channel, Recipient: b.Recipient,
			Blocked: b.Blocked, At: b.At, Source: b.Source, Word: b.Word, Reason: b.Reason, By: b.By, Until: b.Until})
	}
	p.Next = page.Next
	return p, consoleError(err)
}

// Lift implements console.Blocks.
func (s *consoleSource) Lift(ctx context.Context, organisation, recipient, reason, by string) (masked string, err error) {
	b, err := s.block(&BlockChange{Organisation: organisation, Recipient: recipient, Lift: true, Reason: reason, By: by})
	if err == nil {
		masked, err = b.Recipient.Masked(), s.storeBlock(ctx, b)
	}
	return masked, consoleError(err)
}

// consoleError marks errors that are about the request.
func consoleError(err error) error {
	if wrong := errRequest(""); errors.As(err, &wrong) {
		return fmt.Errorf("%w: %w", console.ErrRequest, wrong)
	}
	return err
}
