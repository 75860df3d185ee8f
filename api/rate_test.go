package api

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Refused orders take nothing from the bucket, however many there are at once: when the time of Retry-After
// is over, there is one order again.
func TestRefusalsCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(map[string]Rate{"ttd": {PerSecond: 0.1, Burst: 1}}, nil)
		if err := l.allow("ttd"); err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for range 20_000 {
					if l.allow("ttd") == nil {
						t.Error("more than the rate is let through")
					}
				}
			})
		}
		callers.Wait()
		if got := retryAfterOf(t, l); got != "10" {
			t.Errorf("Retry-After: %s", got)
		}
		time.Sleep(10 * time.Second)
		if err := l.allow("ttd"); err != nil {
			t.Error(err)
		}
	})
}

// A rate that lets nothing through has no time after which it would.
func TestRetryAfterOfARate(t *testing.T) {
	for _, c := range []struct {
		rate Rate
		want string
	}{
		{Rate{PerSecond: 0, Burst: 0}, "3600"}, {Rate{PerSecond: 1, Burst: 0}, "3600"},
		{Rate{PerSecond: 0, Burst: 1}, "3600"}, {Rate{PerSecond: 1e-30, Burst: 1}, "86400"},
		{Rate{PerSecond: 0.4, Burst: 1}, "3"}, {Rate{PerSecond: 100, Burst: 1}, "1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newRates(map[string]Rate{"ttd": c.rate}, nil)
			if c.rate.Burst > 0 {
				l.allow("ttd")
			}
			if got := retryAfterOf(t, l); got != c.want {
				t.Errorf("%+v: %s, want %s", c.rate, got, c.want)
			}
		})
	}
}

// retryAfterOf returns the Retry-After for an organisation whose rate is used up.
func retryAfterOf(t *testing.T, l rates) string {
	t.Helper()
	var p *problem
	if err := l.allow("ttd"); !errors.As(err, &p) {
		t.Fatalf("got %v", err)
	}
	return p.header[1]
}
