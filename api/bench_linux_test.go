package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/audit"
	"straks/internal/limits"
	"straks/orders"
)

// BenchmarkEntry measures what authentication, limits and the audit add to an order, as processor time of the process, by
// what the caller shows. The audit is written; the time that a goroutine waits does not count.
func BenchmarkEntry(b *testing.B) {
	idp, p := newIDPs(b), newPKI(b)
	idp.auth.certs = p.auth.certs
	request := func(token string) *http.Request {
		r, _ := http.NewRequest("POST", "/", nil)
		r.RemoteAddr = "192.0.2.1:1"
		if token != "" {
			as(token)(r)
		}
		return r
	}
	static, web, certified := request(ttdToken), request(idp.key.Sign(idp.claims())), request("")
	certified.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{p.ttd.Issue("backend").Leaf}}
	first := func() { idp.auth.web.known = newVerified() }
	reread := func() {
		if err := p.auth.certs.Set(p.conf); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		r      *http.Request
		before func() // each order, which does not count; nil: nothing
	}{
		{"static", static, nil}, {"ES256", web, nil}, {"ES256, first call", web, first},
		{"certificate", certified, nil}, {"certificate, first call", certified, reread},
	} {
		b.Run(c.name, func(b *testing.B) { benchEntry(b, idp.auth, c.r, c.before) })
	}
}

func benchEntry(b *testing.B, auth *Callers, r *http.Request, before func()) {
	record, err := audit.New(audit.Config{Dir: b.TempDir()}, slogDiscard(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- record.Run(ctx) }()
	defer func() { stop(); <-done }()
	bounds := limits.New(limits.Config{Log: slogDiscard(), Registerer: prometheus.NewRegistry(), Organisations: map[string]limits.Organisation{
		"ttd": {Day: 1e9, Month: 1e9, Recipient: []limits.Window{{Orders: 5, Per: 10 * time.Minute}, {Orders: 20, Per: 24 * time.Hour}}}}})
	buckets := newRates(map[string]Rate{"ttd": {PerSecond: 1e9, Burst: 1e9}}, nil)
	a := &api{audit: record}
	shipment := orders.Shipment{ID: uuid.New(), Status: orders.SMSAccepted}
	n, began, apart := 0, processorTime(), time.Duration(0)
	for b.Loop() {
		if n++; n%2048 == 0 {
			time.Sleep(50 * time.Millisecond) // for the audit, whose queue is bounded
		}
		if before != nil {
			at := processorTime()
			before()
			apart += processorTime() - at
		}
		who, err := auth.Authenticate(r)
		if err != nil || buckets.allow(who.Organisation) != nil {
			b.Fatal(err)
		}
		if _, err := bounds.Take(who.Organisation, orders.SMS, orders.Recipient(fmt.Sprintf("+47%08d", n)), time.Now()); err != nil {
			b.Fatal(err)
		}
		a.recordOrder(&exchange{r: r, who: who}, &shipment, true, nil)
	}
	b.ReportMetric(float64((processorTime()-began-apart).Nanoseconds())/1000/float64(n), "cpu-µs/order")
}

// processorTime is what the process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
