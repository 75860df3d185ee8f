package api

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An organisation that sends several times what the carrier takes, over hundreds of connections, takes nothing
// from another one: the few orders of that one are all sent, and half of them in less than twice the time that
// they take without the flood.
func TestFloodOfOneOrganisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window, takes = 64, 100 * time.Millisecond
		p := startPiped(t, window, takes)
		modest := p.client()
		round := func(name string) (p50 time.Duration) {
			var took []time.Duration
			for i := range 20 {
				began := time.Now()
				if status := p.orderAs(otherToken, modest, fmt.Sprint(name, i)); status != 201 {
					t.Errorf("%s: order %d got %d", name, i, status)
				}
				took = append(took, time.Since(began))
				time.Sleep(150 * time.Millisecond)
			}
			slices.Sort(took)
			return took[len(took)/2]
		}
		quiet := round("quiet")

		stop := make(chan struct{})
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		most := window + 8*runtime.GOMAXPROCS(0) // in the lane at a time; see orders.Config.AtWork
		for c := range 5 * most {
			wg.Go(func() {
				client := p.client()
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					status := p.order(client, fmt.Sprintf("%d-%d", c, i))
					mu.Lock()
					statuses[status]++
					mu.Unlock()
					switch status {
					case 201:
					case 503:
						time.Sleep(takes)
					default:
						return
					}
				}
			})
		}
		time.Sleep(time.Second)
		flooded := round("flooded")
		close(stop)
		wg.Wait()
		if flooded > 2*quiet {
			t.Errorf("in a flood half of the orders take more than %v; without, %v", flooded, quiet)
		}
		if statuses[503] == 0 || statuses[201] == 0 {
			t.Errorf("the flood got %v: that is no flood", statuses)
		}
	})
}
