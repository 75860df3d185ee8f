package pumping

import "time"

const (
	part      = 5 * time.Minute
	parts     = 12 // in an hour
	partsADay = int64(24 * time.Hour / part)
	pastDays  = 7
)

// counts are what is counted in a span of time.
type counts struct {
	sent, refused uint32
	good, bad     uint32 // delivered, and not
	used, unused  uint32
	peak          uint32 // of a day: the most orders of an hour
}

func (c *counts) add(o counts) {
	c.sent += o.sent
	c.refused += o.refused
	c.good += o.good
	c.bad += o.bad
	c.used += o.used
	c.unused += o.unused
	c.peak = max(c.peak, o.peak)
}

// unit is what is counted of a prefix, a country, or all of an organisation.
type unit struct {
	prefix  string // "+371200"; empty: a country, or all
	country string // as numbers.Region has it, or the code of a network of no country; empty: all
	newest  int64  // part of time
	hour    [parts]counts
	before  [parts]uint32        // orders of the hour before that one
	days    [pastDays + 1]counts // by day, without the last hour
	dayOf   [pastDays + 1]int64
	judged  uint32 // orders since the last judgement
}

func partOf(at time.Time) int64 { return at.Unix() / int64(part/time.Second) }

// at returns the counts of a part of time, nil where it is before the last hour. learn: what leaves the hour becomes past.
func (u *unit) at(p int64, learn bool) *counts {
	u.advance(p, learn)
	if p <= u.newest-parts {
		return nil
	}
	return &u.hour[p%parts]
}

// advance moves the hour on to a part of time.
func (u *unit) advance(to int64, learn bool) {
	if u.newest == 0 {
		u.newest = to
	}
	for n := 0; u.newest < to; n++ {
		if n == 2*parts { // all has left
			u.newest = to
			return
		}
		leaving := u.newest - parts + 1
		c := u.hour[leaving%parts]
		if !learn {
			c = counts{}
		}
		u.before[leaving%parts] = c.sent
		for _, sent := range u.before {
			c.peak += sent
		}
		if c != (counts{}) {
			u.day(leaving / partsADay).add(c)
		}
		u.newest++
		u.hour[u.newest%parts] = counts{}
	}
}

func (u *unit) day(n int64) *counts {
	i := n % (pastDays + 1)
	if u.dayOf[i] != n {
		u.dayOf[i], u.days[i] = n, counts{}
	}
	return &u.days[i]
}

// now returns the counts of the last hour.
func (u *unit) now() (c counts) {
	for i := range u.hour {
		c.add(u.hour[i])
	}
	return c
}

// past returns the counts of the days before the last hour.
func (u *unit) past() (c counts) {
	for i, n := range u.dayOf {
		if n >= u.newest/partsADay-pastDays {
			c.add(u.days[i])
		}
	}
	return c
}

// idle reports whether nothing is left of it.
func (u *unit) idle(now int64) bool { return now/partsADay-u.newest/partsADay > pastDays }

// merge adds what another unit has counted in the last hour.
func (u *unit) merge(o *unit) {
	for p := o.newest - parts + 1; p <= o.newest; p++ {
		if c := o.hour[p%parts]; c != (counts{}) {
			if mine := u.at(p, true); mine != nil {
				mine.add(c)
			}
		}
	}
}
