package pumping

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/numbers"
	"straks/orders"
)

// Mode is what comes of pumping that is suspected.
type Mode string

const (
	Off   Mode = "off"
	Alarm Mode = "alarm" // a log line, a metric
	Stop  Mode = "stop"  // and nothing more is sent to the prefix for a while
)

// Config is what a Detector is made of.
type Config struct {
	Modes      map[string]Mode // by organisation
	StopFor    time.Duration   // how long a prefix is stopped; and an alarm lasts beyond what raised it
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

const (
	maxUnits = 4096 // of an organisation
	digits   = 3    // of the national number, in a prefix
	often    = 50   // orders, after which a unit is judged before its minute is over
	liftFor  = 24 * time.Hour
)

// Detector counts and judges. It is safe for concurrent use.
type Detector struct {
	log     *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	cfg   Config
	of    map[string]*organisation
	ready bool // the past is known
}

// organisation is what is counted of one.
type organisation struct {
	began  time.Time // of the first order
	all    unit
	units  map[string]*unit // by prefix, and by country
	alarms map[string]*alarm
	lifted map[string]time.Time // until when there is no alarm
}

func newOrganisation() *organisation {
	return &organisation{units: make(map[string]*unit), alarms: make(map[string]*alarm), lifted: make(map[string]time.Time)}
}

// New returns a detector that has counted nothing, and raises no alarm before Run has read the past.
func New(cfg Config) *Detector {
	d := &Detector{log: cfg.Log, of: make(map[string]*organisation), cfg: cfg}
	d.metrics = newMetrics(cfg.Registerer, d)
	d.metrics.begin(cfg.Modes)
	return d
}

// Reconfigure puts other modes in the place of those in use. A prefix that is stopped is let go where the mode is not Stop
// any more.
func (d *Detector) Reconfigure(cfg Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cfg.Modes, d.cfg.StopFor = cfg.Modes, cfg.StopFor
	d.metrics.begin(cfg.Modes)
	for name := range d.of {
		if d.mode(name) == Off {
			delete(d.of, name)
		}
	}
}

func (d *Detector) mode(organisation string) Mode { return cmp.Or(d.cfg.Modes[organisation], Off) }

// Take counts an SMS, or returns an *orders.LimitError where its prefix is stopped. undo takes it back.
func (d *Detector) Take(organisation string, to orders.Recipient, at time.Time) (undo func(), err error) {
	prefix, country := namesOf(string(to))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mode(organisation) == Off || country == "" {
		return func() {}, nil
	}
	o := d.organisation(organisation)
	units := o.touch(prefix, country, at)
	if a := o.stopped(prefix, country, at); a != nil && d.mode(organisation) == Stop {
		o.count(units, at, func(c *counts) { c.refused++ })
		d.metrics.refused.WithLabelValues(organisation).Inc()
		return nil, a.refusal(at)
	}
	return d.sent(organisation, o, units, to, at), nil
}

// sent counts an SMS, and returns what takes it back. Under mu, unlike that.
func (d *Detector) sent(organisation string, o *organisation, units []*unit, to orders.Recipient, at time.Time) (undo func()) {
	o.count(units, at, func(c *counts) { c.sent++ })
	if d.ready {
		d.judge(organisation, o, units, at, false)
	}
	return func() { d.outcome(organisation, to, at, func(c *counts) { c.sent = less(c.sent, 1) }) }
}

// Count counts an SMS that another process has accepted; undo takes it back.
func (d *Detector) Count(organisation string, to orders.Recipient, at time.Time) (undo func()) {
	prefix, country := namesOf(string(to))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mode(organisation) == Off || country == "" {
		return func() {}
	}
	o := d.organisation(organisation)
	return d.sent(organisation, o, o.touch(prefix, country, at), to, at)
}

// Settled notes what became of an SMS.
func (d *Detector) Settled(organisation string, to orders.Recipient, delivered bool, at time.Time) {
	d.outcome(organisation, to, at, func(c *counts) {
		if delivered {
			c.good++
		} else {
			c.bad++
		}
	})
}

// Outcome notes whether a verification code was used before it ended.
func (d *Detector) Outcome(organisation string, to orders.Recipient, good bool) {
	d.outcome(organisation, to, time.Now(), func(c *counts) {
		if good {
			c.used++
		} else {
			c.unused++
		}
	})
}

func (d *Detector) outcome(organisation string, to orders.Recipient, at time.Time, add func(*counts)) {
	prefix, country := namesOf(string(to))
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.of[organisation]; o != nil && country != "" {
		o.count(o.known(prefix, country), at, add)
	}
}

func (d *Detector) organisation(name string) *organisation {
	o := d.of[name]
	if o == nil {
		o = newOrganisation()
		d.of[name] = o
	}
	return o
}

// namesOf returns the names of the units of a number; none for an address.
func namesOf(number string) (prefix, country string) {
	if !strings.HasPrefix(number, "+") {
		return "", ""
	}
	code := numbers.CountryCode(number)
	return number[:min(len(number), 1+len(code)+digits)], cmp.Or(numbers.Region(number), "+"+code)
}

// touch returns the units of an order, and makes them.
func (o *organisation) touch(prefix, country string, at time.Time) []*unit {
	if o.began.IsZero() || at.Before(o.began) {
		o.began = at
	}
	if o.units[prefix] == nil && len(o.units) < maxUnits {
		o.units[prefix] = &unit{prefix: prefix, country: country}
	}
	if o.units[country] == nil {
		o.units[country] = &unit{country: country}
	}
	return o.known(prefix, country)
}

// known returns the units that there are: the narrowest first, and that of all last.
func (o *organisation) known(prefix, country string) (units []*unit) {
	for _, name := range []string{prefix, country} {
		if u := o.units[name]; u != nil {
			units = append(units, u)
		}
	}
	return append(units, &o.all)
}

func (o *organisation) count(units []*unit, at time.Time, add func(*counts)) {
	for _, u := range units {
		if c := u.at(partOf(at), o.learns(u)); c != nil {
			add(c)
		}
	}
}

// learns reports whether what is counted of a unit is a past to compare with later: not while it, its country, or a
// prefix of it has an alarm.
func (o *organisation) learns(u *unit) bool {
	for name, a := range o.alarms {
		if name == u.prefix || a.country == u.country && (u.prefix == "" || a.prefix == "") {
			return false
		}
	}
	return true
}

// judge judges units of which many orders have come since the last time.
func (d *Detector) judge(name string, o *organisation, units []*unit, at time.Time, quiet bool) {
	for _, u := range units {
		if u == &o.all {
			continue
		}
		if u.judged++; u.judged >= often {
			u.judged = 0
			d.judgeOne(name, o, u, at, quiet)
		}
	}
}

// Run reads the past, and then judges each minute, until ctx ends.
func (d *Detector) Run(ctx context.Context, h History) error {
	if err := d.Replay(ctx, h, time.Now()); err != nil && ctx.Err() == nil {
		d.log.Error("pumping: the past can't be read: only what comes from now on is compared", "err", err)
		d.mu.Lock()
		d.ready = true
		d.mu.Unlock()
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			d.Judge(now)
		case <-ctx.Done():
			return nil
		}
	}
}

