package mail

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/cost"
	"straks/internal/handover"
	"straks/internal/rawwords"
	"straks/orders"
	"straks/smtp"
)

// Organisation is what the channel knows of one.
type Organisation struct {
	Sender  string // From of its mails that name none
	Name    string // shown with From in all of its mails; may be empty
	ReplyTo string // of all of its mails; empty: replies go to From
	// SenderDomains are the domains that its requests may name in From, and those below them; none: any.
	SenderDomains []string
	Off           bool // it sends no mails
}

// Channel is the carrier of e-mail orders.
type Channel struct {
	config  atomic.Pointer[Config] // in use; it does not change
	words   *rawwords.Hub
	pool    *smtp.Pool
	log     *slog.Logger
	metrics *metrics
	service atomic.Pointer[orders.Service] // gets reports; nil before Run
}

// Config is the configuration of a Channel.
type Config struct {
	Organisations map[string]Organisation // by name
	Paths         ReturnPaths             // the envelope senders
	Waits         map[string]Wait         // by relay
	Price         cost.Amount             // of a mail; 0: mails have no price
	Words         *rawwords.Hub           // gets the relays' replies; may be nil
}

var _ orders.Carrier = (*Channel)(nil)

// New returns the channel over a pool of relays.
func New(cfg Config, pool *smtp.Pool, log *slog.Logger, reg prometheus.Registerer) *Channel {
	c := &Channel{words: cfg.Words, pool: pool, log: log, metrics: newMetrics(reg)}
	c.config.Store(&cfg)
	return c
}

// Reconfigure puts a configuration in the place of the one in use, except Config.Words.
func (c *Channel) Reconfigure(cfg Config) { c.config.Store(&cfg) }

// message returns m as the pool sends it.
func (c *Channel) message(m orders.Message) smtp.Message {
	cfg := c.config.Load()
	o := cfg.Organisations[m.Organisation]
	return smtp.Message{ID: m.Shipment.String(), Organisation: m.Organisation,
		From: cmp.Or(m.From, o.Sender), Name: o.Name, ReplyTo: o.ReplyTo,
		To: string(m.To), Subject: m.Subject, Body: m.Body, HTML: m.HTML,
		Envelope: cfg.Paths.of(m.Shipment)}
}

// fields maps the pool's names for what a fault is about.
var fields = map[smtp.Field]orders.Field{
	smtp.FieldTo:      orders.FieldRecipient,
	smtp.FieldFrom:    orders.FieldSender,
	smtp.FieldName:    orders.FieldSender,
	smtp.FieldReplyTo: orders.FieldSender,
	smtp.FieldSubject: orders.FieldSubject,
	smtp.FieldBody:    orders.FieldBody,
}

// Check implements orders.Carrier.
func (c *Channel) Check(m orders.Message) []orders.Fault {
	var faults []orders.Fault
	var found smtp.Faults
	if errors.As(c.pool.Check(c.message(m)), &found) {
		for _, f := range found {
			faults = append(faults, orders.Fault{Field: fields[f.Field], Message: f.Message})
		}
	}
	if c.config.Load().Organisations[m.Organisation].Off {
		faults = append(faults, orders.Fault{Field: orders.FieldChannel, Message: "is a channel that your organisation does not use (organisation.channels)"})
	}
	if allowed, ok := c.mayUse(m); !ok && !slices.ContainsFunc(faults, aboutSender) {
		faults = append(faults, orders.Fault{Field: orders.FieldSender, Message: "has a domain that your organisation may not send from; allowed: " +
			strings.Join(allowed, ", ") + ", and domains below"})
	}
	return faults
}

func aboutSender(f orders.Fault) bool { return f.Field == orders.FieldSender }

// mayUse reports whether the organisation may use the From that its request names, and the domains that it may use.
func (c *Channel) mayUse(m orders.Message) (allowed []string, ok bool) {
	o := c.config.Load().Organisations[m.Organisation]
	ok = len(o.SenderDomains) == 0 || m.From == "" || strings.EqualFold(m.From, o.Sender) || smtp.InDomains(m.From, o.SenderDomains)
	return o.SenderDomains, ok
}

