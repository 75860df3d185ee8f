package smpp

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/smpp/session"
)

// counter is slots with two binds for each window, without sessions.
func counter(windows ...int) (*slots, []*smsc) {
	var all []*smsc
	for i, n := range windows {
		c := &smsc{downSince: time.Now(), SMSC: SMSC{Name: string(rune('a' + i)), Window: n, WindowWait: 250 * time.Millisecond, StallAfter: time.Hour, MaxWaiting: 100}}
		c.binds = []*bind{newBind(c, c.Name+"/1", session.Transceiver, newShare(c.Name, 0)), newBind(c, c.Name+"/2", session.Transceiver, newShare(c.Name, 1))}
		all = append(all, c)
	}
	return &slots{}, all
}

func TestSlotsGoToWaitersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := counter(1)
		var served []int
		var mu sync.Mutex
		var waiters sync.WaitGroup
		for i := range 5 {
			waiters.Go(func() {
				l, err := s.acquire(t.Context(), want{order: all})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				served = append(served, i)
				mu.Unlock()
				time.Sleep(time.Second)
				s.release(l, answered)
			})
			synctest.Wait()
		}
		began := time.Now()
		s.open(all[0].binds[0], &session.Session{})
		waiters.Wait()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		for i, n := range served {
			if i != n {
				t.Fatalf("served %v", served)
			}
		}
	})
}

func TestTheNextSMSCIsConsideredWhenTheWindowStaysFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := counter(1, 1)
		s.open(all[0].binds[0], &session.Session{})
		s.open(all[1].binds[0], &session.Session{})
		if l, err := s.acquire(t.Context(), want{order: all}); err != nil || l.bind.smsc != all[0] {
			t.Fatal(l, err)
		}
		began := time.Now()
		l, err := s.acquire(t.Context(), want{order: all})
		if err != nil || l.bind.smsc != all[1] || time.Since(began) != 250*time.Millisecond {
			t.Errorf("%v, %v after %v", l, err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.acquire(ctx, want{order: all}); !errors.Is(err, errFull) {
			t.Error(err)
		}
	})
}

func TestStalledBindIsTheLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := counter(10, 10)
		all[0].StallAfter = time.Second
		s.open(all[0].binds[0], &session.Session{})
		s.open(all[1].binds[0], &session.Session{})
		owed, _ := s.acquire(t.Context(), want{order: all})
		time.Sleep(1100 * time.Millisecond)
		if l, _ := s.acquire(t.Context(), want{order: all}); l.bind.smsc != all[1] {
			t.Error("a stalled bind is used")
		}
		s.shut(all[1].binds[0])
		if l, _ := s.acquire(t.Context(), want{order: all}); l.bind.smsc != all[0] {
			t.Error("a stalled bind isn't used, though no other is up")
		}
		s.open(all[1].binds[0], &session.Session{})
		s.release(owed, answered)
		if l, _ := s.acquire(t.Context(), want{order: all}); l.bind.smsc != all[0] {
			t.Error("the bind isn't used, though it responds again")
		}
	})
}

func TestTriedBindsAreAvoided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := counter(10)
		one, two := all[0].binds[0], all[0].binds[1]
		s.open(one, &session.Session{})
		began := time.Now()
		if _, err := s.acquire(t.Context(), want{order: all, avoid: []*bind{one}, pause: time.Second}); !errors.Is(err, errAllTried) {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
		go func() {
			time.Sleep(100 * time.Millisecond)
			s.open(two, &session.Session{})
		}()
		if l, err := s.acquire(t.Context(), want{order: all, avoid: []*bind{one}, pause: time.Second}); err != nil || l.bind != two {
			t.Error(l, err)
		}
	})
}

func TestCloseWakesEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := counter(1, 1)
		errs := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := s.acquire(context.Background(), want{order: all})
				errs <- err
			}()
		}
		eventually.True(t, "all to wait", func() bool { return s.queued(all)["b"] == 10 })
		s.close(all)
		for range 10 {
			if err := <-errs; !errors.Is(err, errClosing) {
				t.Error(err)
			}
		}
		if _, err := s.acquire(context.Background(), want{order: all}); !errors.Is(err, errClosing) {
			t.Error(err)
		}
	})
}

// Many senders come and go while binds go up and down: no window ever overflows, and
// in the end every slot is free and no queue has a waiter.
func TestSlotsNeverLeak(t *testing.T) {
	s, all := counter(3, 2, 4)
	held := map[*session.Session]*atomic.Int32{}
	var heldMu sync.Mutex
	count := func(of *session.Session) *atomic.Int32 {
		heldMu.Lock()
		defer heldMu.Unlock()
		if held[of] == nil {
			held[of] = &atomic.Int32{}
		}
		return held[of]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var everybody sync.WaitGroup
	for _, c := range all {
		for _, b := range c.binds {
			everybody.Go(func() {
				for ctx.Err() == nil {
					s.open(b, new(session.Session))
					time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
					s.shut(b)
				}
				s.open(b, new(session.Session))
			})
		}
	}
	for range 40 {
		everybody.Go(func() {
			for ctx.Err() == nil {
				short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(3000))*time.Microsecond)
				l, err := s.acquire(short, want{order: all[rand.IntN(3):], pause: time.Duration(rand.IntN(2)) * time.Millisecond, started: rand.IntN(2) == 0})
				cancel()
				if err != nil {
					continue
				}
				if n := count(l.session).Add(1); int(n) > l.bind.smsc.Window {
					t.Errorf("%d in a window of %d", n, l.bind.smsc.Window)
				}
				time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
				count(l.session).Add(-1)
				s.release(l, use(rand.IntN(3)))
			}
		})
	}
	everybody.Wait()
	for _, c := range all {
		if c.queue.Len() != 0 {
			t.Errorf("%d wait for %s", c.queue.Len(), c.Name)
		}
		for _, b := range c.binds {
			if b.inFlight != 0 {
				t.Errorf("%d slots of %s are taken", b.inFlight, b.name)
			}
		}
	}
}
