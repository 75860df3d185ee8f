package config

import "straks/internal/numbers"

// Numbers says which phone numbers SMS may go to, where the metadata of libphonenumber, by which
// numbers are judged else, are behind the world's numbering plans or let too much through.
type Numbers struct {
	// Allow lists prefixes whose numbers are taken, whatever the metadata say: '+', country code
	// and the digits that follow; behind a slash the length of the national number, where only
	// that is right: "+4678/9". Default: none.
	Allow []string
	// Deny lists prefixes whose numbers are refused with 400. Of an allowed and a denied prefix the
	// longer one decides, and of two that are the same the denied one. Default: none.
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
		if err != nil {
			c.fault(indexed(key, i), "is wrong: %v", err)
		}
		n.rules = append(n.rules, r)
	}
}

// Rules are those of the configuration, over the program's own table.
func (n *Numbers) Rules() *numbers.Rules { return numbers.NewRules(n.rules) }
