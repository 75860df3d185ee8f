package postgres

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/internal/pgcluster"
	"straks/orders"
)

var withKey = flag.Bool("sealed", false, "the journal of the benchmark has a key")

// BenchmarkOrders is one order with its answer and its receipt, each durable before the next, by so many callers at a
// time over so many nodes; with three servers, of which a commit waits for two.
//
// With -sealed, recipients are encrypted.
func BenchmarkOrders(b *testing.B) {
	for _, servers := range []int{1, 3} {
		for _, nodes := range []int{1, 2} {
			b.Run(fmt.Sprintf("servers=%d/nodes=%d", servers, nodes), func(b *testing.B) {
				handles := benchNodes(b, servers, nodes)
				for _, callers := range []int{1, 64, 256} {
					b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) { benchOrders(b, handles, callers) })
				}
			})
		}
	}
}

func benchNodes(b *testing.B, servers, nodes int) (handles []*Journal) {
	b.Helper()
	if err := pgcluster.Available(); err != nil {
		b.Skip(err)
	}
	c, err := pgcluster.Start(b.Context(), pgcluster.Options{Servers: servers})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	opt := Options{DSN: c.DSN(), Log: quiet()}
	if *withKey {
		opt.Keys = newKeys()
	}
	if err := Create(b.Context(), opt); err != nil {
		b.Fatal(err)
	}
	for n := range nodes {
		opt.Node = n + 1
		j := open(b, opt)
		b.Cleanup(func() { _ = j.Close() })
		handles = append(handles, j)
	}
	return handles
}

func benchOrders(b *testing.B, nodes []*Journal, callers int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		j := nodes[c%len(nodes)]
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				s, _, err := j.Accept(context.Background(), order(uuid.NewString()))
				if err != nil {
					b.Error(err)
					return
				}
				ref := uuid.NewString()
				for _, e := range []orders.Event{
					orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted, Outcome: handover.Accepted, Carrier: "telco", Total: 1,
						Parts: []orders.PartAnswer{{Refs: []string{ref}, Taken: true}}},
					orders.Report{Carrier: "telco", Refs: []string{ref}, IDs: 1, At: s.Accepted, Status: orders.SMSDelivered},
				} {
					if _, err := j.Apply(context.Background(), []orders.Event{e}); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lives/s")
}

// BenchmarkOthers is what one look costs for each order of another node, alone on the server.
func BenchmarkOthers(b *testing.B) {
	handles := benchNodes(b, 1, 2)
	o, err := handles[1].Others(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				s, _, err := handles[0].Accept(context.Background(), order(uuid.NewString()))
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := handles[0].Apply(context.Background(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted, Outcome: handover.Accepted, Carrier: "telco", Total: 1,
					Parts: []orders.PartAnswer{{Refs: []string{uuid.NewString()}, Taken: true}}}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ResetTimer()
	n := 0
	if err := o.Read(context.Background(), func(orders.Shipment) { n++ }); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n), "told")
}
