package config

import (
	"time"

	"straks/internal/faults"
	"straks/internal/limits"
	"straks/orders"
)

// Retention returns how long orders are kept.
func (cfg *Config) Retention() orders.Retention {
	r := orders.Retention{All: cfg.Journal.Retention, Own: make(map[string]time.Duration)}
	for _, o := range cfg.Organisations {
		if o.ownRetention {
			r.Own[o.Name] = o.Retention
		}
	}
	return r
}

// checkRetention gives organisations without a retention that of the journal, and checks that orders are kept for as
// long as limits look back.
func (cfg *Config) checkRetention(c *checker) {
	items, _ := asList(c.file.top["organisation"])
	j := keeping{"journal.retention", cfg.Journal.Retention}
	j.windows(c.in("limits"), "recipient", cfg.Limits.recipient)
	j.windows(c.in("limits"), "recipient_across", cfg.Limits.across)
	for i := range cfg.Organisations {
		o, at := &cfg.Organisations[i], c.at("organisation", i)
		given, _ := items[i].(map[string]any)
		if o.ownRetention = given["retention"] != nil; !o.ownRetention {
			o.Retention = j.time
			o.keepLimits(at, j)
			continue
		}
		at.Duration("retention", o.Retention, leastRetention, j.time)
		cfg.keepShared(at, o)
		o.keepLimits(at, keeping{"retention", o.Retention})
	}
}

// keeping is for how long orders are kept, by the key that says so.
type keeping struct {
	key  string
	time time.Duration
}

// reach adds a fault where a limit counts orders of a longer time.
func (k keeping) reach(c *checker, key string, back time.Duration) {
	c.Unless(k.time >= back, key, "needs %s to be %s at least, since after a restart what was sent is counted again from the journal; it is %s",
		k.key, faults.FormatDuration(back), faults.FormatDuration(k.time))
}

func (k keeping) windows(c *checker, key string, all []limits.Window) {
	for i, w := range all {
		k.reach(c, faults.Index(key, i), w.Per)
	}
}

// keepLimits checks the organisation's own limits.
func (o *Organisation) keepLimits(c *checker, k keeping) {
	const month = 31 * day
	if o.BudgetPerMonth > 0 {
		k.reach(c, "budget_per_month", month)
	}
	if o.OrdersPerMonth > 0 {
		k.reach(c, "orders_per_month", month)
	}
	if !o.sharedLimits {
		k.windows(c, "recipient_limits", o.recipientLimits)
	}
	for i, p := range o.PrefixLimits {
		k.reach(c.at("prefix_limit", i), "per", p.Per)
	}
}

// keepShared checks the limits of all organisations against the retention of one.
func (cfg *Config) keepShared(c *checker, o *Organisation) {
	shared := cfg.Limits.across
	if o.sharedLimits {
		shared = append(shared[:len(shared):len(shared)], cfg.Limits.recipient...)
	}
	for _, w := range shared {
		c.Unless(o.Retention >= w.Per, "retention", "is %s, but limits of recipients under [limits] count the orders of %s again after a restart: make it as long",
			faults.FormatDuration(o.Retention), faults.FormatDuration(w.Per))
	}
}
