package api

import (
	"testing"
	"testing/synctest"
	"time"
)

// A burst fills the room. A crowd that stays is held to half of it, until it
// has become small, and the next burst to the time since then; who is with a carrier
// is no crowd.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := int64(0)
		r := newRoom(Room{Most: 10, Standing: 4}, func() int64 { return away }, func() bool { return false })
		expect := func(when string, places int) {
			t.Helper()
			n := 0
			for r.enter() {
				n++
			}
			if n != places || !r.full() {
				t.Errorf("%s: %d places, want %d; full %v", when, n, places, r.full())
			}
		}
		leave := func(n int) {
			for range n {
				r.leave()
			}
		}
		time.Sleep(time.Hour)
		expect("a burst", 10)
		leave(1)
		expect("who follows it", 1)
		time.Sleep(patience)
		leave(7)
		expect("a crowd that stays", 1)
		leave(2)
		expect("a smaller one", 2)
		away = 2
		expect("two of them with a carrier", 2)
		time.Sleep(patience)
		expect("they still are", 0)
		away = 0
		leave(6)
		expect("no burst right after a crowd", 4)
		leave(4)
		time.Sleep(patience / 2)
		expect("a burst after half the time", 10)
		time.Sleep(patience/2 - 1)
		leave(1)
		expect("it lasts for as long", 1)
		time.Sleep(time.Nanosecond)
		leave(1)
		expect("but not longer", 0)
		leave(9)
		time.Sleep(time.Hour)
		expect("a burst after long", 10)
		time.Sleep(patience - 1)
		leave(1)
		expect("it lasts for longer", 1)
		time.Sleep(time.Nanosecond)
		leave(1)
		expect("but not for ever", 0)
	})
}

// Without a number for crowds there is none.
func TestRoomDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(Room{Most: 3}, func() int64 { return 0 }, func() bool { return false })
		for range 3 {
			time.Sleep(time.Hour)
			if !r.enter() {
				t.Error("no place of three")
			}
		}
		if r.enter() || !r.full() {
			t.Error("a fourth place")
		}
	})
}

// Where the carriers take nothing there is room for a few only, until they do.
func TestRoomBeforeShutCarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shut := true
		r := newRoom(Room{Most: 100, Standing: 48}, func() int64 { return 0 }, func() bool { return shut })
		for range 3 {
			if !r.enter() {
				t.Error("none of three places")
			}
		}
		if r.enter() {
			t.Error("a fourth one")
		}
		shut = false
		if !r.enter() {
			t.Error("no place now that they take some")
		}
	})
}

// Even the smallest room has one for a repeat then.
func TestRoomForOneBeforeShutCarriers(t *testing.T) {
	r := newRoom(Room{Most: 7}, func() int64 { return 0 }, func() bool { return true })
	if !r.enter() || r.enter() {
		t.Error("want one place")
	}
}
