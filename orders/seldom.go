package orders

import (
	"sync"
	"time"
)

// seldom keeps what goes wrong with every receipt from filling the log: it is due
// once a minute for each key. Keys must be few. The zero value is ready.
type seldom struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const seldomInterval = time.Minute

func (s *seldom) due(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[key]; ok && now.Sub(last) < seldomInterval {
		return false
	}
	if s.last == nil {
		s.last = make(map[string]time.Time)
	}
	s.last[key] = now
	return true
}
