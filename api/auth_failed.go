package api

import (
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"straks/internal/bounded"
	"straks/internal/connlimit"
)

// FailureLimit bounds how fast calls with bad tokens or certificates are answered to one address: Burst at once, and
// PerSecond in the long run. Further ones wait, and some get 429. Calls with good ones never wait, from whatever address.
type FailureLimit struct {
	PerSecond float64 // 5
	Burst     int     // 100
}

// WithDefaults returns the limit with every default filled in.
func (l FailureLimit) WithDefaults() FailureLimit {
	if l == (FailureLimit{}) {
		return FailureLimit{PerSecond: 5, Burst: 100}
	}
	return l
}

// Bounds of failures that wait. Each has a goroutine, and its connection.
const (
	longestPenance = 2 * time.Second // of one
	maxPenitents   = 256             // of all addresses
	maxAddresses   = 8192            // whose failures are counted, in each of two halves
)

// failures counts failed authentications by address, as package connlimit does connections: a /64 of IPv6 is one. All
// callers on a unix socket are one too: those that fail there slow down each other.
type failures struct {
	limit     FailureLimit
	addresses *bounded.Map[netip.Prefix, *rate.Limiter]
	waiting   atomic.Int64
}

func newFailures(l FailureLimit) *failures {
	return &failures{limit: l.WithDefaults(), addresses: bounded.New[netip.Prefix, *rate.Limiter](maxAddresses)}
}

// another counts a failure. It returns how long its answer must wait, or that it is refused until then.
func (f *failures) another(from netip.Prefix, now time.Time) (wait time.Duration, refused bool) {
	limiter := f.addresses.GetOr(from, func() *rate.Limiter { return rate.NewLimiter(rate.Limit(f.limit.PerSecond), f.limit.Burst) })
	r := limiter.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > longestPenance {
		r.CancelAt(now)
		return wait, true
	}
	return wait, false
}

// errFailed is wrapped by errors of calls whose token or certificate is bad.
type errFailed struct{ *problem }

// Unwrap returns the answer.
func (e errFailed) Unwrap() error { return e.problem }

// slow returns the answer to a call that was denied, after the time that it must wait if its authentication failed.
func (a *api) slow(x *exchange, denied error) error {
	var failed errFailed
	if !errors.As(denied, &failed) {
		return denied
	}
	wait, refused := a.failures.another(addressOf(x.r), time.Now())
	if wait > 0 && !refused {
		defer a.failures.waiting.Add(-1)
		refused = a.failures.waiting.Add(1) > maxPenitents
	}
	switch {
	case refused:
		a.metrics.failed.WithLabelValues("refused").Inc()
		return tooManyFailures(wait)
	case wait <= 0:
		a.metrics.failed.WithLabelValues("at_once").Inc()
		return denied
	}
	a.metrics.failed.WithLabelValues("late").Inc()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.closing:
	case <-x.r.Context().Done():
	}
	return denied
}

func tooManyFailures(after time.Duration) *problem {
	p := newProblem(http.StatusTooManyRequests, "Too many calls from this address had a bad token or certificate. Nothing was done: correct yours, and call again later.")
	p.Code, p.outcome, p.header = codeRateLimit, "unauthorized", retryAfter(min(after, time.Minute))
	return p
}

// addressOf returns the address that a request counts for; the zero one is a unix socket.
func addressOf(r *http.Request) netip.Prefix {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	return connlimit.Prefix(at.Addr())
}

// peer is the address of the caller, for logs.
func peer(r *http.Request) string {
	if addressOf(r).IsValid() {
		return r.RemoteAddr
	}
	return "unix"
}
