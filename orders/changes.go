package orders

import "sync"

// Changes wakes the readers that wait for an organisation's feed to grow. The map has only the
// organisations that a reader waits for, so any other change costs one look-up.
type Changes struct {
	mu   sync.Mutex
	next map[string]chan struct{} // by organisation; closed at its next change
}

// Changed returns a channel that is closed when this process has next stored an entry of the
// organisation's feed, or soon after another one has (Config.Heads). A reader that takes the channel, then reads the feed, then waits, misses no entry.
func (s *Service) Changed(organisation string) <-chan struct{} { return s.changes.Next(organisation) }

// Next returns a channel that is closed at the organisation's next change.
func (c *Changes) Next(organisation string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.next[organisation]
	if ch == nil {
		if c.next == nil {
			c.next = make(map[string]chan struct{})
		}
		ch = make(chan struct{})
		c.next[organisation] = ch
	}
	return ch
}

// Happened wakes the readers that wait for the organisation.
func (c *Changes) Happened(organisation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.next[organisation]; ch != nil {
		close(ch)
		delete(c.next, organisation)
	}
}
