package smpp

import (
	"context"
	"sync"
	"time"
)

// gate keeps the binds of one SMSC from locking the account: until the
// credentials are known to be good they try one at a time, and once they are
// refused nobody tries for a while: SMSC.RefusedDelay, doubling up to 16
// times that.
type gate struct {
	turn chan struct{} // 1

	mu      sync.Mutex
	known   bool      // the last answer to a bind was not a refusal
	refused int       // refusals in a row
	until   time.Time // nobody tries before
}

// enter waits until an attempt may be made. leave must be called when it has been.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	if g.isKnown() {
		return func() {}, nil
	}
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave = func() { <-g.turn }
	if sleep(ctx, time.Until(g.closedUntil())); ctx.Err() != nil {
		leave()
		return nil, ctx.Err()
	}
	if g.isKnown() { // meanwhile
		leave()
		return func() {}, nil
	}
	return leave, nil
}

// open notes that the SMSC let a bind in.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known, g.refused = true, 0
}

// shut notes a refusal and returns how long nobody tries now.
func (g *gate) shut(now time.Time, delay time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	delay = jitter(delay << min(g.refused, 4))
	g.known, g.refused, g.until = false, g.refused+1, now.Add(delay)
	return delay
}

func (g *gate) isKnown() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known
}

func (g *gate) closedUntil() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until
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
