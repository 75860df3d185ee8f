package pumping

import (
	"cmp"
	"time"
)

// What a jump is. All is about the last hour, against the week before it.
const (
	leastPast   = 24 * time.Hour // of an organisation, before anything of it is judged
	leastOrders = 200            // likewise
	floor       = 100            // orders, for a jump of the share
	times       = 5              // the highest hour, and the usual share
	established = 0.10           // share of a country whose prefixes may take any share
	settled     = 50             // outcomes, for a jump of the rate of bad ones
	mostBad     = 0.5            // that rate at the least
	timesBad    = 3              // the usual rate
	fewOthers   = 20             // outcomes, with which nothing can be compared
	growth      = 2              // the usual orders of an hour, for that
)

// Reasons of alarms.
const (
	Share       = "share"
	Undelivered = "undelivered"
	Unused      = "unused"
)

var reasons = []string{Share, Undelivered, Unused}

// judge returns why the last hour of a unit looks like pumping; empty where it does not.
func (o *organisation) judge(u *unit, now time.Time) (reason string) {
	p := partOf(now)
	o.all.advance(p, true)
	u.advance(p, o.learns(u))
	hour, past, all, allPast := o.without(u), u.past(), o.all.now(), o.all.past()
	known := now.Sub(o.began) - time.Hour
	if known < leastPast || allPast.sent < leastOrders || hour.sent+hour.bad+hour.unused < settled {
		return ""
	}
	usual := float64(past.sent) / min(known, pastDays*24*time.Hour).Hours() // orders in an hour
	share := ratio(past.sent+1, allPast.sent+1)
	switch {
	case hour.sent >= floor && float64(hour.sent) >= times*max(float64(past.peak), 1) &&
		ratio(hour.sent, all.sent) >= times*share && o.shareOf(u.country) < established:
		return Share
	case float64(hour.sent) < growth*usual:
		return ""
	case o.jumped(u, rate{hour.bad, hour.good}, rate{past.bad, past.good}, rate{all.bad, all.good}, rate{allPast.bad, allPast.good}):
		return Undelivered
	case o.jumped(u, rate{hour.unused, hour.used}, rate{past.unused, past.used}, rate{all.unused, all.used}, rate{allPast.unused, allPast.used}):
		return Unused
	}
	return ""
}

// without returns the last hour of a unit. A country's is without the prefixes that have an alarm of their own.
func (o *organisation) without(u *unit) counts {
	c := u.now()
	if u.prefix != "" {
		return c
	}
	for name := range o.alarms {
		if one := o.units[name]; one != nil && one.prefix != "" && one.country == u.country {
			n := one.now()
			c.sent, c.good, c.bad = less(c.sent, n.sent), less(c.good, n.good), less(c.bad, n.bad)
			c.used, c.unused = less(c.used, n.used), less(c.unused, n.unused)
		}
	}
	return c
}

func less(a, b uint32) uint32 { return a - min(a, b) }

// shareOf returns the usual share of a country.
func (o *organisation) shareOf(country string) float64 {
	u := o.units[country]
	if u == nil {
		return 0
	}
	past, all := u.past(), o.all.past()
	return ratio(past.sent, all.sent)
}

// rate is how often it ended badly, and how often well.
type rate struct{ bad, good uint32 }

func (r rate) n() uint32 { return r.bad + r.good }

func (r rate) of() float64 { return ratio(r.bad, r.n()) }

// jumped reports whether the rate of a unit has jumped. One of which little is known is compared with all of its
// organisation. Where the others fare as badly now, nobody is suspected; nor is a country where there are no others.
func (o *organisation) jumped(u *unit, now, past, all, allPast rate) bool {
	if now.n() < settled {
		return false
	}
	const weight = 20 // of what is usual for all
	usual := (float64(past.bad) + weight*ratio(allPast.bad+1, allPast.n()+2)) / float64(past.n()+weight)
	if r := now.of(); r < mostBad || r < timesBad*usual && r < usual+(1-usual)*0.8 {
		return false
	}
	others := rate{less(all.bad, now.bad), less(all.good, now.good)}
	if others.n() < fewOthers {
		return u.prefix != "" || o.shareOf(u.country) < established
	}
	return others.of() < now.of()/2
}

func ratio(a, b uint32) float64 { return float64(a) / float64(cmp.Or(b, 1)) }
