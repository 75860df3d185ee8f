package api

import (
	"cmp"
	"sync/atomic"
	"time"
)

// Room bounds the calls of a channel that are answered at a time. A burst is
// taken in and done, one call after another; a crowd that stays only makes
// everybody wait, and everything dearer by its size. Calls for whose order a
// carrier takes its time (orders.Service.Lingering) burden nothing here, and one
// carrier that hangs is not to keep orders from another: they are no crowd.
type Room struct {
	Most     int // calls; 4096
	Standing int // calls that may be a crowd for longer than 100 ms; Most
}

// patience is for how long more calls than Room.Standing are taken.
const patience = 100 * time.Millisecond

// room is a Room in use.
type room struct {
	most, standing int64
	lingering      func() int64 // of the calls, those that are no crowd
	opened         time.Time
	calls          atomic.Int64
	calm           atomic.Int64 // when the crowd was last but half of standing, in ns since opened
}

func newRoom(r Room, lingering func() int64) *room {
	most := cmp.Or(r.Most, 4096)
	return &room{most: int64(most), standing: int64(min(cmp.Or(r.Standing, most), most)), lingering: lingering, opened: time.Now()}
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
	crowd := calls - r.lingering()
	if crowd <= r.standing/2 {
		r.relax()
	}
	return calls <= r.most && (crowd <= r.standing || r.now()-r.calm.Load() < int64(patience))
}

// relax notes that the crowd is small; not each time, since all processors
// would write to one place.
func (r *room) relax() {
	if now := r.now(); now-r.calm.Load() > int64(patience/16) {
		r.calm.Store(now)
	}
}

func (r *room) now() int64 { return int64(time.Since(r.opened)) }