// Judge looks at everything, ends alarms, and forgets what is old.
func (d *Detector) Judge(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ready {
		return
	}
	for name, o := range d.of {
		d.judgeAll(name, o, now, false)
	}
}

// judgeAll judges prefixes before countries: an alarm is as narrow as it can be.
func (d *Detector) judgeAll(name string, o *organisation, now time.Time, quiet bool) {
	for key, u := range o.units {
		if u.idle(partOf(now)) {
			delete(o.units, key)
		}
	}
	for _, narrow := range []bool{true, false} {
		for _, u := range o.units {
			if (u.prefix != "") == narrow {
				d.judgeOne(name, o, u, now, quiet)
			}
		}
	}
	d.end(name, o, now, quiet)
}

// judgeOne raises an alarm where the last hour of a unit looks like pumping. Most of what comes to a country in an attack
// may come to one prefix: then that has the alarm.
func (d *Detector) judgeOne(name string, o *organisation, u *unit, now time.Time, quiet bool) {
	reason := o.judge(u, now)
	if reason == "" {
		return
	}
	if u.prefix == "" {
		for _, one := range o.units {
			if one.prefix != "" && one.country == u.country && o.alarms[one.prefix] == nil && 10*one.now().sent >= 8*o.without(u).sent {
				u = one
				break
			}
		}
	}
	d.raise(name, o, u, reason, now, quiet)
}

func (u *unit) name() string { return cmp.Or(u.prefix, u.country) }

// words names what a unit is of, for people.
func (u *unit) words() string {
	if u.prefix == "" {
		return "of " + u.country
	}
	return fmt.Sprintf("that begin with %s", u.prefix)
}
