package config

import (
	"slices"

	"straks/internal/faults"
	"straks/internal/numbers"
)

// Numbers are exceptions to the metadata of libphonenumber, by which phone numbers are
// otherwise checked: the metadata are older than the world's numbering plans, or allow too
// much.
type Numbers struct {
	// Allow lists prefixes whose numbers are accepted whatever the metadata say: '+', country
	// code and the digits that follow; after a slash the length of the national number,
	// where only that length is right: "+4678/9". Default: none.
	Allow []string
	// Deny lists prefixes whose numbers are refused with 400. Of an allowed and a denied prefix the
	// longer one decides; of two equal prefixes, the denied one. Default: none.
	Deny []string
	// Home lists the countries to which organisations without countries of their own send SMS: two letters ("NO"), or a
	// prefix ("+47"). ["*"]: all. Default: all, with a warning.
	Home []string

	rules []numbers.Rule
}

func (n *Numbers) check(c *checker) {
	n.rules = append(c.numberRules("allow", n.Allow, false), c.numberRules("deny", n.Deny, true)...)
	c.countries("home", n.Home)
}

func (c *checker) numberRules(key string, texts []string, deny bool) (rules []numbers.Rule) {
	for i, text := range texts {
		r, err := numbers.ParseRule(text, deny)
		c.Unless(err == nil, faults.Index(key, i), "is wrong: %v", err)
		rules = append(rules, r)
	}
	return rules
}

func (c *checker) countries(key string, all []string) {
	for i, country := range all {
		err := numbers.CheckCountry(country)
		c.Unless(err == nil, faults.Index(key, i), "is wrong: %v", err)
		c.Unless(country != numbers.Everywhere || len(all) == 1, faults.Index(key, i), `is %q, which is all countries: leave the others out`, country)
	}
}

// warnOfEverywhere warns where organisations may send SMS to any country, and nobody has said so.
func (cfg *Config) warnOfEverywhere(c *checker) {
	anywhere := func(o Organisation) bool { return len(o.Countries) == 0 }
	if len(cfg.SMSCs) > 0 && len(cfg.Numbers.Home) == 0 && slices.ContainsFunc(cfg.Organisations, anywhere) {
		c.in("numbers").warn("home", `is not set: organisations without countries send SMS to every country, which those who pump messages for money look for. List countries, like ["NO"]; ["*"] is all`)
	}
}

// Rules returns the rules of the configuration, over the program's own table.
func (n *Numbers) Rules() *numbers.Rules { return numbers.NewRules(n.rules) }

// NumberRules returns the rules of each organisation.
func (cfg *Config) NumberRules() map[string]*numbers.Rules {
	rules := make(map[string]*numbers.Rules)
	for _, o := range cfg.Organisations {
		own := numbers.Own{Countries: o.Countries, Key: "organisation.countries", Deny: o.denied}
		if len(own.Countries) == 0 {
			own.Countries, own.Key = cfg.Numbers.Home, "numbers.home"
		}
		rules[o.Name] = cfg.Numbers.Rules().For(own)
	}
	return rules
}
