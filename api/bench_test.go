package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// BenchmarkPlace measures what the package adds to an order: everything but
// the socket, the journal and the carrier.
func BenchmarkPlace(b *testing.B) {
	w := start(b)
	w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1})
	parts := strings.Split(smsBody, `"k"`)
	path := DefaultBasePath + "/future/orders/instant/sms"
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(parts[0]+`"`+strconv.Itoa(n)+`"`+parts[1]))
		r.Header.Set("Authorization", "Bearer "+ttdToken)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		w.server.Config.Handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusCreated {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}

// BenchmarkRefused measures what an order costs that is refused for load: its CPU time decides how
// much of the machine is left for the others.
func BenchmarkRefused(b *testing.B) {
	w := start(b, func(_ *Config, cfg *orders.Config) { cfg.MaxInFlight, cfg.SendDeadline = 1, time.Hour })
	entered, gate := make(chan struct{}), make(chan struct{})
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orders.Handover{Outcome: handover.Unknown}
	})
	first := make(chan answer)
	go func() { first <- w.sendSMS("first") }()
	<-entered
	if a := w.sendSMS("second"); a.status != http.StatusServiceUnavailable { // has waited for others
		b.Fatal(a.status)
	}
	parts := strings.Split(smsBody, `"k"`)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		r := httptest.NewRequest(http.MethodPost, smsPath, strings.NewReader(parts[0]+`"`+strconv.Itoa(n)+`"`+parts[1]))
		r.Header.Set("Authorization", "Bearer "+ttdToken)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		w.server.Config.Handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusServiceUnavailable {
			b.Fatal(rec.Code, rec.Body)
		}
	}
	close(gate)
	<-first
}
