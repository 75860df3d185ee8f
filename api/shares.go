package api

import (
	"errors"
	"log/slog"
	"sync"
)

// errFull refuses a request because all requests, or all bodies, take too much already. It has no effect and is
// answered like orders.ErrBusy.
var errFull = errors.New("no room")

// greatest is how many times as much as what is free one organisation may hold. So an organisation alone can have three
// quarters of the whole. When a second one comes, the first gets nothing more until it is down to its new share: three
// sevenths each, in the end. Something is always left for an organisation that holds little. (Choudhury and Hahne:
// Dynamic Queue Length Thresholds in a Shared Memory ATM Switch, 1996.)
const greatest = 3

// nobody stands for all callers without a good token. Together they may hold an eighth of what is free.
const nobody = ""

// shares divides places, or octets, between the organisations that want them. Nothing waits for a share.
type shares struct {
	total int

	mu   sync.Mutex
	free int
	held map[string]int // by organisation; those that hold nothing are absent
}

func newShares(total int) *shares {
	return &shares{total: total, free: total, held: make(map[string]int)}
}

// take gives n more to the organisation, and reports whether its share allows that.
func (s *shares) take(organisation string, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	share := greatest * s.free
	if organisation == nobody {
		share = max(1, s.free/8)
	}
	if n > s.free || s.held[organisation]+n > share {
		return false
	}
	s.free -= n
	s.held[organisation] += n
	return true
}

// give takes n back.
func (s *shares) give(organisation string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	if s.held[organisation] -= n; s.held[organisation] == 0 {
		delete(s.held, organisation)
	}
}

// inUse returns how much all organisations hold.
func (s *shares) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total - s.free
}

// full counts and logs a request that is refused for a reason, and returns errFull.
func (a *api) full(reason, organisation string) error {
	a.metrics.refused.WithLabelValues(reason).Inc()
	a.shortages.Write(reason+"/"+organisation, slog.LevelWarn, "request refused",
		slog.String("reason", reason), slog.String("organisation", organisation))
	return errFull
}
