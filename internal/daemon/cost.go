package daemon

import (
	"time"

	"straks/internal/limits"
)

// Cost is what the messages of this month cost.
type Cost struct {
	Currency      string            `json:"currency"`
	Organisations []limits.Spending `json:"organisations"`
}

// cost returns what the messages of this month cost; nil where nothing has a price.
func (d *Daemon) cost() *Cost {
	if d.limits == nil || !d.limits.Priced() {
		return nil
	}
	return &Cost{d.config().Cost.Currency, d.limits.Spending(time.Now())}
}

// spentBy returns that by organisation; nil where nothing has a price.
func (d *Daemon) spentBy() map[string]limits.Spending {
	c := d.cost()
	if c == nil {
		return nil
	}
	all := make(map[string]limits.Spending, len(c.Organisations))
	for _, o := range c.Organisations {
		all[o.Organisation] = o
	}
	return all
}
