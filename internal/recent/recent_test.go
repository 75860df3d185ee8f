package recent

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestRecorder: what was counted in each step, and in all; what is older is gone.
func TestRecorder(t *testing.T) {
	r, at := New(), time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	sample := func(a, b float64) {
		r.Add(at, map[string]float64{"a": a, "b": b})
		at = at.Add(Every)
	}
	sample(100, 0) // counted before the first sample
	if got := r.Growth(Minutes, "a"); got != nil || !r.Changed("a").IsZero() {
		t.Errorf("after one sample %v", got)
	}
	for i := range 5 {
		sample(100+float64(i+1), 0)
	}
	sample(105, 7)
	if got := r.Growth(Minutes, "a"); !slices.Equal(got, []float64{1, 1, 1, 1, 1, 0}) {
		t.Errorf("a grew by %v", got)
	}
	if got := r.Growth(Minutes, "a", "b", "none"); !slices.Equal(got, []float64{1, 1, 1, 1, 1, 7}) {
		t.Errorf("both grew by %v", got)
	}
	if got := r.Growth(Hour, "a", "b"); !slices.Equal(got, []float64{12}) {
		t.Errorf("in a minute that is not over: %v", got)
	}
	if got := r.Total(Hour, "a", "b"); got != 12 {
		t.Errorf("in the hour %v", got)
	}
	if got, want := r.Changed("a"), at.Add(-2*Every); !got.Equal(want) {
		t.Errorf("a changed at %v, want %v", got, want)
	}
	for range 2 * Steps {
		sample(105, 7)
	}
	if got := r.Growth(Minutes, "a"); len(got) != Steps || r.Total(Minutes, "a", "b") != 0 {
		t.Errorf("%d steps: %v", len(got), got)
	}
	if got := r.Total(Day, "a", "b"); got != 12 {
		t.Errorf("in the day %v", got)
	}
}

// TestRecorderHour: samples that come a little late still make one step a minute.
func TestRecorderHour(t *testing.T) {
	r, at := New(), time.Unix(1_800_000_000, 0)
	for i := range 12*70 + 1 {
		r.Add(at, map[string]float64{"a": float64(i)})
		at = at.Add(Every + time.Millisecond)
	}
	got := r.Growth(Hour, "a")
	if len(got) != Steps || slices.Min(got[:Steps-1]) < 11 || slices.Max(got) > 13 {
		t.Errorf("%d steps: %v", len(got), got)
	}
}

// TestRecorderIsBounded: neither new keys nor time let it grow for ever; a key that comes later began at 0.
func TestRecorderIsBounded(t *testing.T) {
	r, at := New(), time.Unix(1_800_000_000, 0)
	r.Add(at, map[string]float64{"a": 1})
	values := map[string]float64{"a": 1}
	for i := range 2 * maxKeys {
		values[fmt.Sprint("key ", i)] = 3
	}
	r.Add(at.Add(Every), values)
	if len(r.series) != maxKeys {
		t.Errorf("%d keys", len(r.series))
	}
	if grown := slices.Max(r.Growth(Minutes, func() (keys []string) {
		for key := range r.series {
			keys = append(keys, key)
		}
		return keys
	}()...)); grown != 3*(maxKeys-1) {
		t.Errorf("they grew by %v", grown)
	}
}

func TestQuantile(t *testing.T) {
	buckets := []Bucket{{10 * time.Millisecond, 50}, {20 * time.Millisecond, 90}, {0, 100}}
	for share, want := range map[float64]time.Duration{0.5: 10 * time.Millisecond, 0.25: 5 * time.Millisecond, 0.7: 15 * time.Millisecond, 0.99: 20 * time.Millisecond} {
		if got := Quantile(share, buckets).Round(time.Microsecond); got != want {
			t.Errorf("%v: %v, want %v", share, got, want)
		}
	}
	if got := Quantile(0.5, nil) + Quantile(0.5, []Bucket{{time.Second, 0}, {0, 0}}); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
