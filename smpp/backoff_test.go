package smpp

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := backoff{most: 30 * time.Second}
	now := epoch
	attempts := 0
	for now.Before(epoch.Add(fastPhase)) {
		d := b.next(now)
		if d < 150*time.Millisecond || d > 450*time.Millisecond {
			t.Fatalf("%v in the first minute", d)
		}
		now = now.Add(d)
		attempts++
	}
	var last time.Duration
	for range 40 {
		last = b.next(now)
		now = now.Add(last)
	}
	if last < 20*time.Second || last > 40*time.Second {
		t.Errorf("%v in a long outage", last)
	}
	if b.lost(now, time.Hour); b.next(now) > time.Second {
		t.Error("a new outage begins slowly")
	}
}

// A lasting failure is logged at once, and then once a minute.
func TestWorthLogging(t *testing.T) {
	b, told := backoff{}, 0
	for s := range 150 {
		if b.worthLogging(epoch.Add(time.Duration(s)*time.Second), s == 0) {
			told++
		}
	}
	if told != 3 {
		t.Errorf("logged %d times in two minutes and a half", told)
	}
	if !b.worthLogging(epoch.Add(151*time.Second), true) {
		t.Error("a new failure was not logged")
	}
}

// An SMSC that accepts every bind and drops it is not bound to for ever at full speed.
func TestBackoffOfFlapping(t *testing.T) {
	b := backoff{most: 30 * time.Second}
	now := epoch
	var d time.Duration
	for range 400 {
		b.lost(now, time.Second)
		d = b.next(now)
		now = now.Add(d + time.Second)
	}
	if d < 15*time.Second {
		t.Errorf("still every %v", d)
	}
}
