package smpp

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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

// What lasts is told once a minute, from the news of it on.
func TestWorthLogging(t *testing.T) {
	b, told := backoff{}, 0
	for s := range 150 {
		if b.worthLogging(epoch.Add(time.Duration(s)*time.Second), s == 0) {
			told++
		}
	}
	if told != 3 {
		t.Errorf("told %d times in two minutes and a half", told)
	}
	if !b.worthLogging(epoch.Add(151*time.Second), true) {
		t.Error("news were kept back")
	}
}

func TestGateAfterRefusals(t *testing.T) {
	g := gate{turn: make(chan struct{}, 1)}
	for i, base := range []time.Duration{1, 2, 4, 8, 16, 16} {
		if d := g.shut(epoch, time.Minute); d < base*time.Minute*2/3 || d > base*time.Minute*4/3+time.Second {
			t.Errorf("refusal %d: %v", i, d)
		}
	}
	g.open()
	if d := g.shut(epoch, time.Minute); d > 2*time.Minute {
		t.Errorf("%v after a bind that was let in", d)
	}
}

// Many binds with a wrong password are one attempt at a time, not many.
func TestGateLetsOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate{turn: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		var tries atomic.Int32
		var binds sync.WaitGroup
		for range 10 {
			binds.Go(func() {
				for {
					leave, err := g.enter(ctx)
					if err != nil {
						return
					}
					tries.Add(1)
					g.shut(time.Now(), time.Minute)
					leave()
				}
			})
		}
		time.Sleep(30 * time.Second)
		if n := tries.Load(); n != 1 {
			t.Errorf("%d attempts in 30 s", n)
		}
		time.Sleep(time.Hour)
		if n := tries.Load(); n > 10 {
			t.Errorf("%d attempts in an hour", n)
		}
		cancel()
		binds.Wait()
	})
}

func TestGateOpensForAll(t *testing.T) {
	g := gate{turn: make(chan struct{}, 1)}
	first, err := g.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	others := make(chan func(), 5)
	for range 5 {
		go func() {
			leave, _ := g.enter(t.Context())
			others <- leave
		}()
	}
	g.open()
	first()
	for range 5 { // none waits for another
		wait(t, others)
	}
}

// An SMSC that takes every bind and drops it is not bound to for ever at full speed.
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
