package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
)

// runSandbox runs the sandbox command until the test ends, and returns its line.
func runSandbox(t *testing.T) (line struct{ BaseURL, Token, Docs string }) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx, []string{"sandbox", "-listen", "127.0.0.1:0"}, strings.NewReader(""), in, os.Stderr)
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

// browser is a headless Chromium, and what it did.
type browser struct {
	ctx context.Context

	mu     sync.Mutex
	asked  []string // the URLs
	errors []string // of its console, with warnings, and exceptions
}

// startBrowser needs Debian's chromium, which .ci/browser-deps installs.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	bounded, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	allocator, cancel := chromedp.NewExecAllocator(bounded, options...)
	t.Cleanup(cancel)
	b := &browser{}
	b.ctx, cancel = chromedp.NewContext(allocator, chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	b.do(t) // starts it
	return b
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *log.EventEntryAdded: // refused by the policy, not found, and the like
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.errors = append(b.errors, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			text, _ := json.Marshal(e.Args)
			b.errors = append(b.errors, string(text))
		}
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	}
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	get(t, b, chromedp.Steps(steps...))
}

// get is do for an action that has a result.
func get[T any](t *testing.T, b *browser, action chromedp.Action[T]) T {
	t.Helper()
	result, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		t.Fatalf("%v; the console has %q", err, b.errors)
	}
	return result
}

// operations returns the calls of the document that the daemon serves, as "POST /path".
func operations(t *testing.T, baseURL string) (calls []string) {
	t.Helper()
	resp, err := http.Get(baseURL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var document struct{ Paths map[string]map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		for method := range methods {
			calls = append(calls, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(calls)
	return calls
}

// TestDocsInBrowser: /docs shows every call, makes one with a token, has no error in the console, and asks no
// host but this one.
func TestDocsInBrowser(t *testing.T) {
	b := startBrowser(t)
	sb := runSandbox(t)
	const each = `[...document.querySelectorAll(".opblock-summary")].map(e =>
		e.querySelector(".opblock-summary-method").textContent + " " + e.querySelector(".opblock-summary-path").dataset.path)`
	b.do(t, chromedp.Navigate(sb.Docs), chromedp.WaitVisible(".opblock-summary-path"))
	shown := get(t, b, chromedp.Evaluate[[]string](each))
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
	b.do(t,
		chromedp.Click(".btn.authorize"), chromedp.SendKeys(`.modal-ux input`, sb.Token), chromedp.Click(".modal-btn.authorize"),
		chromedp.Click(".modal-ux .btn-done"),
		chromedp.Click(feed+".opblock-summary-control"), chromedp.Click(feed+".try-out__btn"), chromedp.Click(feed+".execute"))
	status := get(t, b, chromedp.Text(feed+".live-responses-table tbody .response-col_status"))
	address := get(t, b, chromedp.Text(feed+".request-url"))
	if !strings.HasPrefix(strings.TrimSpace(status), "200") || !strings.Contains(address, sb.BaseURL+"/future/shipment/feed") {
		t.Errorf("the feed: %s from %s", status, address)
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.errors) > 0 {
		t.Errorf("the console has %q", b.errors)
	}
	if len(b.asked) < 5 {
		t.Errorf("only %d requests were seen: %q", len(b.asked), b.asked)
	}
	host := strings.TrimSuffix(sb.BaseURL, "/notifications/api/v1")
	for _, asked := range b.asked {
		if u, err := url.Parse(asked); err != nil || u.Scheme != "data" && fmt.Sprint(u.Scheme, "://", u.Host) != host {
			t.Errorf("it asked for %s", asked)
		}
	}
}
