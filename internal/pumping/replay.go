package pumping

import (
	"context"
	"time"

	"straks/internal/limits"
	"straks/orders"
)

// History is what the past is read from.
type History = limits.History

// Replay counts and judges the orders of the week before now, as if they came again, and puts what was counted meanwhile
// on top.
func (d *Detector) Replay(ctx context.Context, h History, now time.Time) error {
	d.mu.Lock()
	again := &Detector{log: d.log, metrics: d.metrics, cfg: d.cfg, of: make(map[string]*organisation), ready: true}
	d.mu.Unlock()
	judged := now.Add(-pastDays * 24 * time.Hour)
	err := h.Accepted(ctx, judged, func(s orders.Shipment) {
		if !s.Accepted.Before(now) {
			return
		}
		again.replay(&s)
		if s.Accepted.Sub(judged) >= part {
			judged = s.Accepted
			for name, o := range again.of {
				again.judgeAll(name, o, judged, true)
			}
		}
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, o := range again.of {
		if live := d.of[name]; live != nil {
			o.merge(live)
		}
		if d.mode(name) != Off {
			d.of[name] = o
		}
		again.end(name, o, now, true)
		for key, a := range o.alarms {
			d.tell(name, o, key, a, "pumping suspected since before the start")
		}
	}
	d.ready = true
	return nil
}

// replay counts an order of the past, and what is known of its end at the time when it came.
func (d *Detector) replay(s *orders.Shipment) {
	prefix, country := namesOf(string(s.Recipient))
	if s.Channel != orders.SMS || country == "" || d.mode(s.Organisation) == Off {
		return
	}
	o := d.organisation(s.Organisation)
	units := o.touch(prefix, country, s.Accepted)
	o.count(units, s.Accepted, func(c *counts) {
		c.sent++
		switch {
		case s.Status.Delivered():
			c.good++
		case s.Status.Final():
			c.bad++
		}
	})
	d.judge(s.Organisation, o, units, s.Accepted, true)
}

// merge adds what was counted elsewhere since this was.
func (o *organisation) merge(live *organisation) {
	for name, u := range live.units {
		if o.units[name] == nil {
			o.units[name] = &unit{prefix: u.prefix, country: u.country}
		}
		o.units[name].merge(u)
	}
	o.all.merge(&live.all)
}
