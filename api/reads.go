package api

import (
	"context"
	"sync"
	"time"
)

// longestRead is how long a look-up waits for its turn at most, and longestRest how long the next part of an answer
// that has begun does: its client would see it break off.
const (
	longestRead = 500 * time.Millisecond
	longestRest = 10 * time.Second
	// While orders are at work, a look-up that took some time is followed by a pause of restPerWork times that time, at
	// most longestPause: look-ups get a tenth of the time then. Else they would share the processors with
	// orders by halves, and an order needs one at ten moments.
	restPerWork  = 9
	longestPause = 5 * time.Millisecond
)

// reads bounds the look-ups that are answered at a time, so that look-ups don't starve orders. Waiting
// look-ups are admitted round-robin over their organisations: one that polls without end delays itself, and
// every other organisation by one look-up at most.
type reads struct {
	mu   sync.Mutex
	free int                    // look-ups that may begin now
	rest time.Time              // until when look-ups pause for orders
	next []string               // organisations with waiting look-ups, in turn
	wait map[string][]*readTurn // by organisation, first come first
}

// readTurn is a look-up that waits.
type readTurn struct {
	admitted chan struct{} // closed when it may begin
	gone     bool          // it has given up; guarded by reads.mu
}

func newReads(most int) *reads { return &reads{free: most, wait: make(map[string][]*readTurn)} }

// enter waits until the organisation may start a look-up, or longest has passed. If it returns nil, leave must be
// called afterwards.
func (r *reads) enter(ctx context.Context, organisation string, longest time.Duration) error {
	r.mu.Lock()
	if r.free > 0 {
		r.free--
		r.mu.Unlock()
		return nil
	}
	t := &readTurn{admitted: make(chan struct{})}
	if len(r.wait[organisation]) == 0 {
		r.next = append(r.next, organisation)
	}
	r.wait[organisation] = append(r.wait[organisation], t)
	r.mu.Unlock()

	timer := time.NewTimer(longest)
	defer timer.Stop()
	var err error
	select {
	case <-t.admitted:
		return nil
	case <-timer.C:
		err = unavailable("busy", "Too many look-ups are under way. Repeat this one.", retryBusy)
	case <-ctx.Done():
		err = context.Canceled
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-t.admitted: // meanwhile
		return nil
	default:
	}
	t.gone = true
	return err
}

// pause returns how long a look-up that has entered waits if orders are at work.
func (r *reads) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Until(r.rest)
}

// leave ends a look-up that took some time, and admits the next.
func (r *reads) leave(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = time.Now().Add(min(restPerWork*took, longestPause))
	for len(r.next) > 0 {
		organisation := r.next[0]
		queue := r.wait[organisation]
		t := queue[0]
		r.next = r.next[1:]
		if len(queue) > 1 {
			r.wait[organisation] = queue[1:]
			r.next = append(r.next, organisation)
		} else {
			delete(r.wait, organisation)
		}
		if !t.gone {
			close(t.admitted)
			return
		}
	}
	r.free++
}
