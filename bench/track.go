package main

import (
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// track records the times of each order of a run, by its number: nanoseconds since
// start, zero where the event did not happen. Safe for concurrent use.
type track struct {
	start      time.Time
	due        []atomic.Int64
	sent       []atomic.Int64 // just before the request's first octet
	submitted  []atomic.Int64 // the SMSC read the submit_sm
	answered   []atomic.Int64 // 2xx
	refused    []atomic.Int64 // any other answer
	acks       []atomic.Int64 // from the writing of a receipt to its deliver_sm_resp, in the order of the responses
	acked      atomic.Int64
	taken      atomic.Int64  // answers that are 2xx
	made       atomic.Int64  // requests
	duplicates atomic.Int64  // submits of an order that the SMSC had seen before
	improper   atomic.Int64  // refusals other than a 503 with Retry-After
	elapsed    time.Duration // from the first request to the last answer
}

// newTrack makes room for the given number of orders.
func newTrack(limit int) *track {
	times := func() []atomic.Int64 { return make([]atomic.Int64, limit) }
	return &track{start: time.Now(), due: times(), sent: times(), submitted: times(), answered: times(), refused: times(), acks: times()}
}

func (t *track) now() int64 { return int64(time.Since(t.start)) }

// submit records that the SMSC read the submit_sm with this text at that time.
func (t *track) submit(text string, at time.Time) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= len(t.submitted) {
		return
	}
	if !t.submitted[n].CompareAndSwap(0, int64(at.Sub(t.start))) {
		t.duplicates.Add(1)
	}
}

// ack records how long the gateway took to acknowledge a receipt.
func (t *track) ack(took time.Duration) {
	if n := int(t.acked.Add(1)) - 1; n < len(t.acks) {
		t.acks[n].Store(int64(took))
	}
}

// begin records that the request of an order that was due at that time leaves now.
func (t *track) begin(n int, at time.Time) {
	t.made.Add(1)
	t.due[n].Store(int64(at.Sub(t.start)))
	t.sent[n].Store(t.now())
}

func (t *track) answer(n int, a answer) {
	if a.status >= 200 && a.status <= 299 {
		t.answered[n].Store(t.now())
		t.taken.Add(1)
		return
	}
	t.refused[n].Store(t.now())
	if a.status != http.StatusServiceUnavailable || !a.retry {
		t.improper.Add(1)
	}
}

// sum writes the figures known by now into r.
func (t *track) sum(r *result) {
	last := int64(1)
	var submit, answer, refusal, ack []time.Duration
	r.Duplicates, r.Improper, r.Orders, r.Lost, r.Refused = int(t.duplicates.Load()), int(t.improper.Load()), 0, 0, 0
	for n := range t.due {
		if t.refused[n].Load() != 0 {
			r.Refused++
			refusal = append(refusal, between(&t.due[n], &t.refused[n]))
		}
		if t.answered[n].Load() == 0 {
			continue
		}
		r.Orders++
		answer = append(answer, between(&t.due[n], &t.answered[n]))
		if t.submitted[n].Load() == 0 {
			r.Lost++
			continue
		}
		submit = append(submit, between(&t.due[n], &t.submitted[n]))
		last = max(last, t.submitted[n].Load())
	}
	for n := range min(int(t.acked.Load()), len(t.acks)) {
		ack = append(ack, time.Duration(t.acks[n].Load()))
	}
	r.Rate = float64(r.Orders) / t.elapsed.Seconds()
	r.Offered = float64(r.Orders+r.Refused) / t.elapsed.Seconds()
	if len(submit) > 0 {
		r.SubmitRate = float64(len(submit)) / time.Duration(last-t.due[0].Load()).Seconds()
	}
	r.Submit, r.Answer, r.Refusal = percentilesOf(submit), percentilesOf(answer), percentilesOf(refusal)
	r.Receipt = percentilesOf(ack)
}

// late returns how late the load generator was: from when an order was due to its first
// octet.
func (t *track) late() percentiles {
	var all []time.Duration
	for n := range t.sent {
		if t.sent[n].Load() != 0 {
			all = append(all, between(&t.due[n], &t.sent[n]))
		}
	}
	return percentilesOf(all)
}

func between(from, to *atomic.Int64) time.Duration { return time.Duration(to.Load() - from.Load()) }

// percentiles of a time, in nanoseconds. The zero value means that nothing was measured.
type percentiles struct{ P50, P99, Max time.Duration }

func percentilesOf(all []time.Duration) percentiles {
	if len(all) == 0 {
		return percentiles{}
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(int(q*float64(len(all))), len(all)-1)] }
	return percentiles{P50: at(0.5), P99: at(0.99), Max: all[len(all)-1]}
}
