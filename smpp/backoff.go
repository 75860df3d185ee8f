package smpp

import (
	"math/rand/v2"
	"time"
)

// backoff says how long to wait before the next attempt to bind.
//
//	first minute of an outage   200 to 400 ms   bound again within a second of the SMSC's return
//	then                        growing by half, up to SMSC.ReconnectMax
//
// Every delay is jittered, so that many binds do not come at the same moment.
// For refused credentials see gate.
type backoff struct {
	most time.Duration

	since  time.Time     // when the outage began; zero while there is none
	delay  time.Duration // of the last attempt, before jitter
	logged time.Time     // when one was last logged
}

const (
	fastPhase = time.Minute
	fastDelay = 300 * time.Millisecond
	// steady is how long a session must live to end an outage: an SMSC
	// that takes the bind and drops it would else be bound to for ever at full speed.
	steady = 10 * time.Second
)

// lost notes that a session ended that had lived so long.
func (b *backoff) lost(now time.Time, lived time.Duration) {
	if lived >= steady || b.since.IsZero() {
		b.since, b.delay = now, 0
	}
}

// next returns the wait after an attempt that failed or a session that ended.
func (b *backoff) next(now time.Time) time.Duration {
	if b.since.IsZero() {
		b.since = now
	}
	if b.fast(now) {
		b.delay = fastDelay
	} else {
		b.delay = min(max(b.delay, fastDelay)*3/2, b.most)
	}
	return jitter(b.delay)
}

// fast tells whether the outage is young.
func (b *backoff) fast(now time.Time) bool {
	return b.since.IsZero() || now.Sub(b.since) < fastPhase
}

// worthLogging is true for news, and for what lasts once a minute.
func (b *backoff) worthLogging(now time.Time, news bool) bool {
	if !news && now.Sub(b.logged) < time.Minute {
		return false
	}
	b.logged = now
	return true
}

// jitter returns d, a third more or less.
func jitter(d time.Duration) time.Duration {
	return d*2/3 + rand.N(d*2/3+1)
}
