package daemon_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// With more orders than max_in_flight, those that can't be sent in time get 503 and a
// Retry-After, nothing of them remains, and after the overload everything is as before.
// "go run ./bench -overload" measures how fast this is.
func TestOverload(t *testing.T) {
	profile := smsctest.Profile{}
	profile.Delay = 400 * time.Millisecond
	w := daemontest.NewStopped(t, profile, relaytest.Profile{}, "")
	w.Configure("[api]", "max_in_flight = 8")
	w.Start()
	calm := runtime.NumGoroutine()

	const crowd, each = 32, 2
	refused := make(chan string, crowd*each)
	var wg sync.WaitGroup
	for c := range crowd {
		wg.Go(func() {
			for i := range each {
				attempt(w, fmt.Sprintf("c%d-%d", c, i), refused)
			}
		})
	}
	wg.Wait()
	close(refused)
	taken := int(w.SMSC.Stats().Taken)
	if len(refused) == 0 || taken+len(refused) != crowd*each {
		t.Errorf("%d orders: %d taken, %d refused", crowd*each, taken, len(refused))
	}
	for key := range refused {
		if p := w.Send(key, "+4799999999"); !p.Created {
			t.Errorf("%s was refused, and yet known", key)
		}
	}
	if n := w.SMSC.Stats().Submits; n != crowd*each {
		t.Errorf("%d submits of %d orders", n, crowd*each)
	}
	// Each kept connection has goroutines at both ends.
	eventually.True(t, "the crowd's goroutines to end", func() bool { return runtime.NumGoroutine() < calm+crowd })
}

// attempt places an order, and reports its key if it is refused with the right problem.
func attempt(w *daemontest.World, key string, refused chan<- string) {
	_, err := w.Client.SendSMS(w.T.Context(), daemontest.SMS(key, "+4799999999"))
	var problem *client.Problem
	switch {
	case err == nil:
	case errors.As(err, &problem) && problem.Status == 503 && problem.Code == "NOT-00004" && problem.RetryAfter > 0:
		refused <- key
	default:
		w.T.Errorf("%s: %v", key, err)
	}
}
