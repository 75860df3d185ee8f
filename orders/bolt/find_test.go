package bolt

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"straks/orders"
)

// A look-up goes on over many snapshots, finds what the newest and the oldest of them have, and leaves out
// what can't be read.
func TestFindAmongMany(t *testing.T) {
	j, _ := newJournal(t, Options{})
	const n = findStep + 500
	start := time.Now().Add(-time.Hour)
	all := make([]orders.Shipment, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				in := acceptRequest(strconv.Itoa(int(i)))
				in.At = start.Add(time.Duration(i) * 100 * time.Millisecond)
				in.Shipment, in.SendersReference = idAt(in.At), "order "+strconv.Itoa(int(i))
				s, _, err := j.Accept(context.Background(), in)
				if err != nil {
					t.Error(err)
					return
				}
				all[i] = s
			}
		})
	}
	wg.Wait()
	spoil(t, j, func(w *writeTx) error {
		return errors.Join(w.shipments().Put(all[n/2].ID[:], []byte("rotten")), w.shipments().Put(all[n/2+1].ID[:9], []byte("rotten")))
	})
	for _, i := range []int{0, 1, n/2 - 1, n - 2, n - 1} {
		found, err := j.Find(t.Context(), orders.FindQuery{Word: all[i].SendersReference, Limit: 10})
		if err != nil || len(found) != 1 || found[0].ID != all[i].ID {
			t.Errorf("%d: found %d, %v", i, len(found), err)
		}
	}
	found, err := j.Find(t.Context(), orders.FindQuery{Recipient: all[0].Recipient, Limit: 2 * n})
	if err != nil || len(found) != n-1 {
		t.Errorf("found %d of %d, %v", len(found), n, err)
	}
}

// BenchmarkFind looks for a number among 100,000 shipments that have others.
func BenchmarkFind(b *testing.B) {
	j, _ := newJournal(b, Options{})
	fill(b, j, 100_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Find(b.Context(), orders.FindQuery{Recipient: "+4711111111", Limit: 10}); err != nil {
			b.Fatal(err)
		}
	}
}
