package smpp

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"
)

// rate holds a bind below the rate that its SMSC accepts: a token bucket whose limit goes
// down while the SMSC throttles (multiplicative decrease) and up again while it
// does not (additive increase), never above the configured ceiling.
//
// At the ceiling the submits are spaced evenly: a carrier that counts strictly must find no
// second with more. Below the ceiling, rate that was unused for a moment may be made up for,
// as long as the ceiling is kept.
//
// Only lasting throttling slows the bind down: a moving share of the responses
// must have been throttled. A single one costs its own message a pause and
// nothing else. Many SMSCs throttle a fixed share of messages at any rate, and slowing down
// for each of them would end at a crawl.
type rate struct {
	ceiling float64 // submits per second; +Inf for none

	limit     float64   // submits per second now
	knee      float64   // about the rate before the limit went down; growth is measured by it
	next      time.Time // when the bucket has its next token, may lie burst in the past
	spent     time.Time // when a token was last spent
	throttled float64   // moving share of throttled responses, 0 to 1
	last      time.Time // when a response was last throttled
	adjusted  time.Time // when limit was last brought up to date
	deaf      time.Time // until then responses don't count: they are to submits from before limit fell
	still     time.Time // until then limit doesn't grow: the SMSC said that it is nearly congested
	sent      meter
	taken     meter // responses that were not throttled
}

// leastRate is the lowest ceiling, a submit in a hundred seconds.
const leastRate = 0.01

const (
	throttleGain  = 1.0 / 64 // weight of one response in the moving share
	throttleShare = 0.125    // share from which the limit goes down: nine throttled in a row, or half of 17
	decrease      = 0.5      // share of the rate that is left then, at least
	belowTaken    = 0.9      // where the SMSC accepts some, the limit goes to this share of that rate
	trusted       = 10       // an SMSC that accepts fewer per second gives no measure for that
	measured      = 3        // tenths of a second that must be known before the limit goes down
	kneeDecay     = 0.8
	increase      = 0.05 // of the knee, per second, and as much again for each second without throttling
	minRate       = 1.0  // submits per second, however much the SMSC throttles
	deafTime      = 500 * time.Millisecond
	burstTime     = 100 * time.Millisecond // of unused rate, or of lateness, that may be made up for, at most
)

// newRate returns a rate under the ceiling, in submits per second; 0 means none.
func newRate(ceiling float64) *rate {
	if ceiling <= 0 {
		ceiling = math.Inf(1)
	}
	return &rate{ceiling: ceiling, limit: ceiling}
}

// wait returns the time until the next token.
func (r *rate) wait(now time.Time) time.Duration { return max(r.next.Sub(now), 0) }

// spread returns the time over which n submits are spaced.
func (r *rate) spread(n int) time.Duration {
	return time.Duration(math.Ceil(float64(n) * float64(time.Second) / r.limit))
}

// spend spends the next token. A sender that waited for it may be a little late.
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

// answered records one response. load is what it says of the SMSC: 1 for
// "throttled", 0 for nothing, between them for "nearly congested".
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

