package api

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Rate bounds how fast an organisation may place orders: Burst at once, and
// PerSecond in the long run.
type Rate struct {
	PerSecond float64
	Burst     int
}

// limits are the buckets of the organisations that have a Rate. The map is
// never written to after it was made.
type limits map[string]*rate.Limiter

func newLimits(rates map[string]Rate) limits {
	l := make(limits, len(rates))
	for organisation, r := range rates {
		l[organisation] = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
	}
	return l
}

// allow takes one order from the organisation's bucket, or returns the 429
// that tells when there will be another.
func (l limits) allow(organisation string) error {
	limiter := l[organisation]
	if limiter == nil {
		return nil
	}
	reservation := limiter.Reserve()
	wait := time.Hour // a Rate that lets nothing through
	if reservation.OK() {
		if wait = reservation.Delay(); wait == 0 {
			return nil
		}
		reservation.Cancel()
	}
	p := newProblem(http.StatusTooManyRequests, "The organisation's rate of orders is used up. Nothing was sent: try again with the same idempotencyId.")
	p.Code, p.outcome, p.header = codeRateLimit, "limited", retryAfter(wait)
	return p
}
