package orders

import "sync"

// changes wakes those who wait for a change of an organisation's feed. Only organisations that
// somebody waits for are in the map, so that a change that nobody waits for costs one look.
type changes struct {
	mu   sync.Mutex
	next map[string]chan struct{} // by organisation; closed at its next change
}

// Changed returns a channel that is closed after the organisation's feed has next got an entry, on disk
// and by this process. To miss none: take the channel, read the feed, then wait.
func (s *Service) Changed(organisation string) <-chan struct{} {
	c := &s.changes
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

// happened wakes those who wait for the organisation.
func (c *changes) happened(organisation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.next[organisation]; ch != nil {
		close(ch)
		delete(c.next, organisation)
	}
}
