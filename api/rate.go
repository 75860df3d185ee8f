package api

import (
	"time"

	"golang.org/x/time/rate"
)

// Rate bounds how fast an organisation may place orders: Burst at once, and
// PerSecond in the long run.
type Rate struct {
	PerSecond float64
	Burst     int
}

// rates are the token buckets of the organisations that have a Rate. The map is
// never written to after it was made.
type rates map[string]*rate.Limiter

// newRates returns the buckets of these organisations. One that had a bucket keeps it, with what is in it.
func newRates(given map[string]Rate, old rates) rates {
	l := make(rates, len(given))
	for organisation, r := range given {
		if l[organisation] = old[organisation]; l[organisation] == nil {
			l[organisation] = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
			continue
		}
		l[organisation].SetLimit(rate.Limit(r.PerSecond))
		l[organisation].SetBurst(r.Burst)
	}
	return l
}

// allow takes one order from the organisation's bucket, or returns the 429
// that says when there will be another.
func (l rates) allow(organisation string) error {
	limiter := l[organisation]
	if limiter == nil {
		return nil
	}
	// A Reservation would not do: a cancelled one gives no token back if another was made since.
	now := time.Now()
	if limiter.AllowN(now, 1) {
		return nil
	}
	return limited("The organisation's rate of orders is used up (organisation.rate).", untilNext(limiter, now))
}

// untilNext is the time until the bucket holds one order again, a day at most.
func untilNext(limiter *rate.Limiter, now time.Time) time.Duration {
	perSecond := float64(limiter.Limit())
	if perSecond <= 0 || limiter.Burst() <= 0 { // lets nothing through
		return time.Hour
	}
	seconds := (1 - limiter.TokensAt(now)) / perSecond
	return time.Duration(min(seconds, 24*time.Hour.Seconds()) * float64(time.Second))
}
