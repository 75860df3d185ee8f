package hooks

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"
)

// The pause after a failed attempt: from half of firstPause, doubled each time, to maxPause.
const firstPause, maxPause = time.Second, time.Hour

// settle decides what follows a failed attempt, and returns after which time the next one is due.
func (s *Subscription) settle(ctx context.Context, out outcome) time.Duration {
	if ctx.Err() != nil {
		return 0 // the attempt may have ended with us
	}
	if out.result == gone {
		s.stop(out.reason)
		return 0
	}
	s.failures++
	s.mu.Lock()
	if s.cursor.FailingSince.IsZero() {
		s.cursor.FailingSince, s.dirty = time.Now(), true
	}
	s.mu.Unlock()
	if s.passOver(ctx, out) > 0 {
		return 0
	}
	d := pause(s.failures, s.d.cfg.firstPause, out.retryAfter)
	s.mu.Lock()
	s.next = time.Now().Add(d)
	s.mu.Unlock()
	level := slog.LevelWarn
	if s.failures > 3 {
		level = slog.LevelDebug // said already: the metrics and the state show that it goes on
	}
	s.log.Log(ctx, level, "webhook's receiver did not take an entry, trying again", "host", s.host, "reason", out.reason, "attempt", s.failures, "again_in", d.Round(time.Millisecond))
	return d
}

// pause returns the time between the nth failed attempt in a row and the next one. The receiver's own wish counts.
func pause(n int, first, wish time.Duration) time.Duration {
	if wish >= 0 {
		return wish + rand.N(wish/10+1)
	}
	d := maxPause
	if n <= 12 {
		d = min(first<<(n-1), maxPause)
	}
	return d/2 + rand.N(d/2)
}

// succeeded notes that the receiver takes entries.
func (s *Subscription) succeeded() {
	if s.failures > 0 {
		s.log.Info("webhook's receiver takes entries again", "host", s.host, "attempts", s.failures+1)
	}
	s.failures, s.passed = 0, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.cursor.FailingSince.IsZero() {
		s.cursor.FailingSince, s.dirty = time.Time{}, true
	}
}

// stop ends the webhook until an operator resumes it.
func (s *Subscription) stop(reason string) {
	s.mu.Lock()
	s.cursor.StoppedAt, s.cursor.StopReason, s.dirty = time.Now(), reason, true
	s.mu.Unlock()
	s.d.flushSoon()
	s.log.Error("webhook stopped; straks webhook resume goes on with it", "host", s.host, "reason", reason)
}

// passOver moves the cursor past the entry that was tried, if it was tried for GiveUp, and returns how many entries
// were passed over. When two entries in a row had no better luck, and not because the receiver refuses them, all that
// are as old go: trying each would take longer than new ones take to come.
func (s *Subscription) passOver(ctx context.Context, out outcome) (n int) {
	itself := out.status/100 == 4 && out.status != http.StatusTooManyRequests
	all := s.passed > 0 && !itself
	for ctx.Err() == nil {
		page, err := s.read(ctx, s.at())
		if err != nil {
			return n
		}
		k := s.expired(page, all)
		if k > 0 {
			s.passed++
			s.drop(page[:k], out.reason)
			n += k
		}
		if !all || k == 0 || k < len(page) {
			return n
		}
	}
	return n
}

// expired returns how many entries from the front of a page must be passed over.
func (s *Subscription) expired(page []Entry, all bool) (n int) {
	s.mu.Lock()
	since := s.cursor.FailingSince
	s.mu.Unlock()
	for _, e := range page {
		from := e.At
		if from.Before(since) {
			from = since
		}
		if time.Since(from) < s.d.cfg.giveUp || n > 0 && !all {
			return n
		}
		n++
	}
	return n
}

// drop passes entries over.
func (s *Subscription) drop(page []Entry, reason string) {
	first, last, n := page[0].Seq, page[len(page)-1].Seq, 0
	s.mu.Lock()
	for _, e := range page {
		if !s.acked[e.Seq] {
			n++
		}
		delete(s.acked, e.Seq)
	}
	s.cursor.Seq, s.dirty = last, true
	s.skipped += uint64(n)
	s.mu.Unlock()
	s.d.metrics.passedOver.WithLabelValues(s.hook.Organisation, s.hook.Name).Add(float64(n))
	s.log.Error("webhook entries passed over: their receiver did not take them for three days; the feed still has them",
		"host", s.host, "entries", n, "from", first, "to", last, "reason", reason)
}
