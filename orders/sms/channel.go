package sms

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"straks/dlr"
	"straks/internal/cost"
	"straks/internal/ratelog"
	"straks/internal/rawwords"
	"straks/orders"
	"straks/smpp"
	"straks/smpp/gsm"
)

// Config is what the channel knows beyond the gateway's configuration.
type Config struct {
	Organisations map[string]Organisation // by name
	SMSCs         map[string]SMSC         // by name
	StopWords     []string                // in capitals; see inbound
	StartWords    []string                // likewise
	Prices        *cost.Table             // of parts; nil: there are none
	Words         *rawwords.Hub           // gets what SMSCs say word for word; may be nil
}

// Organisation is what the channel knows of one.
type Organisation struct {
	Sender         string   // of messages that name none; empty: the gateway chooses
	Transliterate  bool     // see gsm.Transliterate
	InboundNumbers []string // whose inbound messages are meant for it; see BareNumber
	Senders        []string // that its requests may name, beside Sender; none: any
	Off            bool     // it sends no SMS
}

// SMSC is how an SMSC spells what it delivers.
type SMSC struct {
	Dialect  dlr.Dialect
	Alphabet gsm.Encoding // of messages with data_coding 0
	// SettleByRecipient lets a receipt be matched by its recipient alone, with a message whose
	// answer never came; see orders.FindMatches.
	SettleByRecipient bool
}

// Channel is the carrier of SMS orders.
type Channel struct {
	setup   atomic.Pointer[setup]
	said    *rawwords.Hub
	gateway *smpp.Gateway
	tally   *tally // of receipts, for operators
	metrics metrics
	log     *slog.Logger
	few     *ratelog.Log // lines that SMSCs can cause
	one     *ratelog.Log // lines that phones can cause
}

var _ orders.Carrier = (*Channel)(nil)

type metrics struct {
	unreadable prometheus.Counter
	incomplete prometheus.Counter
	inbound    *prometheus.CounterVec
	errors     *errorCounter
}

// setup is a configuration in use. It does not change.
type setup struct {
	Config
	configured map[string]SMSC   // those of SMSCs that are in the configuration now
	words      map[string]word   // by word, in capitals
	owners     map[string]string // organisation by bare inbound number
}

// New returns the channel over a gateway. Messages can be sent while Run runs.
func New(cfg Config, gateway *smpp.Gateway, log *slog.Logger, reg prometheus.Registerer) *Channel {
	c := &Channel{said: cfg.Words, gateway: gateway, metrics: newMetrics(reg, cfg.SMSCs), tally: newTally(), log: log, few: ratelog.New(log, 3), one: ratelog.New(log, 1)}
	c.setup.Store(newSetup(cfg))
	return c
}

// Reconfigure puts a configuration in the place of the one in use, except Config.Words. An SMSC that is in it no
// more may still deliver while it is unbound: how it spells is kept. Only one goroutine at a time may call it.
func (c *Channel) Reconfigure(cfg Config) {
	c.metrics.errors.configure(cfg.SMSCs)
	now := newSetup(cfg)
	now.SMSCs = maps.Clone(c.setup.Load().SMSCs)
	maps.Copy(now.SMSCs, cfg.SMSCs)
	c.setup.Store(now)
}

func newSetup(cfg Config) *setup {
	c := &setup{Config: cfg, configured: cfg.SMSCs, words: make(map[string]word), owners: make(map[string]string)}
	for _, w := range cfg.StopWords {
		c.words[spelling(w)] = wordStop
	}
	for _, w := range cfg.StartWords {
		c.words[spelling(w)] = wordStart
	}
	delete(c.words, "") // of a word of punctuation
	for name, o := range cfg.Organisations {
		for _, number := range o.InboundNumbers {
			c.owners[BareNumber(number)] = name
		}
	}
	return c
}

func newMetrics(reg prometheus.Registerer, smscs map[string]SMSC) metrics {
	m := metrics{
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{Name: "straks_receipts_unreadable_total",
			Help: "Receipts without an id or a state."}),
		incomplete: prometheus.NewCounter(prometheus.CounterOpts{Name: "straks_receipts_incomplete_total",
			Help: "Receipts in several parts, not all of which came within a minute. They are read as far as they came."}),
		inbound: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_inbound_messages_total",
			Help: "Messages from phones, by what they ask for."}, []string{"word"}),
		errors: newErrorCounter(smscs),
	}
	for _, w := range []word{wordOther, wordStop, wordStart} {
		m.inbound.WithLabelValues(string(w))
	}
	reg.MustRegister(m.unreadable, m.incomplete, m.inbound, m.errors.vec)
	return m
}

// HintForms returns the forms of message ids that reports of each SMSC may hint
// at; see orders.Config.
func (c *Channel) HintForms() map[string][]string {
	smscs := c.setup.Load().configured
	forms := make(map[string][]string, len(smscs))
	for name := range smscs {
		forms[name] = dlr.MismatchForms()
	}
	return forms
}

// message returns m as the gateway sends it.
func (c *Channel) message(m orders.Message) smpp.Message {
	o := c.setup.Load().Organisations[m.Organisation]
	from, text := smpp.FitSender(m.From), m.Body
	if from == "" {
		from = o.Sender
	}
	if o.Transliterate {
		text = gsm.Transliterate(text)
	}
	return smpp.Message{ID: m.Shipment.String(), Organisation: m.Organisation,
		To: string(m.To), From: from, Text: text, Expires: m.Expires, Reference: m.Reference}
}

// fields maps the gateway's names for what a fault is about.
var fields = map[smpp.Field]orders.Field{
	smpp.FieldRecipient: orders.FieldRecipient,
	smpp.FieldSender:    orders.FieldSender,
	smpp.FieldBody:      orders.FieldBody,
}

// Check implements orders.Carrier.
func (c *Channel) Check(m orders.Message) []orders.Fault {
	var faults []orders.Fault
	for _, f := range c.gateway.Check(c.message(m)) {
		faults = append(faults, orders.Fault{Field: fields[f.Field], Message: f.Message})
	}
	o := c.setup.Load().Organisations[m.Organisation]
	if o.Off {
		faults = append(faults, orders.Fault{Field: orders.FieldChannel, Message: "is a channel that your organisation does not use (organisation.channels)"})
	}
	if len(o.Senders) > 0 && m.From != "" && m.From != o.Sender && !slices.Contains(o.Senders, m.From) {
		faults = append(faults, orders.Fault{Field: orders.FieldSender, Message: "is none that your organisation may send from (organisation.sms_senders): " + strings.Join(o.Senders, ", ")})
	}
	return faults
}

// Explain returns how Send would hand the message over now, and sends nothing.
func (c *Channel) Explain(m orders.Message) smpp.Plan { return c.gateway.Explain(c.message(m)) }

// Ready implements orders.Carrier.
func (c *Channel) Ready() error { return c.gateway.Ready() }

// Lane implements orders.Carrier. Messages of one route wait for the same SMSCs.
func (c *Channel) Lane(m orders.Message) orders.Lane {
	m.Body = "" // the route does not depend on it, and it need not be transliterated
	name, window := c.gateway.Lane(c.message(m))
	return orders.Lane{Name: name, Window: window}
}

// Reach implements orders.Carrier.
func (c *Channel) Reach(m orders.Message) (smscs []string, now bool) {
	m.Body = "" // likewise
	return c.gateway.Reach(c.message(m))
}

// Send implements orders.Carrier.
func (c *Channel) Send(ctx context.Context, m orders.Message) orders.Handover {
	return c.handover(m.To, c.gateway.Send(ctx, c.message(m)))
}
