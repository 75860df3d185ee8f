package config

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"straks/internal/faults"
	"straks/internal/limits"
	"straks/internal/numbers"
	"straks/internal/pumping"
)

// Limits bounds the orders to one recipient. A limit is written "5 in 10m": at most 5 orders in any 10 minutes; units are
// s, m, h and d. Further orders get 429.
type Limits struct {
	Recipient       []string // of each organisation that has no recipient_limits: ["5 in 10m", "20 in 1d"]. []: none
	RecipientAcross []string // of all organisations together. Default: none
	// Pumping is what happens when orders to a prefix or country look as if somebody earned at them: "off", "alarm", or
	// "stop", which also refuses further orders to it for PumpingStop: "alarm".
	Pumping     string
	PumpingStop time.Duration // 1h; an alarm lasts as long after what raised it

	recipient, across []limits.Window
}

func (l *Limits) setDefaults() {
	*l = Limits{Recipient: []string{"5 in 10m", "20 in 1d"}, Pumping: string(pumping.Alarm), PumpingStop: time.Hour}
}

func (l *Limits) check(c *checker) {
	l.recipient = c.windows("recipient", l.Recipient)
	l.across = c.windows("recipient_across", l.RecipientAcross)
	c.OneOf("pumping", l.Pumping, pumpingModes...)
	c.Duration("pumping_stop", l.PumpingStop, time.Minute, 7*day)
}

var pumpingModes = []string{string(pumping.Off), string(pumping.Alarm), string(pumping.Stop)}

// PumpingModes returns what comes of pumping that is suspected, for each organisation.
func (cfg *Config) PumpingModes() pumping.Config {
	modes := make(map[string]pumping.Mode)
	for _, o := range cfg.Organisations {
		modes[o.Name] = pumping.Mode(cmp.Or(o.Pumping, cfg.Limits.Pumping))
	}
	return pumping.Config{Modes: modes, StopFor: cfg.Limits.PumpingStop}
}

// PrefixLimit bounds the orders to numbers with a prefix or of a country, so that a login page that is abused can't send
// to expensive or far countries without end.
type PrefixLimit struct {
	Prefix     string        // '+', country code, and digits that follow it: "+371"
	Country    string        // or two letters: "LV"; or "*": each country that has no limit of its own here, by itself
	Per        time.Duration // any span of time, 1m to 31d: 1h
	Orders     int           // in it; 0: no limit
	Recipients int           // different numbers in it; 0: no limit
}

func (p *PrefixLimit) setDefaults() { p.Per = time.Hour }

func (p *PrefixLimit) check(c *checker) {
	switch {
	case p.Country != "" && p.Prefix != "":
		c.Add("country", "is %q beside prefix %q: give one of them, and a limit of its own for the other", p.Country, p.Prefix)
	case p.Country != "":
		err := numbers.CheckCountry(p.Country)
		c.Unless(err == nil && p.Country[0] != '+', "country", `is %q, must be two letters like "LV", or "*"`, p.Country)
	case c.Required("prefix", p.Prefix):
		c.Unless(isPrefix(p.Prefix), "prefix", `is %q, must be like "+371"`, p.Prefix)
	}
	c.Duration("per", p.Per, time.Minute, 31*day)
	faults.Range(c.List, "orders", p.Orders, 0, maxLimit)
	faults.Range(c.List, "recipients", p.Recipients, 0, maxLimit)
	c.Unless(p.Orders > 0 || p.Recipients > 0, "orders", "is missing, and so is recipients: give one of them, or both")
}

// isPrefix reports whether numbers in E.164 can begin with it.
func isPrefix(s string) bool {
	digits, plus := strings.CutPrefix(s, "+")
	return plus && len(digits) >= 1 && len(digits) <= 15 && strings.Trim(digits, "0123456789") == ""
}

// maxLimit is more orders than any window sees.
const maxLimit = 1_000_000_000

// maxPerRecipient bounds the orders of a window of one recipient: each is kept by its time.
const maxPerRecipient = 1000

var windowForm = regexp.MustCompile(`^([0-9]{1,4}) in ([0-9]{1,5})([smhd])$`)

// windows reads limits like "5 in 10m".
func (c *checker) windows(key string, texts []string) (all []limits.Window) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day}
	for i, text := range texts {
		m := windowForm.FindStringSubmatch(text)
		if m == nil {
			c.Add(faults.Index(key, i), `is %q, must be like "5 in 10m" (units s, m, h, d)`, text)
			continue
		}
		orders, _ := strconv.Atoi(m[1])
		n, _ := strconv.Atoi(m[2])
		w := limits.Window{Orders: orders, Per: time.Duration(n) * units[m[3]]}
		c.Unless(w.Orders >= 1 && w.Orders <= maxPerRecipient && w.Per >= time.Second && w.Per <= 31*day, faults.Index(key, i),
			"is %q, must be 1 to %d orders in 1s to 31d", text, maxPerRecipient)
		all = append(all, w)
	}
	return all
}

// checkLimits checks the limits of an organisation.
func (o *Organisation) checkLimits(c *checker) {
	faults.Range(c.List, "orders_per_day", o.OrdersPerDay, 0, maxLimit)
	faults.Range(c.List, "orders_per_month", o.OrdersPerMonth, 0, maxLimit)
	if o.Pumping != "" {
		c.OneOf("pumping", o.Pumping, pumpingModes...)
	}
	if o.RecipientLimits != nil {
		o.recipientLimits = c.windows("recipient_limits", *o.RecipientLimits)
	}
	for i := range o.PrefixLimits {
		o.PrefixLimits[i].check(c.at("prefix_limit", i))
	}
}

// inheritLimits gives organisations without limits of recipients those of all.
func (cfg *Config) inheritLimits() {
	for i := range cfg.Organisations {
		if o := &cfg.Organisations[i]; o.RecipientLimits == nil {
			o.RecipientLimits, o.recipientLimits, o.sharedLimits = &cfg.Limits.Recipient, cfg.Limits.recipient, true
		}
	}
}

// OrderLimits returns the limits of all organisations.
func (cfg *Config) OrderLimits() limits.Config {
	l := limits.Config{Organisations: make(map[string]limits.Organisation), Across: cfg.Limits.across, Priced: cfg.priced(), Currency: cfg.Cost.Currency}
	for _, o := range cfg.Organisations {
		one := limits.Organisation{Day: o.OrdersPerDay, Month: o.OrdersPerMonth, Recipient: o.recipientLimits, Shared: o.sharedLimits, Budget: o.BudgetPerMonth}
		for _, p := range o.PrefixLimits {
			one.Prefixes = append(one.Prefixes, limits.Prefix{Prefix: p.Prefix, Country: p.Country, Per: p.Per, Orders: p.Orders, Recipients: p.Recipients})
		}
		l.Organisations[o.Name] = one
	}
	return l
}
