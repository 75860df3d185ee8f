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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/codes"
	"straks/hooks"
	"straks/internal/eventually"
	"straks/orders"
)

// tryWebhook holds the document's webhook against a request that a receiver really gets.
func (s *spec) tryWebhook(t *testing.T, about string) {
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
	d := hooks.New(hooks.Config{Webhooks: []hooks.Webhook{{Organisation: "ttd", Name: "crm", URL: receiver.URL, Secret: secret, Verifications: about == "verification"}},
		Feed: w.service, Verifications: verificationSource{w.api.api.codes}, Cursors: w.journal.(orders.Cursors), Encode: EncodeEntry, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	ctx, cancel := context.WithCancel(t.Context())
	d.Begin(ctx)
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	defer running.Wait()
	defer cancel()
	w.refuses()
	for _, key := range []string{"1", "2"} {
		w.sendSMS(key)
		if about == "verification" {
			w.verify(strings.NewReplacer(`"k"`, `"v`+key+`"`, "99 99 99 99", "99 99 99 9"+key).Replace(verifyBody))
		}
	}
	eventually.True(t, "both requests", func() bool { return len(requests) >= 2 })
	<-requests
	r := <-requests // which has one before it

	place := "#/webhooks/" + about + "/post/parameters"
	_, list := s.follow(place)
	for i, p := range list.([]any) {
		p := p.(map[string]any)
		s.used[fmt.Sprintf("%s/%d/example", place, i)] = true
		got, pattern := r.header.Get(p["name"].(string)), p["schema"].(map[string]any)["pattern"]
		if got == "" || pattern != nil && !regexp.MustCompile(pattern.(string)).MatchString(got) {
			t.Errorf("%s is %q", p["name"], got)
		}
	}
	example := s.examples("#/webhooks/" + about + "/post/requestBody/content/application~1json")[""]
	var got any
	if err := json.Unmarshal(r.body, &got); err != nil {
		t.Fatal(err)
	}
	sameShape(t, "$", example, got)
	_, types := s.follow("#/webhooks/" + about + "/post/requestBody/content/application~1json/schema/properties/type/enum")
	kinds := []string{hooks.TypeCompleted, hooks.TypeChanged, hooks.TypeTest}
	if about == "verification" {
		kinds = []string{hooks.TypeVerificationCompleted, hooks.TypeVerificationChanged, hooks.TypeTest}
	}
	if want := fmt.Sprint(kinds); fmt.Sprint(types) != want {
		t.Errorf("the document has the types %v, want %v", types, want)
	}
}

// verificationSource is the feed of verifications, as the daemon gives it to webhooks.
type verificationSource struct{ *codes.Service }

func (v verificationSource) Read(ctx context.Context, q orders.FeedQuery) ([]hooks.Entry, error) {
	page, err := v.Feed(ctx, codes.FeedQuery{Organisation: q.Organisation, Seq: q.Seq, Limit: q.Limit, FinalOnly: q.FinalOnly})
	entries := make([]hooks.Entry, len(page))
	for i, e := range page {
		entries[i] = hooks.Entry{Seq: e.Seq, About: e.Verification, Final: e.Status.Final(), At: e.At, Encode: func() []byte { return EncodeVerification(e) }}
	}
	return entries, err
}

func (verificationSource) Sample(string, time.Time) []byte { return nil }
