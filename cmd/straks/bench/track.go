package bench

import (
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// Track is what is known of each order of a run, by its number. Times are
// nanoseconds since the run's start; zero where the thing did not happen.
type Track struct {
	start    time.Time
	made     atomic.Int64
	begun    []atomic.Int64
	written  []atomic.Int64 // when its first octet leaves
	seen     []atomic.Int64
	answered []atomic.Int64
	turned   []atomic.Int64 // when it was refused
	arrived  []atomic.Int64 // when the kernel had that, in an open load
	acks     []atomic.Int64 // from the writing of a receipt to its answer, in the order of the answers
	acked    atomic.Int64
	taken    atomic.Int64  // answers that are 2xx
	repeated atomic.Int64  // submits of an order that the SMSC had seen before
	refused  atomic.Int64  // answers other than 2xx
	rude     atomic.Int64  // of those, other than 503 with Retry-After
	Elapsed  time.Duration // from the first request to the last answer
}

// NewTrack makes room for the given number of orders.
func NewTrack(limit int) *Track {
	room := func() []atomic.Int64 { return make([]atomic.Int64, limit) }
	return &Track{start: time.Now(), begun: room(), written: room(), seen: room(), answered: room(), turned: room(), arrived: room(), acks: room()}
}

func (t *Track) now() int64 { return int64(time.Since(t.start)) }

// Seen notes that the SMSC read the submit_sm with this text at that time.
func (t *Track) Seen(text string, at time.Time) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= len(t.seen) {
		return
	}
	if !t.seen[n].CompareAndSwap(0, int64(at.Sub(t.start))) {
		t.repeated.Add(1)
	}
}

// Acked notes how long the gateway took to acknowledge a receipt.
func (t *Track) Acked(took time.Duration) {
	if n := int(t.acked.Add(1)) - 1; n < len(t.acks) {
		t.acks[n].Store(int64(took))
	}
}

// begin notes that the order is made, which was to be at that time, and leaves now.
func (t *Track) begin(n int, at time.Time) {
	t.made.Add(1)
	t.begun[n].Store(int64(at.Sub(t.start)))
	t.written[n].Store(t.now())
}

func (t *Track) answer(n int, a answer) {
	if a.status >= 200 && a.status <= 299 {
		t.answered[n].Store(t.now())
		t.taken.Add(1)
		return
	}
	t.turned[n].Store(t.now())
	t.refused.Add(1)
	if a.status != http.StatusServiceUnavailable || !a.again {
		t.rude.Add(1)
	}
}

// Refusals tells how long orders took that were refused.
type Refusals struct {
	Percentiles
	Late float64 `json:"late"` // the share of those that took longer than maxRefusal
}

// maxRefusal is how soon an order that is turned away is to know.
const maxRefusal = 10 * time.Millisecond

// arrive notes when the kernel had the refusal of an order.
func (t *Track) arrive(n int, at time.Time) {
	t.arrived[n].Store(at.UnixNano() - t.start.UnixNano())
}

// refusals tells how long orders that were begun so long after the start took to be refused, from
// when they were due until the generator had read it.
func (t *Track) refusals(from time.Duration) Refusals { return t.between(from, t.begun, t.turned) }

// served is refusals without what the generator took itself: from an order's first octet until the
// kernel had the refusal.
func (t *Track) served(from time.Duration) Refusals { return t.between(from, t.written, t.arrived) }

func (t *Track) between(from time.Duration, first, last []atomic.Int64) (r Refusals) {
	var all []time.Duration
	late := 0
	for n := range last {
		if last[n].Load() == 0 || t.begun[n].Load() < int64(from) {
			continue
		}
		took := since(&first[n], &last[n])
		all = append(all, took)
		if took > maxRefusal {
			late++
		}
	}
	if len(all) > 0 {
		r = Refusals{percentiles(all), float64(late) / float64(len(all))}
	}
	return r
}

// delays tells how late the load generator was: how long an order that was due had to wait for it.
func (t *Track) delays() Percentiles {
	var all []time.Duration
	for n := range t.written {
		if t.written[n].Load() != 0 {
			all = append(all, since(&t.begun[n], &t.written[n]))
		}
	}
	return percentiles(all)
}

// sumUp puts into r what is known by now.
func (t *Track) sumUp(r *Result) {
	r.Repeated, r.Refused = int(t.repeated.Load()), int(t.refused.Load())
	r.Orders, r.Unseen = 0, 0
	last := int64(1)
	var submit, answer, ack []time.Duration
	for n := range t.begun {
		if t.answered[n].Load() == 0 {
			continue
		}
		r.Orders++
		answer = append(answer, since(&t.begun[n], &t.answered[n]))
		if t.seen[n].Load() == 0 {
			r.Unseen++
			continue
		}
		submit = append(submit, since(&t.begun[n], &t.seen[n]))
		last = max(last, t.seen[n].Load())
	}
	for n := range min(int(t.acked.Load()), len(t.acks)) {
		ack = append(ack, time.Duration(t.acks[n].Load()))
	}
	r.Rate = float64(r.Orders) / t.Elapsed.Seconds()
	if len(submit) > 0 {
		r.SubmitRate = float64(len(submit)) / time.Duration(last-t.begun[0].Load()).Seconds()
	}
	r.Submit, r.Answer, r.Receipt = percentiles(submit), percentiles(answer), percentiles(ack)
}

func since(from, to *atomic.Int64) time.Duration { return time.Duration(to.Load() - from.Load()) }

func percentiles(all []time.Duration) Percentiles {
	if len(all) == 0 {
		return Percentiles{}
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(int(q*float64(len(all))), len(all)-1)] }
	return Percentiles{P50: at(0.5), P99: at(0.99), Max: all[len(all)-1]}
}
