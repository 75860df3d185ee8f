package smpp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sendParts sends a message of that many parts, each answered after a while, and returns how many were sent.
func sendParts(p *pacer, within time.Duration, parts int, answer time.Duration) (sent int) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if p.begin(ctx, parts) != nil {
		return 0
	}
	for sent = 1; sent < parts; sent++ {
		time.Sleep(answer)
		if p.follow(ctx, true) != nil {
			p.forgo(parts - sent - 1)
			break
		}
	}
	return sent
}

// idle checks that no token is promised and no sender waits for one.
func (p *pacer) idle(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.promised != 0 || p.started.Len()+p.fresh.Len() != 0 {
		t.Errorf("%d are promised, %d wait", p.promised, p.started.Len()+p.fresh.Len())
	}
}

// Long messages that compete for one rate are sent whole, or do not start; and messages that
// come later do not start in place of those that were turned down.
func TestLongMessagesAreSentWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(20)
		var mu sync.Mutex
		whole := 0
		var all sync.WaitGroup
		for i := range 80 {
			all.Go(func() {
				time.Sleep(time.Duration(i/40) * time.Second) // 40 at once, and as many a second later
				parts := 1 + i%4
				sent := sendParts(p, 3*time.Second, parts, 30*time.Millisecond)
				if sent != 0 && sent != parts {
					t.Errorf("%d of %d parts went", sent, parts)
				}
				mu.Lock()
				defer mu.Unlock()
				whole += sent
			})
		}
		all.Wait()
		if whole < 60 || whole > 81 { // 4 s of 20/s
			t.Errorf("%d parts went", whole)
		}
		p.idle(t)
	})
}

// Under a ceiling, no second has more, and waiting senders get all of it.
func TestPacedEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, start := newPacer(50), time.Now()
		var mu sync.Mutex
		var at []time.Duration
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if err := p.begin(t.Context(), 1); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(start))
			})
		}
		all.Wait()
		slices.Sort(at)
		for i, d := range at {
			if want := time.Duration(i) * 20 * time.Millisecond; d != want {
				t.Fatalf("number %d went after %v, want %v", i, d, want)
			}
		}
	})
}

// Parts of a message that has started go before messages that came first. So does a part that was put off.
func TestStartedMessagesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1)
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		wait := func(name string, err func() error) {
			all.Go(func() {
				if err := err(); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name)
			})
			synctest.Wait()
		}
		ctx := t.Context()
		wait("first", func() error { return p.begin(ctx, 2) })
		wait("short", func() error { return p.begin(ctx, 1) })
		wait("second", func() error { return p.follow(ctx, true) })
		wait("again", func() error { return p.follow(ctx, false) })
		all.Wait()
		if want := []string{"first", "second", "again", "short"}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
	})
}

// A sender whose token would come too late fails at once. One that gives up leaves its token to the next.
func TestTokensAreNotWasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, start := newPacer(1), time.Now()
		if err := p.begin(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		for range 3 {
			if err := p.begin(short, 1); !errors.Is(err, errRate) || time.Since(start) != 0 {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		gone, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for _, parts := range []int{1, 3} {
			all.Go(func() {
				if err := p.begin(gone, parts); !errors.Is(err, errRate) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if w := p.wait(start); w != 5*time.Second {
			t.Errorf("a wait of %v, want 5 s", w)
		}
		leave()
		all.Wait()
		if err := p.begin(t.Context(), 1); err != nil || time.Since(start) != time.Second || p.promised != 0 {
			t.Errorf("%v after %v, %d are promised", err, time.Since(start), p.promised)
		}
	})
}

// A sender whose context has ended takes no token, even if there is one.
func TestAnEndedContextTakesNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1)
		if err := p.begin(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		gone, leave := context.WithCancel(t.Context())
		leave()
		for _, err := range []error{p.follow(gone, true), p.follow(gone, false), p.begin(gone, 3)} {
			if !errors.Is(err, errRate) {
				t.Error(err)
			}
		}
		if w := p.wait(time.Now()); w != 0 {
			t.Errorf("a wait of %v for the next sender", w)
		}
	})
}
