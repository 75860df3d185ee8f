package hooks

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"straks/orders"
)

// BenchmarkDelivery measures the time from a receipt, as it is given to the service, to its request at the receiver,
// at 1,000 receipts a second: to one receiver on loopback, in order. The time has the receipt's commit in it.
func BenchmarkDelivery(b *testing.B) {
	const rate = 1000
	w := newWorld(b)
	var mu sync.Mutex
	given, took := make(map[string]time.Time, b.N), make([]time.Duration, 0, b.N)
	all := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		now := time.Now()
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		if took = append(took, now.Sub(given[r.Header.Get("webhook-id")])); len(took) == b.N {
			close(all)
		}
	}))
	defer receiver.Close()
	var refs []string
	for i := range b.N { // each is accepted: entry i+1
		placed, _, err := w.service.Place(b.Context(), orders.Order{Organisation: org, Key: strconv.Itoa(i), TTL: time.Hour,
			Message: orders.Message{Channel: orders.SMS, To: "+4799999999"}})
		if err != nil {
			b.Fatal(err)
		}
		refs = append(refs, placed.ID.String())
	}
	secret, err := ParseSecret(secretText)
	if err != nil {
		b.Fatal(err)
	}
	w.start(Webhook{Organisation: org, Name: "crm", URL: receiver.URL, Secret: secret, FinalOnly: true})
	b.ResetTimer()
	began := time.Now()
	for i, ref := range refs {
		due := began.Add(time.Duration(i) * time.Second / rate)
		time.Sleep(time.Until(due))
		mu.Lock()
		given[(&Webhook{Organisation: org}).eventID(uint64(b.N+i+1))] = due // late is late
		mu.Unlock()
		if err := w.service.Receive(orders.Report{Carrier: "telco", Refs: []string{ref}, At: time.Now(), Status: orders.SMSDelivered}, func(error) {}); err != nil {
			b.Fatal(err)
		}
	}
	<-all
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "deliveries/s")
}
