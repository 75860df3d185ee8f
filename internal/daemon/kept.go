package daemon

import (
	"maps"
	"slices"

	"straks/orders"
	"straks/orders/simulated"
)

// kept returns the channel, behind a carrier that keeps messages of organisations that only test. There is one also
// where none does, since a reload may bring one.
func (d *Daemon) kept(channel orders.Channel, real orders.Carrier) orders.Carrier {
	rules := d.config().Modes()
	c := simulated.New(channel, real, rules, d.log)
	d.simulated = append(d.simulated, c)
	d.warnOfKept(channel.String(), rules)
	return c
}

func (d *Daemon) warnOfKept(channel string, rules map[string]*simulated.Rule) {
	if len(rules) > 0 {
		d.log.Warn("messages of some organisations are not sent, and look delivered", "channel", channel,
			"organisations", slices.Sorted(maps.Keys(rules)))
	}
}
