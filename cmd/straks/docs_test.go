package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"straks/api/client"
	"straks/internal/browsertest"
	"straks/internal/daemon/daemontest"
)

// runSandbox runs the sandbox command until the test ends, and returns its line.
func runSandbox(t *testing.T, flags ...string) (line struct{ BaseURL, Token, Docs, Inbox, Admin string }) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx, append([]string{"sandbox", "-listen", "127.0.0.1:0"}, flags...), strings.NewReader(""), in, os.Stderr)
		in.Close()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	if err := json.NewDecoder(out).Decode(&line); err != nil {
		t.Fatal(err)
	}
	return line
}

// operations returns the calls of the document that the daemon serves, as "POST /path".
func operations(t *testing.T, baseURL string) (calls []string) {
	t.Helper()
	resp, err := http.Get(baseURL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var document struct{ Paths, Webhooks map[string]map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		for method := range methods {
			calls = append(calls, strings.ToUpper(method)+" "+path)
		}
	}
	for name, methods := range document.Webhooks {
		for method := range methods {
			calls = append(calls, strings.ToUpper(method)+" "+name)
		}
	}
	slices.Sort(calls)
	return calls
}

// TestDocsInBrowser: /docs shows every call, makes one with a token, has no error in the console, and asks no
// host but this one.
func TestDocsInBrowser(t *testing.T) {
	b := browsertest.Start(t)
	sb := runSandbox(t)
	const each = `[...document.querySelectorAll(".opblock-summary")].map(e =>
		e.querySelector(".opblock-summary-method").textContent + " " + e.querySelector(".opblock-summary-path").dataset.path)`
	b.Do(t, chromedp.Navigate(sb.Docs), chromedp.WaitVisible(".opblock-summary-path"))
	shown := browsertest.Get(t, b, chromedp.Evaluate[[]string](each))
	slices.Sort(shown)
	if want := operations(t, sb.BaseURL); !slices.Equal(shown, want) {
		t.Errorf("the page shows\n%q, the document has\n%q", shown, want)
	}

	// A person gives the token, and asks for the feed. The page proposes to wait for an entry, so there is one.
	c, err := client.New(sb.BaseURL, sb.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Fatal(err)
	}
	const feed = "#operations-Shipments-getFeed "
	b.Do(t,
		chromedp.Click(".btn.authorize"), chromedp.SendKeys(`.modal-ux input`, sb.Token), chromedp.Click(".modal-btn.authorize"),
		chromedp.Click(".modal-ux .btn-done"),
		chromedp.Click(feed+".opblock-summary-control"), chromedp.Click(feed+".try-out__btn"), chromedp.Click(feed+".execute"))
	status := browsertest.Get(t, b, chromedp.Text(feed+".live-responses-table tbody .response-col_status"))
	address := browsertest.Get(t, b, chromedp.Text(feed+".request-url"))
	if !strings.HasPrefix(strings.TrimSpace(status), "200") || !strings.Contains(address, sb.BaseURL+"/future/shipment/feed") {
		t.Errorf("the feed: %s from %s", status, address)
	}

	if errors := b.Errors(); len(errors) > 0 {
		t.Errorf("the console has %q", errors)
	}
	b.CheckRequests(t, strings.TrimSuffix(sb.BaseURL, "/notifications/api/v1"), 5)
}
