package cost

import "cmp"

// Price is what one part of an SMS costs.
type Price struct {
	SMSC   string // empty: at all of them
	Prefix string // of the numbers in E.164, "+47"; empty: all
	Class  string // what clients are told; empty: the prefix, or DefaultClass
	Amount Amount
}

// DefaultClass is the class of a price without a prefix.
const DefaultClass = "default"

// Table is the prices of an installation. It does not change. The zero Table and nil have none.
type Table struct {
	of      map[key]Price
	longest int // prefix
}

type key struct{ smsc, prefix string }

// NewTable returns the table of prices. Of two with the same SMSC and prefix, the last counts.
func NewTable(prices []Price) *Table {
	t := &Table{of: make(map[key]Price, len(prices))}
	for _, p := range prices {
		p.Class = cmp.Or(p.Class, p.Prefix, DefaultClass)
		t.of[key{p.SMSC, p.Prefix}] = p
		t.longest = max(t.longest, len(p.Prefix))
	}
	return t
}

// Of returns the price of a part to a number at an SMSC: the one with the longest prefix, and of two with the same
// prefix the SMSC's own. ok is false where there is none.
func (t *Table) Of(smsc, number string) (p Price, ok bool) {
	if t.Empty() {
		return Price{}, false
	}
	for n := min(t.longest, len(number)); n >= 0; n-- {
		for _, name := range [2]string{smsc, ""} {
			if p, ok := t.of[key{name, number[:n]}]; ok {
				return p, true
			}
		}
	}
	return Price{}, false
}

// Empty reports whether there are no prices.
func (t *Table) Empty() bool { return t == nil || len(t.of) == 0 }
