package smpp

import (
	"context"
	"sync"
	"time"

	"straks/smpp/session"
	"straks/smpp/wire"
)

// bindLimiter keeps the binds of one SMSC from locking the account by trying refused
// credentials over and over.
//
//	closed  at the start, and again when a bind is refused while none is up. The binds try
//	        one at a time. After a refusal none tries for SMSC.RefusedDelay, doubling up to
//	        16 times that.
//	open    from the first accepted bind on. Every bind tries when it likes, except those
//	        refused since then: each of them waits as above by a count of its own, and only
//	        one of them tries at a time, SMSC.RefusedDelay apart.
//
// So a bind that the SMSC does not want keeps no other out. Binds that were refused
// together, before the first of them could warn the others, count as one refusal.
type bindLimiter struct {
	delay time.Duration // SMSC.RefusedDelay

	mu       sync.Mutex
	open     bool
	proven   bool                // it was open before
	up       int                 // sessions
	trying   bool                // a bind that waited for its turn is trying
	until    time.Time           // no bind that must wait for its turn tries before
	refusals int                 // in a row, while closed
	byBind   map[*bind]*refusals // since it opened
	changed  chan struct{}       // closed, and replaced, when waiting binds must check again
}

// refusals is what an open limiter knows of a bind that was refused.
type refusals struct {
	count int
	until time.Time // it doesn't try before
}

// bindPermit allows one attempt to bind. It must be released after the attempt.
type bindPermit struct {
	bind *bind
	turn bool // others that must wait for their turn wait until it is released
	open bool // whether the limiter was open
	up   bool // whether another bind was up
}

func newBindLimiter(delay time.Duration) bindLimiter {
	return bindLimiter{delay: delay, byBind: make(map[*bind]*refusals), changed: make(chan struct{})}
}

// acquire waits until the bind may make an attempt.
func (l *bindLimiter) acquire(ctx context.Context, b *bind) (bindPermit, error) {
	for {
		p, wait, changed := l.check(b, time.Now())
		if wait <= 0 {
			return p, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return bindPermit{}, ctx.Err()
		}
	}
}

// check returns a permit, or how long to wait for one unless changed is closed before.
func (l *bindLimiter) check(b *bind, now time.Time) (p bindPermit, wait time.Duration, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p = bindPermit{bind: b, open: l.open, up: l.up > 0}
	until := l.until
	if l.open {
		r := l.byBind[b]
		if r == nil {
			return p, 0, nil
		}
		until = later(until, r.until)
	}
	if l.trying {
		return p, time.Hour, l.changed // release closes changed
	}
	if wait = until.Sub(now); wait > 0 {
		return p, wait, l.changed
	}
	l.trying, p.turn = true, true
	return p, 0, nil
}

// release gives a permit back.
func (l *bindLimiter) release(p bindPermit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.turn {
		l.trying = false
		l.wakeAll()
	}
}

// accepted records that the SMSC accepted the bind. lost must be called when it is no longer up.
func (l *bindLimiter) accepted(b *bind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up++
	delete(l.byBind, b)
	if !l.open {
		l.open, l.proven, l.refusals, l.until = true, true, 0, time.Time{}
		clear(l.byBind)
		l.wakeAll()
	}
}

func (l *bindLimiter) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up--
}

// refused records that the SMSC refused our credentials. It returns for how long the bind
// does not try again, and whether that holds for this bind alone, since others are up.
func (l *bindLimiter) refused(p bindPermit, now time.Time) (delay time.Duration, alone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.open && (p.up || l.up > 0):
		return l.refusedAlone(p.bind, now), true
	case p.open && !l.open: // together with the bind that closed the limiter
		return max(l.until.Sub(now), 0), false
	case l.open:
		l.open, l.refusals = false, 0
	}
	delay = l.delayAfter(l.refusals)
	l.refusals++
	l.until = now.Add(delay)
	l.wakeAll() // binds that waited by their own count, perhaps longer
	return delay, false
}

func (l *bindLimiter) refusedAlone(b *bind, now time.Time) time.Duration {
	r := l.byBind[b]
	if r == nil {
		r = new(refusals)
		l.byBind[b] = r
	}
	delay := l.delayAfter(r.count)
	r.count++
	r.until = now.Add(delay)
	l.until = later(l.until, now.Add(l.delayAfter(0)))
	return delay
}

// tryNow ends the waits that are under way.
func (l *bindLimiter) tryNow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	for _, r := range l.byBind {
		r.until = time.Time{}
	}
	l.wakeAll()
}

// delayAfter returns the wait after a refusal that n others preceded.
func (l *bindLimiter) delayAfter(n int) time.Duration { return jitter(l.delay << min(n, 4)) }

// wakeAll has all waiting binds check again. Under mu.
func (l *bindLimiter) wakeAll() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// credentials reports whether a refusal is about our credentials. ESME_RBINDFAIL says no more
// than "no": many SMSCs send it for a wrong password, and many for one bind too many, or while
// they still count a session that the network has lost. It means the latter once they have
// accepted a bind.
func (l *bindLimiter) credentials(refusal *session.BindError) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return refusal.Credentials() && !(l.proven && refusal.Status == wire.ESMEBindFail)
}

func (l *bindLimiter) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}
