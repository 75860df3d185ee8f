// Package eventually lets a test wait for what other goroutines or processes bring about.
package eventually

import (
	"testing"
	"time"
)

const (
	// patience is far beyond what a loaded machine needs, so that no test depends on speed.
	patience = 5 * time.Minute
	interval = time.Millisecond
)

// True waits until the condition holds, and checks it every millisecond. The test fails at
// once if it does not hold within five minutes; what names the condition in that message. True is
// for the test's own goroutine.
func True(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(interval) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
