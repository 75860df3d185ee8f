package api

import (
	"testing"
	"testing/synctest"
	"time"
)

// A burst fills the room. A crowd that stays is held to half of it, until it
// has become small; who lingers is no crowd.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lingering := int64(0)
		r := newRoom(Room{Most: 10, Standing: 4}, func() int64 { return lingering })
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
		lingering = 2
		expect("two of them linger", 2)
		time.Sleep(patience)
		expect("they still do", 0)
		lingering = 0
		leave(5)
		expect("another burst", 9)
	})
}

// Without a number for crowds there is none.
func TestRoomDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(Room{Most: 3}, func() int64 { return 0 })
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
