package issuer

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// When keys are read.
const (
	// period is how often keys are read that could be read last time.
	period = 10 * time.Minute
	// minPause is the least time between two attempts.
	minPause = 10 * time.Second
	// filePeriod is how often a file of keys is read.
	filePeriod = 30 * time.Second
)

// Run reads the keys until ctx ends.
func (i *Issuer) Run(ctx context.Context) error {
	for failures := 0; ; {
		if i.keys.refresh(ctx) {
			failures = 0
		} else {
			failures++
		}
		if !i.keys.pause(ctx, failures) {
			return ctx.Err()
		}
	}
}

// refresh reads the keys once.
func (r *keyring) refresh(ctx context.Context) bool {
	r.mu.Lock()
	r.tried, r.reading = r.now(), true
	r.mu.Unlock()
	keys, err := r.fetch(ctx)
	if ctx.Err() != nil {
		return false // nobody is served any more
	}
	r.set(keys, err)
	if err != nil {
		return false
	}
	r.save()
	return true
}

// set takes the result of an attempt, and wakes those that wait for it.
func (r *keyring) set(keys []jose.JSONWebKey, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading = false
	defer func() { close(r.next); r.next = make(chan struct{}) }()
	before := r.err
	r.err = err
	if err != nil {
		if before == nil || before.Error() != err.Error() {
			r.log.Warn("issuer's keys can't be read", "err", err, "keys", len(r.keys), "read", r.read)
		}
		return
	}
	if before != nil {
		r.log.Info("issuer's keys can be read again", "keys", len(keys))
	}
	r.read = r.now()
	if same(r.keys, keys) {
		return
	}
	r.log.Info("issuer's keys", "keys", len(keys), "before", len(r.keys))
	r.keys = keys
	r.changes++
}

// same reports whether two sets of keys are equal.
func same(a, b []jose.JSONWebKey) bool {
	x, errX := marshal(a)
	y, errY := marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// pause waits until the keys must be read again, and reports whether they must.
func (r *keyring) pause(ctx context.Context, failures int) bool {
	wait := period
	switch {
	case r.cfg.KeysFile != "":
		wait = filePeriod
	case failures > 0:
		wait = min(minPause<<min(failures-1, 10), period)
	}
	wait += rand.N(wait / 10) // so that several nodes do not ask at the same moment
	due := time.NewTimer(wait)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due.C:
			return true
		case <-r.wanted:
			r.mu.Lock()
			now := r.due(r.now())
			r.mu.Unlock()
			if now {
				return true
			}
		}
	}
}
