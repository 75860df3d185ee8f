package smpp

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := backoff{refusedDelay: time.Minute, most: 30 * time.Second}
	now := epoch
	attempts := 0
	for now.Before(epoch.Add(fastPhase)) {
		d := b.next(now, false)
		if d < 150*time.Millisecond || d > 450*time.Millisecond {
			t.Fatalf("%v in the first minute", d)
		}
		now = now.Add(d)
		attempts++
	}
	var last time.Duration
	for range 40 {
		last = b.next(now, false)
		now = now.Add(last)
	}
	if last < 20*time.Second || last > 40*time.Second {
		t.Errorf("%v in a long outage", last)
	}
	if b.lost(now, time.Hour); b.next(now, false) > time.Second {
		t.Error("a new outage begins slowly")
	}
}

func TestBackoffOfRefusedCredentials(t *testing.T) {
	b := backoff{refusedDelay: time.Minute, most: 30 * time.Second}
	for i, base := range []time.Duration{1, 2, 4, 8, 16, 16} {
		if d := b.next(epoch, true); d < base*time.Minute*2/3 || d > base*time.Minute*4/3+time.Second {
			t.Errorf("attempt %d: %v", i, d)
		}
	}
	if d := b.next(epoch, false); d > time.Second {
		t.Errorf("%v after another kind of failure", d)
	}
}

// An SMSC that takes every bind and drops it is not bound to for ever at full speed.
func TestBackoffOfFlapping(t *testing.T) {
	b := backoff{refusedDelay: time.Minute, most: 30 * time.Second}
	now := epoch
	var d time.Duration
	for range 400 {
		b.lost(now, time.Second)
		d = b.next(now, false)
		now = now.Add(d + time.Second)
	}
	if d < 15*time.Second {
		t.Errorf("still every %v", d)
	}
}
