package smsctest

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestClockKeepsTimeAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, done := newClock(), make(chan struct{})
		go c.run(done)
		start := time.Now()
		var mu sync.Mutex // the first runs in this goroutine
		var got []int
		add := func(n int, d time.Duration) {
			c.after(d, func() {
				if late := time.Since(start) - d; late != 0 {
					t.Errorf("%d ran %v late", n, late)
				}
				mu.Lock()
				defer mu.Unlock()
				got = append(got, n)
			})
		}
		add(5, time.Minute)
		add(3, time.Second)
		add(4, time.Second) // due together: in the order of the calls
		add(2, time.Millisecond)
		add(1, 0)
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if close(done); !slices.Equal(got, []int{1, 2, 3, 4, 5}) {
			t.Errorf("ran %v", got)
		}
		synctest.Wait()
	})
}

func TestClockIsBounded(t *testing.T) {
	c := newClock() // not running
	c.most = 100
	ran := 0
	for range c.most {
		c.after(time.Hour, func() { ran++ })
	}
	if ran != 0 {
		t.Fatal("ran early")
	}
	if c.after(time.Hour, func() { ran++ }); ran != 1 || len(c.due) != c.most {
		t.Errorf("%d waiting, %d ran", len(c.due), ran)
	}
}

func TestFreezerThaws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var z freezer
		c, done := newClock(), make(chan struct{})
		go c.run(done)
		start := time.Now()
		z.freeze(c, time.Minute)
		z.freeze(c, time.Second) // changes nothing
		if !z.pass(done) || time.Since(start) != time.Minute {
			t.Errorf("passed after %v", time.Since(start))
		}
		z.freeze(c, 0)
		close(done)
		if z.pass(done) {
			t.Error("passed while frozen for ever")
		}
		synctest.Wait()
	})
}
