package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
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

// stamped notes how long each answer's commit took, and when it was done.
type stamped struct {
	orders.Journal
	took, done chan time.Duration // done is since began
	began      time.Time
}

func (s *stamped) Apply(ctx context.Context, events []orders.Event) ([]orders.Effect, error) {
	before := time.Since(s.began)
	effects, err := s.Journal.Apply(ctx, events)
	done := time.Since(s.began)
	s.took <- done - before
	s.done <- done
	return effects, err
}

// BenchmarkFeedDelay measures how long after its commit a change is with the readers that wait for it, one by a
// stream and one by wait=, on sockets. The commit's own time is beside it, for the ratio.
func BenchmarkFeedDelay(b *testing.B) {
	s := &stamped{took: make(chan time.Duration, 1), done: make(chan time.Duration, 1), began: time.Now()}
	w := start(b, func(_ *Config, c *orders.Config) {
		s.Journal = c.Journal
		c.Journal = s
	})
	w.refuses()
	next, stop := w.events("")
	defer stop()
	events := make(chan time.Duration, 1)
	go func() {
		for strings.HasPrefix(next(), "id: ") {
			events <- time.Since(s.began)
		}
	}()
	// Requests that the validator of the document does not look at.
	w.http = w.server.Client()
	var commits, streams, waits []time.Duration
	for seq := 0; b.Loop(); seq++ {
		answered := make(chan time.Duration, 1)
		go func() {
			if _, a := feed(b, w, "?wait=60&seq="+strconv.Itoa(seq)); a.status == http.StatusOK {
				answered <- time.Since(s.began)
			}
		}()
		w.waiting(2)
		w.sendSMS(strconv.Itoa(seq))
		done := <-s.done
		commits = append(commits, <-s.took)
		streams = append(streams, <-events-done)
		waits = append(waits, <-answered-done)
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range map[string][]time.Duration{"commit": commits, "stream": streams, "wait": waits} {
		slices.Sort(all)
		for percent, at := range map[string]int{"p50": len(all) / 2, "p99": len(all) * 99 / 100} {
			b.ReportMetric(float64(all[at].Microseconds()), name+"-"+percent+"-µs")
		}
	}
	b.ReportMetric(float64(streams[len(streams)/2])/float64(commits[len(commits)/2]), "stream/commit")
	b.ReportMetric(float64(waits[len(waits)/2])/float64(commits[len(commits)/2]), "wait/commit")
}
