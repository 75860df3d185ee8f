package config

import (
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

	rules []numbers.Rule
}

func (n *Numbers) check(c *checker) {
	n.parse(c, "allow", n.Allow, false)
	n.parse(c, "deny", n.Deny, true)
}

func (n *Numbers) parse(c *checker, key string, texts []string, deny bool) {
	for i, text := range texts {
		r, err := numbers.ParseRule(text, deny)
		c.Unless(err == nil, faults.Index(key, i), "is wrong: %v", err)
		n.rules = append(n.rules, r)
	}
}

// Rules returns the rules of the configuration, over the program's own table.
func (n *Numbers) Rules() *numbers.Rules { return numbers.NewRules(n.rules) }
