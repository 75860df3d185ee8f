package smpp

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"straks/smpp/session"
)

// slots gives out the windows of all binds. It is the only count of them: sessions have
// none. A slot is taken before anything of a message is written, so that waiting for one
// never makes an outcome doubtful.
//
// A sender that finds no free slot waits in the queue of every SMSC on its route, first
// come, first served. Parts of a message that has started go to the front. A slot that is
// released, and every slot of a bind that comes up, goes straight to the first waiter that
// can use it: nobody polls, and a newcomer can't overtake.
//
// A message joins only queues with fewer than SMSC.MaxWaiting waiters. Where there is none,
// it is told so at once. A message that has started, and one that comes back from an
// attempt, joins any queue; so a queue can be longer than MaxWaiting by these.
type slots struct {
	mu     sync.Mutex
	closed bool
}

// slot is the right to have one submit unanswered on one session.
type slot struct {
	bind     *bind
	session  *session.Session
	released bool // under slots.mu

	// Of the part that it is used for. A late response is recognised by them.
	written time.Time // under slots.mu; zero until its submit_sm is written
	message string    // Message.ID
	index   int
	total   int
	userRef uint16
}

// want is what a sender needs a slot for.
type want struct {
	order   []*smsc       // on a bind of one of these
	avoid   []*bind       // but none of these, which it comes back from
	pause   time.Duration // waits no longer than this, unless it is 0
	started bool          // for a message that may have left in part
}

// waiter is a sender that waits for a slot. Guarded by slots.mu.
type waiter struct {
	want
	slot    *slot         // once it is served
	refused error         // once it waits for nothing: its SMSC has become silent
	woken   chan struct{} // closed when either is set, or when all binds close
	queued  []queued
}

// queued is a waiter's element in the queue of one SMSC.
type queued struct {
	queue   *list.List
	element *list.Element
}

var (
	errClosing   = errors.New("shutting down")
	errAllTried  = errors.New("every bind was tried")
	errNoBind    = errors.New("no bind is up")
	errFull      = errors.New("window full")
	errQueueFull = errors.New("wait queue full")
)

// acquire takes a slot. An SMSC is considered when those before it on the route are down,
// stalled, or have been full for their WindowWait. A stalled bind is taken when there is
// nothing else, and one of a silent SMSC only for a probe. If the whole route is silent or
// down, and some of it silent, the error is a *silence.Error, at once; if all of it has been
// down for a while, it is errNoBind, at once.
//
// It waits until ctx ends, or for want.pause: then the error is errAllTried, and the binds
// in want.avoid may be tried again.
func (s *slots) acquire(ctx context.Context, want want) (*slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Nearly always the first SMSC has a free slot. A message that has started can go to no
	// other bind, and takes a stalled one too.
	if first := want.order[0]; want.started || !first.paused && !first.silent(time.Now()) {
		if slot := s.take(first, &want, want.started); slot != nil {
			return slot, nil
		}
	}
	w := &waiter{want: want, woken: make(chan struct{})}
	defer w.leave()
	for _, c := range want.order {
		if c.paused && !want.started {
			continue
		}
		if want.shuns(c) {
			if slot := s.probe(c, want, true); slot != nil {
				return slot, nil
			}
			w.join(c) // it may answer meanwhile
			continue
		}
		if slot := s.take(c, &want, false); slot != nil {
			return slot, nil
		}
		if w.join(c) && c.working(want.avoid) && s.await(ctx, w, c.WindowWait) {
			return w.slot, nil
		}
		if w.refused != nil {
			return nil, w.refused
		}
	}
	if err := want.unanswered(); err != nil {
		if slot := s.probeAny(want); slot != nil {
			return slot, nil
		}
		return nil, err
	}
	if !want.started && want.allPaused() {
		return nil, ErrPaused
	}
	if want.down() {
		return nil, errNoBind
	}
	for _, c := range want.order {
		if want.shuns(c) || c.paused && !want.started {
			continue
		}
		if slot := s.take(c, &want, true); slot != nil {
			return slot, nil
		}
	}
	if !s.closed && len(w.queued) == 0 {
		return nil, errQueueFull
	}
	if s.await(ctx, w, want.pause) {
		return w.slot, nil
	}
	return nil, cmp.Or(w.refused, s.why(want))
}

// why returns the reason for which no slot was found in time.
func (s *slots) why(want want) error {
	switch {
	case s.closed:
		return errClosing
	case want.pause > 0:
		return errAllTried
	case slices.ContainsFunc(want.order, func(c *smsc) bool { return slices.ContainsFunc(c.binds, (*bind).open) }):
		return errFull
	}
	return errNoBind
}

// await waits until the waiter is served, for at most d unless d is 0, and
// reports whether it was. It is called, and returns, with mu locked.
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
	return w.slot != nil
}

