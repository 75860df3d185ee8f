package orders_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"straks/orders"
)

// TestHeads: a reader is woken when another process has appended to the feed that it waits for, and not for
// another one; also after a look has failed.
func TestHeads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var newest atomic.Uint64
		var fails atomic.Bool
		s := orders.NewService(orders.Config{Journal: &idle{}, Heads: func(context.Context) (map[string]uint64, error) {
			if fails.Load() {
				return nil, orders.ErrUnavailable
			}
			return map[string]uint64{"ttd": newest.Load()}, nil
		}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.Run(ctx)
		}()
		other := s.Changed("other")
		for range 3 {
			changed := s.Changed("ttd")
			fails.Store(true)
			newest.Add(1)
			fails.Store(false)
			<-changed
		}
		select {
		case <-other:
			t.Error("a reader of another feed was woken")
		default:
		}
		stop()
		<-ended
	})
}
