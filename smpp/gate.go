package smpp

import (
	"context"
	"sync"
	"time"

	"straks/smpp/session"
	"straks/smpp/wire"
)

// gate keeps the binds of one SMSC from locking the account by trying refused
// credentials over and over.
//
//	shut  at the start, and again when a bind is refused while none is up. The binds try one
//	      at a time, and after a refusal none does for SMSC.RefusedDelay, doubling up to
//	      16 times that.
//	open  from the first bind that is let in. Every bind tries when it likes, but for those
//	      that were refused meanwhile: each of them waits as long as above by a count of its
//	      own, and of all of them one tries at a time, SMSC.RefusedDelay apart.
//
// So a bind that the SMSC does not want keeps no other out. Binds that were refused
// together, before the first of them could warn the others, count as one.
type gate struct {
	delay time.Duration // SMSC.RefusedDelay

	mu       sync.Mutex
	open     bool
	proven   bool                   // it was open before
	up       int                    // sessions
	trying   bool                   // a bind whose turn it is
	until    time.Time              // none that must wait for its turn tries before
	refusals int                    // in a row, while shut
	refused  map[*binding]*refusals // since it opened
	changed  chan struct{}          // closed, and made anew, when those that wait are to look again
}

// refusals is what an open gate knows of a bind that was refused.
type refusals struct {
	count int
	until time.Time // it doesn't try before
}

// pass lets a bind make one attempt. leave must be called when it has been made.
type pass struct {
	bind *binding
	turn bool // the others that wait for their turn do so until leave
	open bool // whether the gate was open
	up   bool // whether another bind was up
}

func newGate(delay time.Duration) gate {
	return gate{delay: delay, refused: make(map[*binding]*refusals), changed: make(chan struct{})}
}

// enter waits until the bind may make an attempt.
func (g *gate) enter(ctx context.Context, b *binding) (pass, error) {
	for {
		p, wait, changed := g.look(b, time.Now())
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
			return pass{}, ctx.Err()
		}
	}
}

// look returns a pass, or how long to wait for one unless something changes.
func (g *gate) look(b *binding, now time.Time) (p pass, wait time.Duration, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p = pass{bind: b, open: g.open, up: g.up > 0}
	until := g.until
	if g.open {
		r := g.refused[b]
		if r == nil {
			return p, 0, nil
		}
		until = later(until, r.until)
	}
	if g.trying {
		return p, time.Hour, g.changed // leave tells
	}
	if wait = until.Sub(now); wait > 0 {
		return p, wait, g.changed
	}
	g.trying, p.turn = true, true
	return p, 0, nil
}

// leave gives a pass back.
func (g *gate) leave(p pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.turn {
		g.trying = false
		g.tell()
	}
}

// letIn notes that the SMSC let the bind in. lost must be called when it is no longer up.
func (g *gate) letIn(b *binding) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.up++
	delete(g.refused, b)
	if !g.open {
		g.open, g.proven, g.refusals, g.until = true, true, 0, time.Time{}
		clear(g.refused)
		g.tell()
	}
}

func (g *gate) lost() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.up--
}

// refuse notes that the SMSC refused our credentials. It returns for how long the bind
// does not try again, and whether that goes for this bind alone, since others are up.
func (g *gate) refuse(p pass, now time.Time) (delay time.Duration, alone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.open && (p.up || g.up > 0):
		return g.refuseOne(p.bind, now), true
	case p.open && !g.open: // together with that which shut it
		return max(g.until.Sub(now), 0), false
	case g.open:
		g.open, g.refusals = false, 0
	}
	delay = g.grown(g.refusals)
	g.refusals++
	g.until = now.Add(delay)
	g.tell() // those that wait by themselves, perhaps for longer
	return delay, false
}

func (g *gate) refuseOne(b *binding, now time.Time) time.Duration {
	r := g.refused[b]
	if r == nil {
		r = new(refusals)
		g.refused[b] = r
	}
	delay := g.grown(r.count)
	r.count++
	r.until = now.Add(delay)
	g.until = later(g.until, now.Add(g.grown(0)))
	return delay
}

// grown returns the wait after so many refusals before this one.
func (g *gate) grown(before int) time.Duration { return jitter(g.delay << min(before, 4)) }

// tell has all that wait look again. Under mu.
func (g *gate) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// credentials tells whether a refusal is about who we are. ESME_RBINDFAIL says no more
// than "no": many SMSCs say it to a wrong password, and many to one bind too many or as long as
// they count a session that the network has lost. The latter it is once they have let us in.
func (g *gate) credentials(refusal *session.BindError) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return refusal.Credentials() && !(g.proven && refusal.Status == wire.ESMEBindFail)
}

func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
