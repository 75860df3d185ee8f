package config

import (
	"regexp"

	"straks/internal/cost"
)

// Cost is what all prices have in common. Amounts are in quotes and exact, with at most 6 decimals: "0.4525".
type Cost struct {
	Currency string      // of all prices and budgets, three letters: "NOK"
	Email    cost.Amount // price of a mail; 0: mails have none
}

func (p *Cost) setDefaults() { p.Currency = "NOK" }

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

func (p *Cost) check(c *checker) {
	c.Unless(currencyForm.MatchString(p.Currency), "currency", `is %q, must be three capital letters, like "NOK" or "EUR"`, p.Currency)
	c.price("email", p.Email)
}

// Price is what a part of an SMS costs. Of all that match a number, the one with the longest prefix counts, and of two
// with the same prefix the one that names the SMSC.
type Price struct {
	SMSC   string      // name of the one that it is for. Empty: all
	Prefix string      // of numbers: '+', country code, and digits that follow it: "+47". Empty: all numbers
	Price  cost.Amount // of each part. Required
	Class  string      // what clients are told in Straks-Price-Class: up to 32 letters, digits, '+', '-', '_', '.'. Empty: the prefix, or "default"
}

// mostPrice is the highest price of a part or a mail. With it, no sum of a month is too much for an Amount.
const mostPrice = 10_000 * cost.Unit

func (c *checker) price(key string, a cost.Amount) {
	c.Unless(a <= mostPrice, key, "is %v, at most %v is possible", a, mostPrice)
}

var classForm = regexp.MustCompile(`^[A-Za-z0-9+._-]{0,32}$`)

func (p *Price) check(c *checker) {
	c.Unless(p.Prefix == "" || isPrefix(p.Prefix), "prefix", `is %q, must be like "+47", or empty for all numbers`, p.Prefix)
	c.Unless(classForm.MatchString(p.Class), "class", "is %q; up to 32 letters, digits, '+', '.', '-' and '_' are possible", p.Class)
	c.price("price", p.Price)
}

// checkPrices checks what prices, SMSCs and budgets must agree on.
func (cfg *Config) checkPrices(c *checker) {
	items, _ := asList(c.file.top["price"])
	seen := make(map[[2]string]string)
	for i := range cfg.Prices {
		p, at := &cfg.Prices[i], c.at("price", i)
		p.check(at)
		given, _ := items[i].(map[string]any)
		at.Unless(given == nil || given["price"] != nil, "price", "is missing")
		at.Unless(p.SMSC == "" || cfg.hasSMSC(p.SMSC), "smsc", "is %q: no SMSC has that name", p.SMSC)
		entry := [2]string{p.SMSC, p.Prefix}
		at.Unless(seen[entry] == "", "prefix", "is that of %s, for the same SMSCs: which price would count?", seen[entry])
		if seen[entry] == "" {
			seen[entry] = at.Key("prefix")
		}
	}
	for i, o := range cfg.Organisations {
		cfg.checkBudget(c.at("organisation", i), o.BudgetPerMonth)
	}
}

// checkBudget checks that whatever an organisation with a budget can send has a price.
func (cfg *Config) checkBudget(c *checker, budget cost.Amount) {
	const key = "budget_per_month"
	if budget == 0 {
		return
	}
	table := cfg.PriceTable()
	for _, s := range cfg.SMSCs {
		_, ok := table.Of(s.Name, "")
		c.Unless(ok, key, "needs a price for every number, and SMSC %q has none for those of other prefixes: add a [[price]] without prefix", s.Name)
	}
	c.Unless(len(cfg.SMSCs) > 0 || cfg.Cost.Email > 0, key, "is of no use: mails have no price. Set cost.email")
}

func (cfg *Config) hasSMSC(name string) bool {
	for _, s := range cfg.SMSCs {
		if s.Name == name {
			return true
		}
	}
	return false
}

// PriceTable returns the prices of parts.
func (cfg *Config) PriceTable() *cost.Table {
	prices := make([]cost.Price, len(cfg.Prices))
	for i, p := range cfg.Prices {
		prices[i] = cost.Price{SMSC: p.SMSC, Prefix: p.Prefix, Class: p.Class, Amount: p.Price}
	}
	return cost.NewTable(prices)
}

// priced reports whether anything has a price.
func (cfg *Config) priced() bool { return len(cfg.Prices) > 0 || cfg.Cost.Email > 0 }
