package limits

import (
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/cost"
	"straks/orders"
)

// Window is a number of orders in any span of time.
type Window struct {
	Orders int
	Per    time.Duration
}

// Prefix bounds the orders to numbers with a prefix, or of a country, and the recipients among them, in any span of
// time. 0 is no bound.
type Prefix struct {
	Prefix     string // "+47"; or
	Country    string // two letters, or numbers.Everywhere: each country that has no limit of its own here, by itself
	Per        time.Duration
	Orders     int
	Recipients int
}

// Organisation has the limits of one organisation. Zero values are no limits.
type Organisation struct {
	Day, Month int         // orders in a day and in a month of UTC
	Recipient  []Window    // to each recipient
	Prefixes   []Prefix    // of each, all that match count
	Shared     bool        // Recipient is that of all organisations: limits.recipient
	Budget     cost.Amount // of a month of UTC
}

// Config is the limits of all organisations.
type Config struct {
	Organisations map[string]Organisation
	Across        []Window // to each recipient, of all organisations together
	Priced        bool     // messages have prices
	Currency      string   // of prices and budgets
	Log           *slog.Logger
	Registerer    prometheus.Registerer
}

// The rules, as metrics and log name them.
const (
	RuleDay        = "organisation_day"
	RuleMonth      = "organisation_month"
	RuleRecipient  = "recipient"
	RuleAcross     = "recipient_across"
	RulePrefix     = "prefix_orders"
	RuleRecipients = "prefix_recipients"
	RuleBudget     = "budget"
)

// keys are those of the configuration that set each limit.
var keys = map[string]string{
	RuleDay: "organisation.orders_per_day", RuleMonth: "organisation.orders_per_month",
	RuleRecipient: "organisation.recipient_limits", RuleAcross: "limits.recipient_across",
	RulePrefix: "organisation.prefix_limit.orders", RuleRecipients: "organisation.prefix_limit.recipients", RuleBudget: "organisation.budget_per_month",
}

var rules = []string{RuleDay, RuleMonth, RuleRecipient, RuleAcross, RulePrefix, RuleRecipients, RuleBudget}

// Limits counts. It is safe for concurrent use.
type Limits struct {
	log     *slog.Logger
	seed    maphash.Seed
	metrics *metrics

	mu     sync.Mutex
	cfg    Config // Log and Registerer count at the start only
	of     map[string]*counts
	across *recipients // nil: no such limit
}

// counts are those of one organisation.
type counts struct {
	day, month calendar
	recipients *recipients // nil: no such limit
	prefixes   []*prefixes
	shared     bool // recipients has the limits of all organisations
	budget     budget
}

// New returns limits that have counted nothing yet.
func New(cfg Config) *Limits {
	l := &Limits{log: cfg.Log, seed: maphash.MakeSeed(), of: make(map[string]*counts)}
	l.metrics = newMetrics(cfg.Registerer, l)
	l.adopt(cfg, time.Time{})
	return l
}

// refusal is a limit that is reached.
type refusal struct {
	rule  string
	key   string // of the configuration
	words string // continues "The limit of"
	until time.Time
}

// Take counts an order, or returns an *orders.LimitError. undo takes it back; it may be called once.
func (l *Limits) Take(organisation string, c orders.Channel, to orders.Recipient, at time.Time) (undo func(), err error) {
	key, everywhere := l.key(organisation, c, to), l.key("", c, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.refuse(organisation, key, everywhere, to, at); r != nil {
		l.metrics.refused.WithLabelValues(organisation, r.rule).Inc()
		return nil, &orders.LimitError{Rule: r.rule, Key: r.key, Limit: r.words, After: max(r.until.Sub(at), time.Second)}
	}
	back := l.add(organisation, key, everywhere, to, at, every)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		back()
	}, nil
}

// key returns the hash of a recipient.
func (l *Limits) key(organisation string, c orders.Channel, to orders.Recipient) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteString(organisation)
	h.WriteByte(0)
	h.WriteByte(byte(c))
	h.WriteString(string(orders.BlockForm(c, to))) // the letter case of an address gives no second allowance
	return h.Sum64()
}

// refuse returns the limit that is reached, and of several the one that lasts longest. Under mu.
func (l *Limits) refuse(organisation string, key, everywhere uint64, to orders.Recipient, at time.Time) (worst *refusal) {
	consider := func(r *refusal, rule string) {
		if r != nil && (worst == nil || r.until.After(worst.until)) {
			worst, r.rule, r.key = r, rule, keys[rule]
		}
	}
	if c := l.of[organisation]; c != nil {
		consider(c.day.refuse(at, "a day (of UTC) for your organisation"), RuleDay)
		consider(c.month.refuse(at, "a month (of UTC) for your organisation"), RuleMonth)
		consider(c.recipients.refuse(key, at, "to one recipient"), RuleRecipient)
		if worst != nil && worst.rule == RuleRecipient && c.shared {
			worst.key = "limits.recipient"
		}
		for _, p := range c.matching(to) {
			consider(p.refuse(at), RulePrefix)
			consider(p.refuseRecipient(key, at), RuleRecipients)
		}
	}
	consider(l.across.refuse(everywhere, at, "to one recipient, of all organisations together"), RuleAcross)
	return worst
}

func every(time.Time) bool { return true }

// add counts an order in the counters whose followed time in lets pass, and returns what takes it back. Under mu, as that.
func (l *Limits) add(organisation string, key, everywhere uint64, to orders.Recipient, at time.Time, in func(followed time.Time) bool) (undo func()) {
	var undos []func()
	if c := l.of[organisation]; c != nil {
		for _, p := range []*calendar{&c.day, &c.month} {
			if in(p.followed) {
				undos = append(undos, p.add(at, 1))
			}
		}
		if r := c.recipients; r != nil && in(r.followed) && to != orders.Forgotten {
			undos = append(undos, r.add(key, at))
			l.forgotten(r)
		}
		for _, p := range c.prefixes {
			if one := p.of(to, c.prefixes); one != nil && in(p.followed) {
				undos = append(undos, one.add(key, at))
			}
		}
	}
	if r := l.across; r != nil && in(r.followed) && to != orders.Forgotten {
		undos = append(undos, r.add(everywhere, at))
		l.forgotten(r)
	}
	return func() {
		for _, f := range undos {
			f()
		}
	}
}

// forgotten reports recipients that had to leave early.
func (l *Limits) forgotten(r *recipients) {
	if r.early == 0 {
		return
	}
	l.metrics.forgotten.Add(float64(r.early))
	l.log.Error("limits: too many recipients to count, the oldest are forgotten and may get more than their limit", "recipients", r.early, "at_most", maxRecipients)
	r.early = 0
}
