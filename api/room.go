package api

import (
	"cmp"
	"sync/atomic"
	"time"
)

// Room bounds the calls of a channel that are answered at a time. A burst is
// taken in and done, one call after another; a crowd that stays only makes
// everybody wait, and everything dearer by its size. So after a crowd, a burst
// may last as long as it has been calm since, 100 ms at most. Calls whose order is
// with its carrier (orders.Service.WithCarrier) burden nothing here, and one
// carrier that hangs is not to keep orders from another: they are no crowd. Nor is there
// room for one where the channel's carriers would turn all of it away
// (orders.Service.Full): a sixteenth of Standing is let through then, since a repeat
// among them is owed its answer.
type Room struct {
	Most     int // calls; 4096
	Standing int // calls that may be a crowd for longer; Most
}

// patience is for how long at most more calls than Room.Standing are taken.
const patience = 100 * time.Millisecond

// room is a Room in use.
type room struct {
	most, standing int64
	away           func() int64 // of the calls, those that are no crowd
	shut           func() bool  // the carriers take none
	opened         time.Time
	calls          atomic.Int64
	calm           atomic.Int64 // when the crowd was last but half of standing, in ns since opened
	turned         atomic.Int64 // when there were last more than that, and a burst was over
}

func newRoom(r Room, away func() int64, shut func() bool) *room {
	most := cmp.Or(r.Most, 4096)
	opened := time.Now().Add(-patience) // the first burst may last as long as any
	return &room{most: int64(most), standing: int64(min(cmp.Or(r.Standing, most), most)), away: away, shut: shut, opened: opened}
}

// enter takes a place for a call, which leave gives back; false where there is none.
func (r *room) enter() bool {
	if r.fits(r.calls.Add(1)) {
		return true
	}
	r.leave()
	return false
}

func (r *room) leave() { r.calls.Add(-1) }

// full tells that enter would return false now.
func (r *room) full() bool { return !r.fits(r.calls.Load() + 1) }

func (r *room) fits(calls int64) bool {
	crowd := calls - r.away()
	if crowd <= r.standing/2 {
		r.note(&r.calm)
	}
	switch {
	case calls > r.most || crowd > max(r.standing/16, 1) && r.shut():
		return false
	case crowd <= r.standing || r.bursts():
		return true
	}
	r.note(&r.turned)
	return false
}

// bursts tells that a burst may last longer.
func (r *room) bursts() bool {
	calm := r.calm.Load()
	return r.now()-calm < min(int64(patience), calm-r.turned.Load())
}

// note sets one of the times to now; not each time, since all processors would
// write to one place.
func (r *room) note(at *atomic.Int64) {
	if now := r.now(); now-at.Load() > int64(patience/16) {
		at.Store(now)
	}
}

func (r *room) now() int64 { return int64(time.Since(r.opened)) }
