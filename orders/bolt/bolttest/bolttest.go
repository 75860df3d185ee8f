// Package bolttest opens journals for the tests of other packages.
package bolttest

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"straks/orders/bolt"
)

// New returns a new journal in a folder of the test's own. It is closed when the test ends. No disk is too slow for it.
func New(t testing.TB) *bolt.Journal {
	t.Helper()
	return NewFrom(t, 0)
}

// NewFrom is New of a journal whose feeds begin above feedStart.
func NewFrom(t testing.TB, feedStart uint64) *bolt.Journal {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := bolt.Create(path, bolt.Options{FeedStart: feedStart}); err != nil {
		t.Fatal(err)
	}
	j, err := bolt.Open(path, bolt.Options{Log: slog.New(slog.DiscardHandler), StallAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}
