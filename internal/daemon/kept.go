package daemon

import (
	"maps"
	"slices"

	"straks/orders"
	"straks/orders/simulated"
)

// kept returns the channel, behind a carrier that keeps messages of organisations that only test.
func (d *Daemon) kept(channel orders.Channel, real orders.Carrier) orders.Carrier {
	rules := d.cfg.Modes()
	if len(rules) == 0 {
		return real
	}
	c := simulated.New(channel, real, rules, d.log)
	d.simulated = append(d.simulated, c)
	d.log.Warn("messages of some organisations are not sent, and look delivered", "channel", channel.String(),
		"organisations", slices.Sorted(maps.Keys(rules)))
	return c
}
