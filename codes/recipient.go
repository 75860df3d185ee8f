package codes

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	// MaxWrong is how many wrong codes an address of a recipient may have in WrongSpan, over all of an organisation's
	// verifications. Then it is stopped for StopFor.
	MaxWrong  = 100
	WrongSpan = time.Hour
	StopFor   = time.Hour
	// MaxPending is how many verifications of an address may be pending at a time.
	MaxPending = 5
	// addressKept is how long an address is kept after its last use, and up to an hour longer, so that few uses change
	// that time: longer than anything of it lasts.
	addressKept = 24 * time.Hour
)

// address is what is kept of an address of a recipient. This is its stored form.
type address struct {
	Open    []uuid.UUID `json:"o,omitempty"` // pending verifications, the newest last; some may have expired
	Last    uuid.UUID   `json:"l,omitzero"`  // the one that ended last
	Wrong   []int64     `json:"w,omitempty"` // when codes were wrong, in unix seconds, the newest last
	Stopped time.Time   `json:"s,omitzero"`  // until when it is stopped

	newer
}

// stopped returns for how long an address is still stopped; 0: it is not.
func (a *address) stopped(now time.Time) time.Duration {
	return min(max(a.Stopped.Sub(now), 0), StopFor) // a clock that is set back does not make it longer
}

// wrong counts a wrong code, and reports whether the address is stopped with it.
func (a *address) wrong(now time.Time) bool {
	since := now.Add(-WrongSpan).Unix()
	a.Wrong = slices.DeleteFunc(a.Wrong, func(at int64) bool { return at <= since })
	a.Wrong = append(a.Wrong, now.Unix())
	if len(a.Wrong) < MaxWrong {
		return false
	}
	a.Wrong, a.Stopped = nil, now.Add(StopFor).UTC()
	return true
}

// opened notes a verification that begins.
func (a *address) opened(id uuid.UUID) { a.Open = append(a.Open, id) }

// ended notes one that has ended.
func (a *address) ended(id uuid.UUID) {
	a.Open = slices.DeleteFunc(a.Open, func(o uuid.UUID) bool { return o == id })
	a.Last = id
}
