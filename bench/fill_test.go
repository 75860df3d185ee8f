package main

import (
	"path/filepath"
	"testing"

	"straks/orders"
	"straks/orders/bolt"
)

// A daemon could have left the filled journal: every invariant holds, and the feed has
// both entries of each shipment.
func TestFill(t *testing.T) {
	const n = 1000
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := fill(t.Context(), path, n); err != nil {
		t.Fatal(err)
	}
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Check(t.Context()); err != nil {
		t.Error(err)
	}
	tail, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: organisation, Limit: 1, Descending: true})
	if err != nil || len(tail) != 1 || tail[0].Seq != 2*n {
		t.Errorf("the feed ends at %+v, %v; want number %d", tail, err, 2*n)
	}
	if stats, err := j.Stats(t.Context()); err != nil || stats.Shipments != n || stats.Parked != 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}