// Explain returns how Send would hand the message over now, and sends nothing.
func (c *Channel) Explain(m orders.Message) smtp.Plan { return c.pool.Explain(c.message(m)) }

// Ready implements orders.Carrier.
func (c *Channel) Ready() error { return c.pool.Ready() }

// Lane implements orders.Carrier. Mails of one route wait for the same relays.
func (c *Channel) Lane(m orders.Message) orders.Lane {
	name, window := c.pool.Lane(c.message(m))
	return orders.Lane{Name: name, Window: window}
}

// Reach implements orders.Carrier.
func (c *Channel) Reach(m orders.Message) (relays []string, now bool) {
	return c.pool.Reach(c.message(m))
}

// Estimate implements orders.Carrier.
func (c *Channel) Estimate(orders.Message) (parts int, most orders.Cost) {
	return 1, c.cost()
}

// classEmail is the price class of mails.
const classEmail = "email"

// cost returns what a mail costs that a relay has, or may have.
func (c *Channel) cost() orders.Cost {
	if price := c.config.Load().Price; price > 0 {
		return orders.Cost{Parts: 1, Amount: price, Class: classEmail}
	}
	return orders.Cost{Parts: 1}
}

// refusals maps a relay's refusal to a status.
var refusals = map[smtp.Refusal]orders.Status{
	smtp.NoSuchMailbox: orders.EmailFailedRecipientNotIdentified,
	smtp.BadAddress:    orders.EmailFailedInvalidFormat,
	smtp.Filtered:      orders.EmailFailedFilteredSpam,
	smtp.OtherRefusal:  orders.EmailFailed,
}

// Send implements orders.Carrier.
func (c *Channel) Send(ctx context.Context, m orders.Message) orders.Handover {
	r := c.pool.Send(ctx, c.message(m))
	wait, unreported := c.wait(r)
	cost := c.cost()
	if r.Outcome == handover.Refused {
		cost.Amount = 0
	}
	return orders.Handover{Outcome: r.Outcome, Status: refusals[r.Refusal], Carrier: r.Relay, Total: 1,
		Parts: part(r), Cost: cost, Detail: detail(r), Wait: wait, Unreported: unreported, Slot: r.Times.Connection, Written: r.Times.Written, Answered: r.Times.Answered}
}

// Run runs the pool until ctx ends, and gives the service the replies that come
// after their hand-over has ended as unknown.
func (c *Channel) Run(ctx context.Context, service *orders.Service) error {
	c.service.Store(service)
	return c.pool.Run(ctx, smtp.Handler{
		Late:  func(message string, r smtp.Result) { c.late(service, message, r) },
		Words: func(relay string, verbatim func() string) { c.words.Say(relay, "reply", verbatim) },
	})
}

func (c *Channel) late(service *orders.Service, message string, r smtp.Result) {
	if strings.HasPrefix(message, forwardedID) {
		return // no order's
	}
	id, err := uuid.Parse(message)
	if err != nil {
		c.log.Error("late reply to a mail that is not ours", "relay", r.Relay, "err", err)
		return
	}
	a := orders.Answer{Shipment: id, At: time.Now().UTC(), Outcome: r.Outcome, Status: refusals[r.Refusal],
		Carrier: r.Relay, Total: 1, Parts: part(r), Detail: detail(r)}
	a.Wait, a.Unreported = c.wait(r)
	if err := service.Late(a); err != nil {
		c.log.Error("late reply lost: the deadline settles the shipment", "shipment", id, "relay", r.Relay, "err", err)
	}
}

func part(r smtp.Result) []orders.PartAnswer {
	return []orders.PartAnswer{{Taken: r.Outcome == handover.Accepted}}
}

// detail returns what operators see of a reply.
func detail(r smtp.Result) string {
	switch {
	case r.QueueID != "":
		return "queued as " + r.QueueID
	case r.Err != nil:
		return r.Err.Error()
	}
	return ""
}
