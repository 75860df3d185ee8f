package sms

import (
	"straks/orders"
	"straks/smpp"
)

// Estimate implements orders.Carrier. The most expensive SMSC of the route counts.
func (c *Channel) Estimate(m orders.Message) (parts int, most orders.Cost) {
	parts, segments := 1, 0
	c.gateway.Sizes(c.message(m), func(s smpp.Size) {
		parts, segments = max(parts, s.Parts), max(segments, s.Segments)
		if here := c.cost(s.SMSC, m.To, s.Segments, s.Segments); most.Class == "" || here.Amount > most.Amount {
			most = here
		}
	})
	most.Parts = segments
	return parts, most
}

// cost returns what a message with that many segments costs at an SMSC that took some of them.
func (c *Channel) cost(smsc string, to orders.Recipient, segments, taken int) orders.Cost {
	price, _ := c.setup.Load().Prices.Of(smsc, string(to))
	return orders.Cost{Parts: segments, Amount: price.Amount.Times(taken), Class: price.Class}
}
