package smpp

import (
	"math"
	"time"
)

// rate holds a bind below what its SMSC takes: a token bucket whose rate goes
// down while the SMSC throttles (multiplicative decrease) and up again while it
// does not (additive increase), never above the configured ceiling.
//
// At the ceiling the submits are spaced evenly: a carrier that counts strictly must find no
// second with more. Below the ceiling, what was not used for a moment may be made up for, as long as it keeps
// to the ceiling.
//
// Only a lasting throttle slows the bind down: a moving share of the answers
// must have been throttled. A single one costs its own message a pause and
// nothing else; many SMSCs throttle one in so many at any rate, and to slow down
// for each of them would end at a crawl.
type rate struct {
	ceiling float64 // submits per second; +Inf for none

	limit     float64   // submits per second now
	knee      float64   // about what was sent before it went down; what growth is measured by
	next      time.Time // when the bucket has its next token, may lie burst in the past
	spent     time.Time // when a token last was
	throttled float64   // moving share of throttled answers, 0 to 1
	last      time.Time // when an answer was throttled
	adjusted  time.Time // when limit was last brought up to date
	deaf      time.Time // until then answers don't count: they are to what was sent before limit fell
	still     time.Time // until then limit doesn't grow: the SMSC said that it is nearly congested
	sent      meter
	taken     meter // answered without complaint
}

// leastRate is the lowest ceiling, a submit in a hundred seconds.
const leastRate = 0.01

const (
	throttleGain  = 1.0 / 64 // weight of one answer in the moving share
	throttleShare = 0.125    // from this share on the rate goes down: nine throttled in a row, or half of 17
	decrease      = 0.5      // what is left of the rate then, at least
	belowTaken    = 0.9      // where the SMSC takes some, the rate goes down to this share of that at once
	trusted       = 10       // a second must the SMSC take for that, or it is no measure
	measured      = 3        // tenths of a second must be known before the rate goes down
	kneeDecay     = 0.8
	increase      = 0.05 // of the knee, per second, and as much more for each second of calm
	minRate       = 1.0  // submits per second, however much the SMSC throttles
	deafTime      = 500 * time.Millisecond
	burstTime     = 100 * time.Millisecond // how much unused rate may be made up for, at most, and how much lateness
)

// newRate returns a rate under the ceiling, in submits per second; 0 means none.
func newRate(ceiling float64) *rate {
	if ceiling <= 0 {
		ceiling = math.Inf(1)
	}
	return &rate{ceiling: ceiling, limit: ceiling}
}

// wait returns how long it is to the next token.
func (r *rate) wait(now time.Time) time.Duration { return max(r.next.Sub(now), 0) }

// spread returns over how long so many submits are spaced.
func (r *rate) spread(n int) time.Duration {
	return time.Duration(math.Ceil(float64(n) * float64(time.Second) / r.limit))
}

// spend spends the next token. Who waited for it may be a little late, and none is lost by that.
func (r *rate) spend(now time.Time, waited bool) {
	r.sent.add(now)
	r.spent = now
	if math.IsInf(r.limit, 1) {
		r.next = time.Time{}
		return
	}
	slack := r.burst()
	if waited {
		slack = burstTime
	}
	r.next = later(r.next, now.Add(-slack)).Add(r.spread(1))
}

// burst returns how much unused rate may be made up for, so that not even the first second
// has more than the ceiling: (1 s + burst) * limit <= ceiling.
func (r *rate) burst() time.Duration {
	room := r.ceiling/r.limit - 1
	return time.Duration(min(room, burstTime.Seconds()) * float64(time.Second))
}

// answered notes one answer. load is what the SMSC said of itself: 1 for
// "throttled", 0 for no complaint, between them for "nearly".
func (r *rate) answered(now time.Time, load float64) {
	r.grow(now)
	if load < 1 {
		r.taken.add(now)
	}
	if load == 1 {
		r.last = now
	}
	if load > 0 && load < 1 {
		r.still = now.Add(deafTime)
		load = 0
	}
	if now.Before(r.deaf) {
		return
	}
	r.throttled += (load - r.throttled) * throttleGain
	if load == 1 && r.throttled >= throttleShare {
		r.slowDown(now)
	}
}

// slowDown lowers the limit: to just under what the SMSC takes, or if it takes next
// to nothing by half.
func (r *rate) slowDown(now time.Time) {
	if r.sent.span() < measured {
		return // too little is known of how much that would be
	}
	before := min(r.limit, max(r.sent.perSecond(now), minRate))
	knee, after := max(before, r.knee*kneeDecay), before*decrease
	if taken := r.taken.perSecond(now); taken >= trusted {
		knee, after = taken, min(taken*belowTaken, before)
	}
	r.knee = knee
	r.limit = max(after, minRate)
	r.throttled = 0
	r.deaf = now.Add(deafTime)
	r.next = later(r.next, now)
}

// grow brings limit up to now. The longer ago the last throttled answer, the larger
// the steps: just under the knee they are small, and the way back from an SMSC that
// throttled everything for a while takes seconds, not minutes. The knee grows with what is
// sent, for a limit that nobody comes near proves nothing.
func (r *rate) grow(now time.Time) {
	since := now.Sub(later(r.adjusted, later(r.deaf, r.still))).Seconds()
	r.adjusted = now
	if since <= 0 || r.limit >= r.ceiling {
		return
	}
	calm := now.Sub(later(r.deaf, r.last)).Seconds()
	step := max(r.knee*increase, minRate) * (1 + calm)
	r.limit = min(r.limit+step*min(since, 1), r.ceiling)
	r.knee = max(r.knee, min(r.limit, r.sent.perSecond(now)))
}

// loadOf reads congestion_state (SMPP 5.0 §4.8.4.18): 90 to 99 is nearly
// congested, 100 congested.
func loadOf(congestion byte) float64 {
	switch {
	case congestion >= 100:
		return 1
	case congestion >= 90:
		return 0.5
	}
	return 0
}

// current returns the limit in submits per second; 0 means that there is none.
func (r *rate) current(now time.Time) float64 {
	r.grow(now)
	if math.IsInf(r.limit, 1) {
		return 0
	}
	return r.limit
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// meter counts what happened in the last second, in tenths of it.
type meter struct {
	tenth  int64 // number of the newest bucket, in tenths of a second since 1970
	first  int64 // of the oldest that counts: nothing is known of the time before
	counts [meterTenths]int
}

const meterTenths = 10

func (m *meter) add(now time.Time) {
	m.advance(now)
	m.counts[m.tenth%meterTenths]++
}

func (m *meter) advance(now time.Time) {
	tenth := now.UnixMilli() / 100
	if tenth-m.tenth >= meterTenths || tenth < m.tenth { // a pause, or a clock put back: what was is over
		*m = meter{tenth: tenth, first: tenth}
		return
	}
	for m.tenth < tenth {
		m.tenth++
		m.counts[m.tenth%meterTenths] = 0
	}
}

func (m *meter) perSecond(now time.Time) float64 {
	m.advance(now)
	sum := 0
	for _, n := range m.counts {
		sum += n
	}
	return float64(sum) * meterTenths / float64(m.span())
}

// span returns over how many tenths of a second the meter has counted.
func (m *meter) span() int64 { return min(m.tenth-m.first+1, meterTenths) }
