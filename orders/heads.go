package orders

import (
	"context"
	"log/slog"
	"time"
)

// headsEvery is how soon readers learn of entries that another process has appended to a feed.
const headsEvery = 250 * time.Millisecond

// followHeads wakes the readers of feeds to which other processes append too.
func (s *Service) followHeads(ctx context.Context) {
	last := make(map[string]uint64)
	for sleep(ctx.Done(), headsEvery) {
		if !s.changes.awaited() {
			continue
		}
		heads, err := s.cfg.Heads(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.sampled.Write("heads", slog.LevelError, "feeds are not looked at for entries of other nodes, trying again", slog.Any("err", err))
			}
			continue
		}
		for organisation, newest := range heads {
			if newest != last[organisation] {
				s.changes.Happened(organisation)
			}
		}
		last = heads
	}
}

// awaited reports whether a reader waits.
func (c *Changes) awaited() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.next) > 0
}
