package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/hooks"
	"straks/internal/eventually"
	"straks/orders"
)

// tryWebhook holds the document's webhook against a request that a receiver really gets.
func (s *spec) tryWebhook(t *testing.T) {
	type request struct {
		header http.Header
		body   []byte
	}
	requests := make(chan request, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- request{r.Header, body}
	}))
	defer receiver.Close()
	w := start(t)
	secret, err := hooks.ParseSecret(hooks.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	d := hooks.New(hooks.Config{Webhooks: []hooks.Webhook{{Organisation: "ttd", Name: "crm", URL: receiver.URL, Secret: secret}},
		Feed: w.service, Cursors: w.journal.(orders.Cursors), Encode: EncodeEntry, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	ctx, cancel := context.WithCancel(t.Context())
	d.Begin(ctx)
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	defer running.Wait()
	defer cancel()
	w.refuses()
	for _, key := range []string{"1", "2"} {
		w.sendSMS(key)
	}
	eventually.True(t, "both requests", func() bool { return len(requests) >= 2 })
	<-requests
	r := <-requests // which has one before it

	place := "#/webhooks/shipment/post/parameters"
	_, list := s.follow(place)
	for i, p := range list.([]any) {
		p := p.(map[string]any)
		s.used[fmt.Sprintf("%s/%d/example", place, i)] = true
		got, pattern := r.header.Get(p["name"].(string)), p["schema"].(map[string]any)["pattern"]
		if got == "" || pattern != nil && !regexp.MustCompile(pattern.(string)).MatchString(got) {
			t.Errorf("%s is %q", p["name"], got)
		}
	}
	example := s.examples("#/webhooks/shipment/post/requestBody/content/application~1json")[""]
	var got any
	if err := json.Unmarshal(r.body, &got); err != nil {
		t.Fatal(err)
	}
	sameShape(t, "$", example, got)
	_, types := s.follow("#/webhooks/shipment/post/requestBody/content/application~1json/schema/properties/type/enum")
	if want := fmt.Sprint([]string{hooks.TypeCompleted, hooks.TypeChanged, hooks.TypeTest}); fmt.Sprint(types) != want {
		t.Errorf("the document has the types %v, want %v", types, want)
	}
}
