package orders

import "straks/internal/cost"

// Cost is what a message costs. Before the carrier has answered it is the most that the message can cost.
type Cost struct {
	Parts  int         // short messages that the phone gets; 1 for a mail; 0: nothing is known
	Amount cost.Amount // of all parts that the carrier took, or may have
	Class  string      // of the price; empty: there is no price
}

// of returns the cost c of a message as the carrier's answer makes it: with the price of the carrier, or, where that has
// none, with the one that was expected.
func (c Cost) of(h *Handover) Cost {
	switch now := h.Cost; {
	case now.Parts == 0:
		return c
	case now.Class == "" && len(h.Parts) > 0:
		return Cost{now.Parts, c.Amount, c.Class}
	default:
		return now
	}
}
