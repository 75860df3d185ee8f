package hooks

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// grace is how long requests that are out may take when the dispatcher ends.
const grace = 2 * time.Second

// sent is the outcome of entry i of a page.
type sent struct {
	i   int
	out outcome
}

// round sends the entries of a page in order, MaxInFlight at a time and never two of one shipment or verification, until one fails
// or ctx ends. It returns when no request is out any more. failed reports whether one failed; out is then its
// outcome, or that of one which ended the webhook.
func (s *Subscription) round(ctx context.Context, page []Entry) (out outcome, failed bool) {
	work, cancel := outlasting(ctx, grace)
	defer cancel()
	results := make(chan sent, s.hook.MaxInFlight)
	busy := make(map[uuid.UUID]bool, s.hook.MaxInFlight)
	next, running := 0, 0
	for {
		for next < len(page) && running < s.hook.MaxInFlight && !failed && ctx.Err() == nil {
			e := page[next]
			if s.acked[e.Seq] {
				s.advance(page)
				next++
				continue
			}
			if busy[e.About] {
				break
			}
			busy[e.About] = true
			i, ev := next, eventOf(&s.hook, e, s.previous(page, next))
			go func() { results <- sent{i, s.attempt(work, ev)} }()
			next++
			running++
		}
		if running == 0 {
			return out, failed
		}
		r := <-results
		running--
		s.count(r.out, page[r.i])
		if r.out.result == delivered {
			s.acked[page[r.i].Seq] = true
			delete(busy, page[r.i].About)
			s.advance(page)
			continue
		}
		if !failed || r.out.result == gone {
			out = r.out
		}
		failed = true
	}
}

// outlasting returns a context that ends a while after ctx.
func outlasting(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return work, func() { stop(); cancel() }
}

// previous returns the number of the entry before entry i of the page; 0 where the webhook begins with that.
func (s *Subscription) previous(page []Entry, i int) uint64 {
	if i > 0 {
		return page[i-1].Seq
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cursor.Seq == s.cursor.Begin {
		return 0
	}
	return s.cursor.Seq
}

// advance moves the cursor over the entries that the receiver has taken.
func (s *Subscription) advance(page []Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range page {
		if e.Seq <= s.cursor.Seq {
			continue
		}
		if !s.acked[e.Seq] {
			s.waiting = e.At
			return
		}
		delete(s.acked, e.Seq)
		s.cursor.Seq, s.dirty = e.Seq, true
	}
}

// count notes the outcome of an attempt.
func (s *Subscription) count(out outcome, e Entry) {
	m, now := s.d.metrics, time.Now()
	m.attempts.WithLabelValues(s.hook.Organisation, s.hook.Name, string(out.result)).Inc()
	if out.result == delivered {
		m.delay.WithLabelValues(s.hook.Organisation, s.hook.Name).Observe(now.Sub(e.At).Seconds())
		s.succeeded()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.lastAt = out, now
	if out.result == delivered {
		s.sent++
	}
}
