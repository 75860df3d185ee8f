package postgres

import (
	"sync"
	"testing"
	"time"
)

// TestWeekOfTwoNodes: two nodes make the tables of a new week at the same moment, with their first orders of it.
func TestWeekOfTwoNodes(t *testing.T) {
	t.Parallel()
	opt := made(t)
	nodes := []*Journal{open(t, opt), open(t, node(opt, 2))}
	for _, j := range nodes {
		defer j.Close()
	}
	for n := range 30 {
		at := time.Now().Add(time.Duration(2+n) * week)
		var both sync.WaitGroup
		for _, j := range nodes {
			both.Go(func() {
				if err := j.weeks(t.Context(), at); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
}
