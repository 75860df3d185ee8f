package smpp

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/smpp/session"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// The benchmarks of this file measure the time of a message while an SMSC
// throttles, freezes or is gone. Their figures are quantiles; ns/op means nothing:
//
//	go test ./smpp -run '^$' -bench '^BenchmarkField' -benchtime 1x

// fieldOrders is how many messages each of them sends, at 50 a second.
const (
	fieldOrders   = 500
	fieldInterval = 20 * time.Millisecond
)

// BenchmarkFieldThrottled has an SMSC that throttles 1 in 25.
func BenchmarkFieldThrottled(b *testing.B) {
	for b.Loop() {
		s := fieldSMSC(b, smsctest.Behaviour{Throttle: 25})
		g := fieldGateway(b, Config{SMSCs: []SMSC{account("telco", s)}})
		times, lost := fieldLoad(g)
		fieldReport(b, "", times)
		b.ReportMetric(float64(lost), "lost")
		b.ReportMetric(float64(s.Stats().Throttled), "throttled")
	}
}

// BenchmarkFieldFrozen has two SMSCs, each with its numbers. One freezes. Messages
// to the other are measured before and meanwhile.
func BenchmarkFieldFrozen(b *testing.B) {
	for b.Loop() {
		frozen, well := fieldSMSC(b, smsctest.Behaviour{}), fieldSMSC(b, smsctest.Behaviour{})
		g := fieldGateway(b, Config{
			SMSCs:  []SMSC{account("frozen", frozen), account("well", well)},
			Routes: []Route{{Prefixes: []string{"+46"}, SMSCs: []string{"frozen"}}, {Prefixes: []string{"+47"}, SMSCs: []string{"well"}}},
		})
		both := func() []time.Duration {
			var other sync.WaitGroup
			stop := make(chan struct{})
			other.Go(func() { // as many messages to the other one, without a response
				for tick := time.NewTicker(fieldInterval); ; {
					select {
					case <-tick.C:
						other.Go(func() { fieldSend(g, "+46701234567") })
					case <-stop:
						tick.Stop()
						return
					}
				}
			})
			times, lost := fieldLoad(g)
			close(stop)
			other.Wait()
			if lost > 0 {
				b.Errorf("%d lost", lost)
			}
			return times
		}
		before := both()
		frozen.Freeze(0)
		while := both()
		frozen.Thaw()
		fieldReport(b, "before-", before)
		fieldReport(b, "while-", while)
		b.ReportMetric(float64(quantile(while, 0.99))/float64(quantile(before, 0.99)), "p99-ratio")
	}
}

// BenchmarkFieldReconnect measures the time from an SMSC's return, after an outage of 1 s,
// to the next bind.
func BenchmarkFieldReconnect(b *testing.B) {
	for b.Loop() {
		s := fieldSMSC(b, smsctest.Behaviour{})
		g := fieldGateway(b, Config{SMSCs: []SMSC{account("telco", s)}})
		var times []time.Duration
		for range 10 {
			s.Down()
			time.Sleep(time.Second)
			back := time.Now()
			if err := s.Up(); err != nil {
				b.Fatal(err)
			}
			for g.Ready() != nil {
				time.Sleep(time.Millisecond)
			}
			times = append(times, time.Since(back))
		}
		fieldReport(b, "", times)
		b.ReportMetric(float64(slices.Max(times).Microseconds())/1000, "max-ms")
	}
}

func fieldSMSC(b *testing.B, how smsctest.Behaviour) *smsctest.SMSC {
	b.Helper()
	s, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{Record: -1, Fast: true, Behaviour: how})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// fieldGateway runs a gateway and waits until all SMSCs are bound.
func fieldGateway(b *testing.B, c Config) *Gateway {
	b.Helper()
	handler := Handler{Deliver: func(_ string, d *session.Delivery) { d.Respond(wire.ESMEOK) }, Late: func(LateResponse) {}}
	g, err := New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, handler) }()
	b.Cleanup(func() { cancel(); <-ended })
	for slices.ContainsFunc(g.States(), func(s BindState) bool { return s.State != StateBound }) {
		time.Sleep(time.Millisecond)
	}
	return g
}

// fieldLoad sends 50 messages a second, whatever their outcome, and returns how long each
// took and how many were not accepted.
func fieldLoad(g *Gateway) (times []time.Duration, lost int) {
	var sends sync.WaitGroup
	var mu sync.Mutex
	tick := time.NewTicker(fieldInterval)
	defer tick.Stop()
	for range fieldOrders {
		<-tick.C
		sends.Go(func() {
			began := time.Now()
			outcome := fieldSend(g, "+4799999999")
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(began))
			if outcome != handover.Accepted {
				lost++
			}
		})
	}
	sends.Wait()
	return times, lost
}

func fieldSend(g *Gateway, to string) handover.Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return g.Send(ctx, Message{ID: "m", To: to, From: "Straks", Text: "Koden er 123456", Expires: time.Now().Add(time.Minute)}).Outcome
}

func fieldReport(b *testing.B, name string, times []time.Duration) {
	for _, q := range []struct {
		name string
		q    float64
	}{{"p50-ms", 0.5}, {"p99-ms", 0.99}} {
		b.ReportMetric(float64(quantile(times, q.q).Microseconds())/1000, name+q.name)
	}
}

func quantile(times []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
