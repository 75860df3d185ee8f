package codes_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/orderstest"
)

// BenchmarkChecks makes 2,000 checks a second, each of which is stored, beside 500 orders a second over the same journal. It
// reports how long 99 of 100 checks take at most.
func BenchmarkChecks(b *testing.B) {
	w := newWorld(b)
	var ids []uuid.UUID
	for i := range b.N/9 + 1 {
		r := request(fmt.Sprint(i))
		r.To[0].To, r.Attempts = orders.Recipient(fmt.Sprintf("+479%07d", i)), 10
		ids = append(ids, w.start(r).ID)
	}
	const checks, placed = 2000, 500
	took := make([]time.Duration, b.N)
	var group sync.WaitGroup
	began := time.Now()
	b.ResetTimer()
	for i := range b.N {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / checks)))
		if i%(checks/placed) == 0 {
			group.Go(func() { w.orders.Place(b.Context(), orderstest.SMS(fmt.Sprint("order ", i))) })
		}
		group.Go(func() {
			at := time.Now()
			if _, err := w.CheckCode(b.Context(), "ttd", ids[i/9], "x"); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(at)
		})
	}
	group.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "checks/s")
}
