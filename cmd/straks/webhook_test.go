package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"straks/hooks"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// configureWebhook gives the organisation a webhook, and returns the file of its secret.
func configureWebhook(t *testing.T, w *daemontest.World, url, lines string) (secret string) {
	t.Helper()
	secret = filepath.Join(w.Dir, "crm.secret")
	if err := os.WriteFile(secret, []byte(succeed(t, "webhook", "secret")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.EditConfig("[[organisation.token]]", fmt.Sprintf("[[organisation.webhook]]\nname = \"crm\"\nurl = %q\nsecret_file = %q\n%s\n[[organisation.token]]", url, secret, lines))
	return secret
}

// An operator makes a secret, tries a webhook, and goes on with it after its receiver has answered 410. What the
// receiver gets verifies, and its data is the entry of the API's feed.
func TestWebhookCommand(t *testing.T) {
	type request struct {
		header http.Header
		body   []byte
	}
	var code atomic.Int64
	code.Store(200)
	got := make(chan request, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Header.Clone(), body}
		rw.WriteHeader(int(code.Load()))
		io.WriteString(rw, "the code was 123456")
	}))
	defer receiver.Close()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	secret := configureWebhook(t, w, receiver.URL, "")
	log := w.KeepLog()
	w.Start()
	webhook := func(want string, args ...string) string {
		t.Helper()
		out := succeed(t, append(append([]string{"webhook"}, args...), "-admin", w.Daemon.AdminAddr())...)
		if !strings.Contains(out, want) {
			t.Fatalf("%q: %s, want %q", args, out, want)
		}
		return out
	}
	webhook(" up ", "list")
	webhook("it answered 200 after", "test", "crm")
	verify := func(r request, body string) (int, string, string) {
		return straks(t, body, "webhook", "verify", "-secret-file", secret, "-id", r.header.Get("webhook-id"),
			"-timestamp", r.header.Get("webhook-timestamp"), "-signature", r.header.Get("webhook-signature"))
	}
	r := <-got
	if exit, out, errs := verify(r, string(r.body)); exit != exitDone || out != "the signature is good\n" {
		t.Errorf("%d, %s%s", exit, out, errs)
	}
	if exit, _, errs := verify(r, string(r.body)+"\n"); exit != exitFailed || !strings.Contains(errs, "no line end added") {
		t.Errorf("%d, %s", exit, errs)
	}

	placed := w.Send("k", "+4799999999")
	r = <-got
	var event struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(r.body, &event); err != nil || event.Type != hooks.TypeCompleted || !strings.HasPrefix(r.header.Get("webhook-id"), "ttd.") {
		t.Fatalf("%s, %v", r.body, err)
	}
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.Daemon.APIAddr()+"/notifications/api/v1/future/shipment/feed", nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Authorization", "Bearer "+w.Token)
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if feed, err := io.ReadAll(answer.Body); err != nil || string(feed) != "["+string(event.Data)+"]" || !strings.Contains(string(feed), placed.ShipmentID) {
		t.Errorf("data %s, the feed has %s, %v", event.Data, feed, err)
	}

	code.Store(410)
	w.Send("k2", "+4799999999")
	eventually.True(t, "the stop", func() bool { return strings.Contains(webhook("", "list"), "the receiver answered 410 Gone") })
	if exit, _, errs := straks(t, "", "webhook", "test", "crm", "-org", "ttd", "-admin", w.Daemon.AdminAddr()); exit != exitFailed || !strings.Contains(errs, "the receiver answered 410 Gone") {
		t.Errorf("%d, %s", exit, errs)
	}
	if out := succeed(t, "status", "-admin", w.Daemon.AdminAddr()); !strings.Contains(out, "stopped") {
		t.Errorf("status: %s", out)
	}
	code.Store(200)
	webhook("goes on", "resume", "crm")
	eventually.True(t, "the second", func() bool { return strings.Contains(webhook("", "list", "-json"), `"delivered":2`) })
	for args, want := range map[string]string{"test other": "no webhook is called", "test crm -org none": "no webhook is called", "resume": "NAME (of the webhook) is missing", "resume crm -from here": "must be newest or oldest"} {
		_, _, errs := straks(t, "", append(append([]string{"webhook"}, strings.Fields(args)...), "-admin", w.Daemon.AdminAddr())...)
		if !strings.Contains(errs, want) {
			t.Errorf("%s: %s, want %q", args, errs, want)
		}
	}
	w.Stop()
	if text := log.String(); strings.Contains(text, "123456") || strings.Contains(text, "whsec") || strings.Contains(text, "99999999") {
		t.Errorf("the log has a code, a secret or a number:\n%s", text)
	}
}
