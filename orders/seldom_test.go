package orders

import (
	"testing"
	"time"
)

func TestSeldom(t *testing.T) {
	var s seldom
	now := time.Now()
	for i, c := range []struct {
		key   string
		after time.Duration
		want  bool
	}{{"a", 0, true}, {"a", time.Second, false}, {"b", time.Second, true}, {"a", 59 * time.Second, false}, {"a", time.Minute, true}, {"a", 119 * time.Second, false}} {
		if got := s.due(c.key, now.Add(c.after)); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
