package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestReadsAreFair: an organisation with a thousand look-ups waiting delays another's by one.
func TestReadsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReads(2)
		for range 2 {
			if err := r.enter(t.Context(), "greedy", longestRead); err != nil {
				t.Fatal(err)
			}
		}
		admitted := make(chan string, 2000)
		ask := func(organisation string) {
			go func() {
				if r.enter(t.Context(), organisation, longestRead) == nil {
					admitted <- organisation
				}
			}()
			synctest.Wait()
		}
		for range 1000 {
			ask("greedy")
		}
		ask("modest")
		ask("modest")
		var order []string
		for range 4 {
			r.leave(0)
			order = append(order, <-admitted)
		}
		if got := order; got[0] != "greedy" || got[1] != "modest" || got[2] != "greedy" || got[3] != "modest" {
			t.Errorf("admitted in turn: %q", got)
		}
		for range 998 { // the rest
			r.leave(0)
			<-admitted
		}
		r.leave(0)
		r.leave(0)
		if r.free != 2 || len(r.next) != 0 || len(r.wait) != 0 {
			t.Errorf("at the end %d free, waiting %v", r.free, r.next)
		}
	})
}

// TestReadsGiveUp: a look-up waits half a second, or until its client leaves, and holds nothing afterwards.
func TestReadsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReads(1)
		if err := r.enter(t.Context(), "a", longestRead); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var p *problem
		if err := r.enter(t.Context(), "a", longestRead); !errors.As(err, &p) || p.Status != 503 || time.Since(began) != longestRead {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.enter(ctx, "b", longestRead); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		r.leave(0) // past those that gave up
		if r.free != 1 || len(r.wait) != 0 {
			t.Errorf("%d free, waiting %v", r.free, r.wait)
		}
	})
}
