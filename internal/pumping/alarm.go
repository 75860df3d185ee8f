package pumping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"straks/orders"
)

// alarm is a suspicion about a unit.
type alarm struct {
	prefix, country string
	words           string
	reason          string
	since, until    time.Time
}

// Suspicion is an alarm as operators see it.
type Suspicion struct {
	Organisation string    `json:"organisation"`
	Prefix       string    `json:"prefix"` // "+371200", or a country ("LV")
	Reason       string    `json:"reason"` // share, undelivered or unused
	Since        time.Time `json:"since"`
	Until        time.Time `json:"until"` // when it ends, if it goes on no longer
	Stopped      bool      `json:"stopped"`
	Orders       int       `json:"orders"`  // of the last hour
	Refused      int       `json:"refused"` // likewise
	Most         int       `json:"most"`    // in an hour of the week before
}

// raise begins an alarm, or lets it go on.
func (d *Detector) raise(name string, o *organisation, u *unit, reason string, now time.Time, quiet bool) {
	if now.Before(o.lifted[u.name()]) {
		return
	}
	until := now.Add(d.cfg.StopFor)
	if a := o.alarms[u.name()]; a != nil {
		a.until = until
		return
	}
	a := &alarm{prefix: u.prefix, country: u.country, words: u.words(), reason: reason, since: now, until: until}
	o.alarms[u.name()] = a
	if quiet {
		return
	}
	d.metrics.alarms.WithLabelValues(name, reason).Inc()
	d.tell(name, o, u.name(), a, "pumping suspected: see straks limits list")
}

func (d *Detector) tell(name string, o *organisation, key string, a *alarm, message string) {
	s := o.suspicion(name, key, a, d.mode(name))
	d.log.Error(message, "organisation", name, "prefix", key, "reason", a.reason, "orders_in_an_hour", s.Orders, "most_in_an_hour_before", s.Most,
		"stopped", s.Stopped, "until", s.Until.UTC().Format(time.RFC3339))
}

func (o *organisation) suspicion(name, key string, a *alarm, mode Mode) Suspicion {
	s := Suspicion{Organisation: name, Prefix: key, Reason: a.reason, Since: a.since, Until: a.until, Stopped: mode == Stop}
	if u := o.units[key]; u != nil {
		hour := u.now()
		s.Orders, s.Refused, s.Most = int(hour.sent), int(hour.refused), int(u.past().peak)
	}
	return s
}

// end ends the alarms that have lasted long enough. One whose orders go on being refused begins again.
func (d *Detector) end(name string, o *organisation, now time.Time, quiet bool) {
	for key, until := range o.lifted {
		if !now.Before(until) {
			delete(o.lifted, key)
		}
	}
	for key, a := range o.alarms {
		if now.Before(a.until) {
			continue
		}
		if u := o.units[key]; u != nil {
			u.advance(partOf(now), false)
			if u.now().refused >= floor {
				a.until = now.Add(d.cfg.StopFor)
				continue
			}
		}
		delete(o.alarms, key)
		if !quiet {
			d.log.Info("pumping no longer suspected", "organisation", name, "prefix", key)
		}
	}
}

// stopped returns the alarm that an order falls under, nil where there is none.
func (o *organisation) stopped(prefix, country string, at time.Time) *alarm {
	for _, name := range []string{prefix, country} {
		if a := o.alarms[name]; a != nil && at.Before(a.until) {
			return a
		}
	}
	return nil
}

func (a *alarm) refusal(at time.Time) error {
	return &orders.LimitError{Rule: "pumping", Key: "limits.pumping", After: max(a.until.Sub(at), time.Second),
		Limit: fmt.Sprintf("no orders to numbers %s, which are suspected of pumping,", a.words)}
}

// Suspicions returns all alarms, by organisation and prefix.
func (d *Detector) Suspicions() []Suspicion {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []Suspicion{}
	for name, o := range d.of {
		for _, key := range slices.Sorted(maps.Keys(o.alarms)) {
			all = append(all, o.suspicion(name, key, o.alarms[key], d.mode(name)))
		}
	}
	slices.SortStableFunc(all, func(a, b Suspicion) int { return cmp.Compare(a.Organisation, b.Organisation) })
	return all
}

// Lift ends an alarm, and raises none about the same prefix for a day: by then what comes is usual. It returns false where
// there is no such alarm.
func (d *Detector) Lift(organisation, prefix string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.of[organisation]
	if o == nil || o.alarms[prefix] == nil {
		return false
	}
	delete(o.alarms, prefix)
	o.lifted[prefix] = now.Add(liftFor)
	return true
}