// take takes a slot of the SMSC's bind that is loaded least, nil if none is free. Stalled
// binds, and those whose rate would keep the message longer than WindowWait, are a last
// resort.
func (s *slots) take(c *smsc, want *want, lastResort bool) *slot {
	if s.closed {
		return nil
	}
	now := time.Now()
	var best *bind
	var bestLoad float64
	for _, b := range c.binds {
		if !b.up() || b.leaving && !want.started || b.inFlight >= c.Window || slices.Contains(want.avoid, b) {
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
		return nil
	}
	return best.occupy(now)
}

// working reports whether waiting for a slot makes sense: a bind is up and responds.
func (c *smsc) working(avoid []*bind) bool {
	now := time.Now()
	return slices.ContainsFunc(c.binds, func(b *bind) bool {
		return b.open() && !b.stalled(now) && !slices.Contains(avoid, b)
	})
}

// use is what became of the submit that a slot was taken for.
type use uint8

const (
	unused     use = iota // it was not written
	answered              // its response came
	unanswered            // it was given up after ResponseTimeout
)

// release gives a slot back. Only the first call does, and none once the session has ended. A
// second one, with answered, records a response that came after it was given up.
func (s *slots) release(slot *slot, use use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := slot.bind
	if b.session != slot.session {
		return
	}
	now := time.Now()
	silent := b.smsc.silent(now)
	slot.track(use, now)
	if !slot.released {
		slot.released = true
		b.inFlight--
		switch use {
		case answered:
			b.progress, b.stalledUntil = now, time.Time{}
		case unanswered:
			b.stalledUntil = now.Add(stallTimes * b.smsc.StallAfter)
		}
		s.serve(b)
	}
	if silent && !b.smsc.silent(now) {
		s.answersAgain(b.smsc)
	}
}

// open makes the window of a new session available.
func (s *slots) open(b *bind, with *session.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.session, b.inFlight, b.stalledUntil, b.leaving = with, 0, time.Time{}, false
	b.smsc.silence.Restarted()
	s.serve(b)
}

// shut takes the window away, with all of its slots. A sender that holds one notices by the
// session's errors. One that waits for a token of the bind's rate is woken.
func (s *slots) shut(b *bind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.smsc.silence.Lost(time.Now(), b.owed)
	if b.session, b.inFlight, b.owed = nil, 0, 0; !b.smsc.up() && !b.leaving {
		b.smsc.downSince = time.Now()
	}
	b.pacer.dismiss()
}

// leave lets no message start on a bind from now on. Those that wait, and can go nowhere else, are refused.
func (s *slots) leave(b *bind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.leaving || b.session == nil {
		return
	}
	if b.leaving = true; b.smsc.up() {
		return
	}
	b.smsc.downSince = time.Now()
	s.refuse(b.smsc, func(w *waiter) error {
		if w.started || slices.ContainsFunc(w.order, (*smsc).up) {
			return nil
		}
		return errNoBind
	})
}

// serve gives free slots of a bind to those who wait for one.
func (s *slots) serve(b *bind) {
	var next *list.Element
	for e := b.smsc.queue.Front(); e != nil && b.inFlight < b.smsc.Window && !s.closed; e = next {
		next = e.Next()
		w, now := e.Value.(*waiter), time.Now()
		if slices.Contains(w.avoid, b) || !w.started && (b.leaving || b.smsc.paused || !b.smsc.admits(now)) {
			continue
		}
		w.slot = b.occupy(now)
		w.leave()
		close(w.woken)
	}
}

// close gives out no more slots and wakes every waiter.
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

// join adds the waiter to the queue of an SMSC, if that has room for it: at the end, or
// behind those at its front that have started.
func (w *waiter) join(c *smsc) bool {
	if c.paused && !w.started {
		return false
	}
	if c.queue.Len() >= c.MaxWaiting && !w.started && len(w.avoid) == 0 {
		return false
	}
	at := c.queue.PushBack(w)
	for e := c.queue.Front(); w.started && e != at; e = e.Next() {
		if !e.Value.(*waiter).started {
			c.queue.MoveBefore(at, e)
			break
		}
	}
	w.queued = append(w.queued, queued{&c.queue, at})
	return true
}

// leave takes the waiter out of every queue.
func (w *waiter) leave() {
	for _, q := range w.queued {
		q.queue.Remove(q.element)
	}
	w.queued = nil
}

// occupy takes a slot that is free.
func (b *bind) occupy(now time.Time) *slot {
	if b.inFlight == 0 {
		b.progress = now
	}
	b.inFlight++
	return &slot{bind: b, session: b.session}
}

// up reports whether messages can be submitted on the bind.
func (b *bind) up() bool { return b.session != nil }

// open reports whether messages may start on it.
func (b *bind) open() bool { return b.up() && !b.leaving }

// stallTimes is for how many times StallAfter a bind that left a submit
// unanswered counts as stalled.
const stallTimes = 10

// stalled reports whether the SMSC owes responses for longer than it should.
func (b *bind) stalled(now time.Time) bool {
	return now.Before(b.stalledUntil) || b.inFlight > 0 && now.Sub(b.progress) > b.smsc.StallAfter && b.overdue(now)
}

// overdue reports whether a response is overdue once StallAfter has passed without one. A
// sender waiting for a rate token also holds a slot, but is not yet owed a response; and a
// single outstanding response has been owed at most since the last token was spent.
func (b *bind) overdue(now time.Time) bool {
	waiting, spent := b.pacer.waiting()
	owed := b.inFlight - waiting
	return owed > 1 || owed == 1 && now.Sub(spent) > b.smsc.StallAfter
}
