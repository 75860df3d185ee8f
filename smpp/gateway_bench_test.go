package smpp

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/smpp/session"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// BenchmarkSend is the whole gateway, over loopback, with one receipt for each message.
func BenchmarkSend(b *testing.B) {
	for _, c := range []struct {
		name    string
		delay   time.Duration
		window  int
		clients int // for each processor
	}{
		{"loopback", 0, 64, 64},
		{"delay=50ms/window=100", 50 * time.Millisecond, 100, 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{Record: -1, Fast: true, Behaviour: smsctest.Behaviour{Delay: c.delay}})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			account := account("telco", s)
			account.Window = c.window
			handler := Handler{Deliver: func(_ string, d *session.Delivery) { d.Respond(wire.ESMEOK) }, Late: func(LateResponse) {}}
			g, err := New(Config{SMSCs: []SMSC{account}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- g.Run(ctx, handler) }()
			defer func() { cancel(); <-ended }()
			b.SetParallelism(c.clients)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					send(b, g)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
		})
	}
}

func send(b *testing.B, g *Gateway) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m := Message{ID: "m", To: number, From: "Straks", Text: "Koden er 123456", Expires: time.Now().Add(time.Minute)}
	if r := g.Send(ctx, m); r.Outcome != handover.Accepted {
		b.Errorf("%+v", r)
	}
}