// slowDown lowers the limit: to just under the rate that the SMSC accepts, or by half if it
// accepts next to nothing.
func (r *rate) slowDown(now time.Time) {
	if r.sent.span() < measured {
		return // too little is known of that rate
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

// grow brings limit up to now. The longer ago the last throttled response, the larger
// the steps: just under the knee they are small, and the way back from an SMSC that
// throttled everything for a while takes seconds, not minutes. The knee grows only with the
// rate that is really sent, for a limit that is never reached proves nothing.
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

// loadOf returns the load for a congestion_state (SMPP 5.0 §4.8.4.18): 90 to 99 is nearly
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

// meter counts the events of the last second, in tenths of it.
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
	if tenth-m.tenth >= meterTenths || tenth < m.tenth { // after a pause, or a clock put back, all counts are void
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

// pacer hands out the tokens of a bind's rate: first to parts of messages that have started,
// then first come, first served. A message starts only if the rate, after what is already
// promised, leaves enough tokens for all its parts before the deadline. Safe for concurrent use.
type pacer struct {
	mu       sync.Mutex
	rate     *rate
	promised int       // tokens that a sender waits for, or will for its next part
	started  list.List // of *taker: for messages that have started
	fresh    list.List // and for the first token of a message
	armed    bool      // serve will be called
}

// taker waits for a token.
type taker struct {
	woken chan struct{} // closed when the token is granted, or never will be
	err   error         // in the latter case
}

func newPacer(ceiling float64) *pacer { return &pacer{rate: newRate(ceiling)} }

// wait returns how long a submit that comes now would wait for its token.
func (p *pacer) wait(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.backlog(now)
}

func (p *pacer) backlog(now time.Time) time.Duration {
	return p.rate.wait(now) + p.rate.spread(p.promised)
}

// waiting returns how many senders wait for a token, and when the last was spent.
func (p *pacer) waiting() (n int, spent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started.Len() + p.fresh.Len(), p.rate.spent
}

// answered records one response; see rate.answered.
func (p *pacer) answered(now time.Time, load float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate.answered(now, load)
}

// current returns the limit in submits per second; 0 means that there is none.
func (p *pacer) current(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate.current(now)
}

// begin waits for the first token of a message of that many parts, and is promised the others. It
// fails with errRate, at once if the last token would come after the end of ctx.
func (p *pacer) begin(ctx context.Context, parts int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.rate.grow(now)
	if deadline, ok := ctx.Deadline(); ok && now.Add(p.last(now, parts)).After(deadline) {
		return errRate
	}
	p.promised += parts
	err := p.take(ctx, &p.fresh, now)
	if err != nil {
		p.promised -= parts - 1
	}
	return err
}

// last returns the time in which the last of the parts should have gone.
func (p *pacer) last(now time.Time, parts int) time.Duration {
	d := p.backlog(now) + p.rate.spread(parts-1)
	if parts > 1 {
		d += d / 8 // each must find a slot, too
	}
	return d
}

// follow waits for a token of a message that has started: one that was promised, or one more,
// for a part that was put off.
func (p *pacer) follow(ctx context.Context, promised bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !promised {
		p.promised++
	}
	return p.take(ctx, &p.started, time.Now())
}

// forgo gives up tokens that were promised.
func (p *pacer) forgo(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.promised -= n
}

// take takes a promised token, for which it waits in the queue if necessary. It is called, and
// returns, with mu locked. The promise is kept or withdrawn then.
func (p *pacer) take(ctx context.Context, queue *list.List, now time.Time) error {
	p.rate.grow(now)
	switch {
	case ctx.Err() != nil:
		p.promised--
		return errRate
	case p.started.Len()+p.fresh.Len() == 0 && p.rate.wait(now) == 0: // nearly always
		p.promised--
		p.rate.spend(now, false)
		return nil
	}
	w := taker{woken: make(chan struct{})}
	at := queue.PushBack(&w)
	p.arm(now)
	p.mu.Unlock()
	select {
	case <-w.woken:
	case <-ctx.Done():
	}
	p.mu.Lock()
	select {
	case <-w.woken:
	default:
		queue.Remove(at)
		p.promised--
	}
	if ctx.Err() != nil {
		return errRate
	}
	return w.err
}

// wake takes the first sender out of a queue.
func (p *pacer) wake(queue *list.List, err error) {
	w := queue.Remove(queue.Front()).(*taker)
	p.promised--
	w.err = err
	close(w.woken)
}

// dismiss wakes all waiting senders with an error, since the bind is lost. Nothing could be
// written, and the tokens would be missing when the bind is back.
func (p *pacer) dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, queue := range []*list.List{&p.started, &p.fresh} {
		for queue.Len() > 0 {
			p.wake(queue, errBindLost)
		}
	}
}

// arm schedules serve for the next token.
func (p *pacer) arm(now time.Time) {
	if !p.armed {
		p.armed = true
		time.AfterFunc(p.rate.wait(now), p.serve)
	}
}

// serve grants the available tokens to waiting senders.
func (p *pacer) serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	now := time.Now()
	p.rate.grow(now)
	for {
		queue := &p.started
		if queue.Len() == 0 {
			queue = &p.fresh
		}
		if queue.Len() == 0 {
			return
		}
		if p.rate.wait(now) > 0 {
			p.arm(now)
			return
		}
		p.rate.spend(now, true)
		p.wake(queue, nil)
	}
}
