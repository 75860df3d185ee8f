// Package recent keeps what counters counted lately: in memory, bounded, and gone with the process. It reads
// counters that exist; it counts nothing itself.
//
//	recent.go    Recorder: samples of counters, in three steps of time
//	quantile.go  times from the buckets of a histogram
package recent

import (
	"sync"
	"time"
)

// Span is a step of time, and for how many steps it is kept.
type Span uint8

const (
	Minutes Span = iota // the last 5 minutes, in steps of 5 s
	Hour                // the last hour, in steps of a minute
	Day                 // the last 24 hours, in steps of 15 minutes
	spans
)

// Steps is how many steps of each span are kept.
const Steps = 60

// daySteps is that of Day.
const daySteps = 96

// Every is the time between two samples.
const Every = 5 * time.Second

var shapes = [spans]struct {
	step  time.Duration
	steps int
}{Minutes: {Every, Steps}, Hour: {time.Minute, Steps}, Day: {15 * time.Minute, daySteps}}

// maxKeys bounds the counters of a recorder. Further ones are not kept.
const maxKeys = 8000

// Recorder keeps samples of counters by key. It is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	started time.Time // of the first sample
	counts  [spans]int
	next    [spans]time.Time
	series  map[string]*series
}

// series is one counter: its last values, one for each step, the newest last.
type series struct {
	value   float64
	changed time.Time // when the value was last seen to grow; zero: not since the first sample
	kept    [spans][]float64
}

// New returns a recorder without samples.
func New() *Recorder { return &Recorder{series: make(map[string]*series)} }

// Add takes the values of all counters at a time. A counter that was not there before began at 0, except at
// the first sample: what was counted before it is of no time.
func (r *Recorder) Add(now time.Time, values map[string]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.started.IsZero()
	if first {
		r.started = now
	}
	for key, v := range values {
		s := r.series[key]
		if s == nil {
			if len(r.series) >= maxKeys {
				continue
			}
			s = &series{}
			if first {
				s.value = v
			}
			r.series[key] = s
		}
		if v > s.value {
			s.changed = now
		}
		s.value = v
	}
	for span, shape := range shapes {
		if now.Before(r.next[span]) {
			continue
		}
		r.next[span] = now.Add(shape.step - Every/2) // samples are never quite in time
		for _, s := range r.series {
			s.keep(Span(span), r.counts[span], shape.steps)
		}
		r.counts[span] = min(r.counts[span]+1, shape.steps+1)
	}
}

// keep appends the value. A series that is younger than others had 0 before.
func (s *series) keep(span Span, had, most int) {
	kept := s.kept[span]
	for len(kept) < had {
		kept = append(kept, 0)
	}
	if len(kept) > most {
		kept = append(kept[:0], kept[1:]...)
	}
	s.kept[span] = append(kept, s.value)
}

// Step returns the time of one step of the span.
func Step(span Span) time.Duration { return shapes[span].step }

// Growth returns by how much the sum of the counters grew in each step of the span, the oldest first. Steps
// before the first sample are left out; the last one of Hour and Day may not be over.
func (r *Recorder) Growth(span Span, keys ...string) []float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.counts[span] - 1
	if n < 0 || n < 1 && span == Minutes {
		return nil
	}
	grown := make([]float64, n, n+1)
	for _, key := range keys {
		s := r.series[key]
		if s == nil {
			continue
		}
		kept := s.kept[span]
		for i := max(len(kept)-n, 1); i < len(kept); i++ {
			grown[i+n-len(kept)] += max(kept[i]-kept[i-1], 0) // a gauge may fall
		}
	}
	if span == Minutes { // its steps are the samples
		return grown
	}
	last := 0.0
	for _, key := range keys {
		if s := r.series[key]; s != nil {
			kept := 0.0
			if had := s.kept[span]; len(had) > 0 {
				kept = had[len(had)-1]
			}
			last += max(s.value-kept, 0)
		}
	}
	grown = append(grown, last)
	return grown[max(len(grown)-shapes[span].steps, 0):]
}

// Total returns by how much the sum of the counters grew over the span, to the last sample.
func (r *Recorder) Total(span Span, keys ...string) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := 0.0
	for _, key := range keys {
		if s := r.series[key]; s != nil && len(s.kept[span]) > 0 {
			total += s.value - s.kept[span][0]
		}
	}
	return total
}

// Value returns the counter's value at the last sample.
func (r *Recorder) Value(key string) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.series[key]; s != nil {
		return s.value
	}
	return 0
}

// Changed returns when one of the counters was last seen to grow, to Every; zero if none did since the start.
func (r *Recorder) Changed(keys ...string) (last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if s := r.series[key]; s != nil && s.changed.After(last) {
			last = s.changed
		}
	}
	return last
}

// Since returns when the first sample was taken; zero before.
func (r *Recorder) Since() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.started
}
