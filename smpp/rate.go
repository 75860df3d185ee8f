package smpp

import (
	"math"
	"sync"
	"time"
)

// rate holds a bind below what its SMSC takes: a token bucket whose rate goes
// down while the SMSC throttles (multiplicative decrease) and up again while it
// does not (additive increase), never above the configured ceiling.
//
// Only a lasting throttle slows the bind down: a moving share of the answers
// must have been throttled. A single one costs its own message a pause and
// nothing else; many SMSCs throttle one in so many at any rate, and to slow down
// for each of them would end at a crawl.
//
// Safe for concurrent use.
type rate struct {
	ceiling float64 // submits per second; +Inf for none

	mu        sync.Mutex
	limit     float64   // submits per second now
	knee      float64   // what it was when it last went down
	next      time.Time // when the bucket has its next token, may lie burst in the past
	throttled float64   // moving share of throttled answers, 0 to 1
	adjusted  time.Time // when limit was last brought up to date
	deaf      time.Time // until then answers don't count: they are to what was sent before limit fell
	still     time.Time // until then limit doesn't grow: the SMSC said that it is nearly congested
	sent      meter
}

const (
	throttleGain  = 1.0 / 32 // weight of one answer in the moving share
	throttleShare = 0.1      // share of throttled answers from which on the rate goes down
	decrease      = 0.7      // what is left of the rate then
	increase      = 0.05     // of the knee, per second, and per second that it lasted
	minRate       = 1.0      // submits per second, however much the SMSC throttles
	deafTime      = 500 * time.Millisecond
	burstTime     = 100 * time.Millisecond // how much unused rate may be made up for
)

// newRate returns a rate under the ceiling, in submits per second; 0 means none.
func newRate(ceiling float64) *rate {
	if ceiling <= 0 {
		ceiling = math.Inf(1)
	}
	return &rate{ceiling: ceiling, limit: ceiling, knee: ceiling}
}

// wait returns how long a submit that comes now would wait for its token.
func (r *rate) wait(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.next.Sub(now), 0)
}

// take takes a token and returns how long to wait before it is good. With a
// wait above most none is taken.
func (r *rate) take(now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grow(now)
	if wait = max(r.next.Sub(now), 0); wait > most {
		return wait, false
	}
	r.sent.add(now)
	if math.IsInf(r.limit, 1) {
		r.next = time.Time{}
		return 0, true
	}
	if earliest := now.Add(-burstTime); r.next.Before(earliest) {
		r.next = earliest
	}
	r.next = r.next.Add(time.Duration(float64(time.Second) / r.limit))
	return wait, true
}

// answered notes one answer. load is what the SMSC said of itself: 1 for
// "throttled", 0 for no complaint, between them for "nearly".
func (r *rate) answered(now time.Time, load float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grow(now)
	if now.Before(r.deaf) {
		return
	}
	if load > 0 && load < 1 {
		r.still = now.Add(deafTime)
		return
	}
	r.throttled += (load - r.throttled) * throttleGain
	if load == 0 || r.throttled < throttleShare {
		return
	}
	r.knee = min(r.limit, max(r.sent.perSecond(now), minRate))
	r.limit = max(r.knee*decrease, minRate)
	r.throttled = 0
	r.deaf = now.Add(deafTime)
	r.next = later(r.next, now)
}

// grow brings limit up to now. The longer ago the last decrease, the larger the
// steps: just under the knee they are small, and the way back from an SMSC that
// throttled everything for a while takes seconds, not minutes.
func (r *rate) grow(now time.Time) {
	since := now.Sub(later(r.adjusted, later(r.deaf, r.still))).Seconds()
	r.adjusted = now
	if since <= 0 || r.limit >= r.ceiling {
		return
	}
	calm := now.Sub(r.deaf).Seconds()
	step := max(r.knee*increase, minRate) * (1 + calm)
	r.limit = min(r.limit+step*min(since, 1), r.ceiling)
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
	r.mu.Lock()
	defer r.mu.Unlock()
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

// meter estimates events per second over the last one to two seconds.
type meter struct {
	second         int64 // unix time of this
	this, previous int
}

func (m *meter) add(now time.Time) {
	m.advance(now)
	m.this++
}

func (m *meter) advance(now time.Time) {
	switch second := now.Unix(); second - m.second {
	case 0:
	case 1:
		m.second, m.previous, m.this = second, m.this, 0
	default:
		m.second, m.previous, m.this = second, 0, 0
	}
}

func (m *meter) perSecond(now time.Time) float64 {
	m.advance(now)
	fraction := float64(now.Nanosecond()) / 1e9
	return float64(m.this) + float64(m.previous)*(1-fraction)
}
