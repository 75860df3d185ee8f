package smpp

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"straks/smpp/session"
)

// slots gives out the places in the windows of all binds. A place is taken
// before anything of a message is written, so that waiting for one never makes
// an outcome doubtful.
//
// Who finds no place waits in the queue of each SMSC that is open to it: first
// come, first served, but for the parts of a message that is begun, which go before all others. A place that becomes free, or a bind that comes up, goes straight to the
// first who can use it: nobody polls, and a newcomer can't jump the queue.
// A message is let in where an SMSC of its route has a free place for it or fewer than
// MaxWaiting in its queue, counting those that were let in and are on their way
// (see admit). That is asked once, early: who is let in for the room in one
// queue waits in the others too, who comes back from an attempt waits in any, and a bind
// may go down under those that were to have its places. So queues can be longer than
// MaxWaiting, by all of these.
type slots struct {
	mu     sync.Mutex
	closed bool
}

// lease is a place in the window of one session.
type lease struct {
	bind    *binding
	session *session.Session
}

// search is what somebody wants a place for.
type search struct {
	order []*smsc       // on a bind of one of these
	avoid []*binding    // but none of these
	pause time.Duration // for so long, unless it is 0
	begun bool          // for a message that may have left in part: it goes before those that have not
}

// waiter is somebody who waits for a place. Guarded by slots.mu.
type waiter struct {
	search
	lease  lease // once served
	served bool
	woken  chan struct{} // closed when served, or when all binds close
	places []place       // in queues
}

type place struct {
	queue *list.List
	at    *list.Element
}

var (
	errClosing  = errors.New("shutting down")
	errAllTried = errors.New("every bind was tried")
	errNoBind   = errors.New("no bind is up")
	errFull     = errors.New("no place in a window came free")
	errCrowd    = errors.New("too many wait for a place already")
)

// acquire takes a place. An SMSC comes into question when those before it are down, stalled, or
// have been full for its WindowWait. A stalled bind is taken when there is
// nothing else.
//
// It waits until ctx ends, or for the pause: then it returns
// errAllTried, and the binds to avoid may be tried again.
func (s *slots) acquire(ctx context.Context, want search) (lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// As nearly always there is one. What is begun has no other bind to go to, and takes any.
	if l, ok := s.take(want.order[0], want.avoid, want.begun); ok {
		return l, nil
	}
	w := &waiter{search: want, woken: make(chan struct{})}
	defer w.leave()
	for _, c := range want.order {
		if l, ok := s.take(c, want.avoid, false); ok {
			return l, nil
		}
		w.join(&c.queue)
		if s.full(c, want.avoid) && s.await(ctx, w, c.WindowWait) {
			return w.lease, nil
		}
	}
	for _, c := range want.order {
		if l, ok := s.take(c, want.avoid, true); ok {
			return l, nil
		}
	}
	if s.await(ctx, w, want.pause) {
		return w.lease, nil
	}
	return lease{}, s.why(want.order, want.pause > 0)
}

// admit keeps room for a message of that order at the first SMSC that has some.
func (s *slots) admit(order []*smsc) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(order, (*smsc).roomy)
	if i < 0 {
		return nil, errCrowd
	}
	c := order[i]
	c.admitted++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.admitted--
	}, nil
}

// crowded tells that none of the SMSCs has room.
func (s *slots) crowded(all []*smsc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(all, (*smsc).roomy)
}

// roomy tells whether one more message would find a free place, or could wait for one,
// should all come that were admitted.
func (c *smsc) roomy() bool {
	room := c.MaxWaiting - c.queue.Len() - c.admitted
	for _, b := range c.binds {
		if b.up() {
			room += c.Window - b.inFlight
		}
	}
	return room > 0
}

// why returns the reason for which no place was found.
func (s *slots) why(order []*smsc, paused bool) error {
	switch {
	case s.closed:
		return errClosing
	case paused:
		return errAllTried
	case slices.ContainsFunc(order, func(c *smsc) bool { return slices.ContainsFunc(c.binds, (*binding).up) }):
		return errFull
	}
	return errNoBind
}

// await waits until the waiter is served, for at most d unless d is 0, and
// tells whether it was. It is called, and returns, with mu locked.
func (s *slots) await(ctx context.Context, w *waiter, d time.Duration) bool {
	if s.closed {
		return false
	}
	s.mu.Unlock()
	var timeout <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-w.woken:
	case <-timeout:
	case <-ctx.Done():
	}
	s.mu.Lock()
	return w.served
}

// take takes a place on the SMSC's bind that has the most room, if any has.
func (s *slots) take(c *smsc, avoid []*binding, lastResort bool) (lease, bool) {
	if s.closed {
		return lease{}, false
	}
	now := time.Now()
	var best *binding
	var bestLoad float64
	for _, b := range c.binds {
		if !b.up() || b.inFlight >= c.Window || slices.Contains(avoid, b) {
			continue
		}
		wait := b.pacer.wait(now)
		if !lastResort && (b.stalled(now) || wait > c.WindowWait) {
			continue
		}
		load := float64(b.inFlight)/float64(c.Window) + wait.Seconds()
		if best == nil || load < bestLoad {
			best, bestLoad = b, load
		}
	}
	if best == nil {
		return lease{}, false
	}
	return best.occupy(now), true
}

// full tells whether waiting makes sense: some bind is up and at work, but
// take found no place on it.
func (s *slots) full(c *smsc, avoid []*binding) bool {
	now := time.Now()
	return !s.closed && slices.ContainsFunc(c.binds, func(b *binding) bool {
		return b.up() && !b.stalled(now) && !slices.Contains(avoid, b)
	})
}

// release gives a place back, to the first who waits for it.
func (s *slots) release(l lease, use use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, now := l.bind, time.Now()
	if b.session != l.session {
		return // its window is gone
	}
	b.inFlight--
	switch use {
	case answered:
		b.progress, b.silent = now, time.Time{}
	case unanswered:
		b.silent = now.Add(silence * b.smsc.StallAfter)
	}
	s.serve(b)
}

// use is what became of what was sent on a place.
type use uint8

const (
	unused use = iota
	answered
	unanswered
)

// serve gives free places of a bind to those who wait for one.
func (s *slots) serve(b *binding) {
	var next *list.Element
	for e := b.smsc.queue.Front(); e != nil && b.inFlight < b.smsc.Window && !s.closed; e = next {
		next = e.Next()
		if w := e.Value.(*waiter); !slices.Contains(w.avoid, b) {
			w.lease, w.served = b.occupy(time.Now()), true
			w.leave()
			close(w.woken)
		}
	}
}

// close lets nobody in any more and sends away who waits.
func (s *slots) close(all []*smsc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range all {
		for c.queue.Len() > 0 {
			w := c.queue.Front().Value.(*waiter)
			w.leave()
			close(w.woken)
		}
	}
}

// join puts the waiter at the end of a queue, or of those at its front that are begun.
func (w *waiter) join(queue *list.List) {
	at := queue.PushBack(w)
	for e := queue.Front(); w.begun && e != at; e = e.Next() {
		if !e.Value.(*waiter).begun {
			queue.MoveBefore(at, e)
			break
		}
	}
	w.places = append(w.places, place{queue, at})
}

// leave takes the waiter out of every queue.
func (w *waiter) leave() {
	for _, p := range w.places {
		p.queue.Remove(p.at)
	}
	w.places = nil
}
