// Package simulated keeps the messages of an organisation that only tests from real people. Its Carrier stands before
// a real one, and lets through what the organisation's mode lets out. Any other message looks to the client as if it was
// taken and, a second later, delivered; it never leaves this process.
//
//	order --Check--> real carrier: senders, lengths and characters count as for a real message
//	      --Send---> real carrier, or taken here --a second later--> report "delivered"
//
// An operator sees the difference: the carrier of such a shipment is "simulated". A message that was taken within the
// last second before a kill is reported by nobody; its deadline ends it.
package simulated

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// Name is the carrier of messages that did not leave. No real one may have it.
const Name = "simulated"

// lane is that of messages that do not leave. They wait for no carrier.
var lane = orders.Lane{Name: Name, Window: 1024}

const (
	// after is how long after it was taken a message is delivered.
	after = time.Second
	// maxPending bounds the messages that wait to be delivered. When there are more, the oldest are delivered sooner.
	maxPending = 4096
)

// Rule is what an organisation may send to real people.
type Rule struct {
	Allowed []string // numbers in E.164, addresses, and domains as "@example.org"; none: nobody
}

// allows reports whether a message to the recipient leaves.
func (r *Rule) allows(to orders.Recipient) bool {
	_, domain, _ := strings.Cut(string(to), "@")
	for _, a := range r.Allowed {
		if strings.EqualFold(a, string(to)) || domain != "" && strings.EqualFold(a, "@"+domain) {
			return true
		}
	}
	return false
}

// Carrier lets messages through to a real carrier, or keeps them.
type Carrier struct {
	orders.Carrier
	delivered orders.Status
	rules     atomic.Pointer[map[string]*Rule] // by organisation; an absent one sends to everybody
	pending   chan taken
	log       *slog.Logger
}

// taken is a message that waits to be delivered.
type taken struct {
	shipment uuid.UUID
	due      time.Time
}

// New returns a carrier of the channel before a real one. Organisations without a rule send to everybody.
func New(channel orders.Channel, real orders.Carrier, rules map[string]*Rule, log *slog.Logger) *Carrier {
	delivered := orders.SMSDelivered
	if channel == orders.Email {
		delivered = orders.EmailDelivered
	}
	c := &Carrier{Carrier: real, delivered: delivered, pending: make(chan taken, maxPending), log: log}
	c.SetRules(rules)
	return c
}

// SetRules puts other rules in the place of those in use.
func (c *Carrier) SetRules(rules map[string]*Rule) { c.rules.Store(&rules) }

// keeps reports whether a message does not leave.
func (c *Carrier) keeps(m *orders.Message) bool {
	rule := (*c.rules.Load())[m.Organisation]
	return rule != nil && !rule.allows(m.To)
}

// Lane implements orders.Carrier.
func (c *Carrier) Lane(m orders.Message) orders.Lane {
	if c.keeps(&m) {
		return lane
	}
	return c.Carrier.Lane(m)
}

// Reach implements orders.Carrier. What does not leave needs no SMSC and no relay.
func (c *Carrier) Reach(m orders.Message) (carriers []string, now bool) {
	if c.keeps(&m) {
		return nil, true
	}
	return c.Carrier.Reach(m)
}

// Estimate implements orders.Carrier. What does not leave costs nothing, but its parts and price class are shown.
func (c *Carrier) Estimate(m orders.Message) (parts int, most orders.Cost) {
	parts, most = c.Carrier.Estimate(m)
	if c.keeps(&m) {
		most.Amount = 0
	}
	return parts, most
}

// Send implements orders.Carrier.
func (c *Carrier) Send(ctx context.Context, m orders.Message) orders.Handover {
	if !c.keeps(&m) {
		return c.Carrier.Send(ctx, m)
	}
	now := time.Now()
	select {
	case c.pending <- taken{m.Shipment, now.Add(after)}:
	case <-ctx.Done():
		return orders.Handover{Outcome: handover.NotSent, Detail: "too many simulated messages at once"}
	}
	return orders.Handover{Outcome: handover.Accepted, Carrier: Name, Total: 1, Detail: "kept: the organisation's mode",
		Parts: []orders.PartAnswer{{Refs: []string{m.Shipment.String()}, Taken: true}}, Slot: now, Written: now, Answered: now}
}

// Run reports messages that were kept as delivered, until ctx ends. Then those that wait are reported at once.
func (c *Carrier) Run(ctx context.Context, service *orders.Service) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			c.rest(service)
			return ctx.Err()
		case t := <-c.pending:
			if wait := time.Until(t.due); wait > 0 && len(c.pending) < maxPending/2 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
			}
			c.deliver(service, t)
		}
	}
}

// rest reports all that wait.
func (c *Carrier) rest(service *orders.Service) {
	for {
		select {
		case t := <-c.pending:
			c.deliver(service, t)
		default:
			return
		}
	}
}

func (c *Carrier) deliver(service *orders.Service, t taken) {
	id := t.shipment.String()
	report := orders.Report{Carrier: Name, Refs: []string{id}, IDs: 1, At: time.Now().UTC(), Status: c.delivered, Detail: "kept: the organisation's mode"}
	failed := func(err error) {
		if err != nil {
			c.log.Warn("simulated report lost: the deadline settles the shipment", "shipment", id, "err", err)
		}
	}
	if err := service.Receive(report, failed); err != nil {
		failed(err)
	}
}
