package daemon_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"straks/internal/browsertest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
)

// screenshots is a folder that git ignores: CI keeps what is in it.
const screenshots = "../../console/testdata/screenshots"

// reader is a person at a browser.
type reader struct {
	*browsertest.Browser
	t    *testing.T
	w    *consoleWorld
	axe  string // the accessibility checks
	name string

	brief bool // pages are looked at on one screen only, and for errors
}

// accessibility returns axe-core, which .ci/console-deps installs.
func accessibility(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../console/testdata/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("needs axe-core: .ci/console-deps installs it")
	}
	return string(text)
}

// logIn logs in with the form.
func (r *reader) logIn(name string) {
	r.t.Helper()
	r.name = name
	r.Do(r.t, chromedp.Navigate(r.w.base+"/login"), chromedp.SendKeys(`input[name="name"]`, name),
		chromedp.SendKeys(`input[name="password"]`, consolePassword))
	r.look("login")
	r.Do(r.t, chromedp.Submit(`form.stack`), chromedp.WaitVisible(`nav`))
}

func (r *reader) logOut() {
	r.t.Helper()
	r.Do(r.t, chromedp.Click(`form[action="/logout"] button`), chromedp.WaitVisible(`input[name="password"]`))
}

func (r *reader) open(path string) {
	r.t.Helper()
	r.Do(r.t, chromedp.Navigate(r.w.base+path), chromedp.WaitVisible(`main h1`))
}

// looks are the screens on which each page is looked at.
var looks = []struct {
	name          string
	width, height int64
	scheme        string
}{{"wide", 1280, 900, "light"}, {"phone-dark", 390, 800, "dark"}}

// look checks the page that is open: nothing in the browser's console, no accessibility fault in either scheme, nothing wider
// than the screen; and takes screenshots.
func (r *reader) look(page string) {
	r.t.Helper()
	for _, l := range looks[:choose(r.brief, 1, len(looks))] {
		r.Do(r.t, chromedp.EmulateViewport(l.width, l.height), scheme(l.scheme))
		if wide := browsertest.Get(r.t, r.Browser, chromedp.Evaluate[int]("document.documentElement.scrollWidth")); int64(wide) > l.width {
			r.t.Errorf("%s as %s, %s: it is %d wide", page, r.name, l.name, wide)
		}
		if !r.brief {
			for _, fault := range r.faults() {
				r.t.Errorf("%s as %s, %s: %s", page, r.name, l.name, fault)
			}
		}
		shot := browsertest.Get(r.t, r.Browser, chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(screenshots, fmt.Sprintf("%s-%s-%s.png", page, r.name, l.name)), shot, 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	if errors := r.Errors(); len(errors) > 0 {
		r.t.Errorf("%s as %s: the console has %q", page, r.name, errors)
	}
}

func choose(yes bool, a, b int) int {
	if yes {
		return a
	}
	return b
}

// scheme has the browser prefer light or dark pages.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

// faults returns what axe-core finds wrong: WCAG 2.2 level AA, and its best practices.
func (r *reader) faults() (all []string) {
	r.t.Helper()
	r.Do(r.t, chromedp.EvaluateAsDevTools[chromedp.Void](r.axe+";undefined"))
	const run = `axe.run().then(found => JSON.stringify(found.violations.map(v => v.id + ": " + v.help + " " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | "))))`
	text := browsertest.Get(r.t, r.Browser, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// TestConsoleInBrowser: each page with each role, in a real browser: a live update, a search, an unblock; nothing in its
// console, no accessibility fault, and no request to any other host.
func TestConsoleInBrowser(t *testing.T) {
	axe := accessibility(t)
	r := &reader{Browser: browsertest.Start(t), t: t, axe: axe}
	r.w = newConsole(t, smsctest.Sandbox(), "")
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	w := r.w
	id := w.Send("delivered", "+4799999999").ShipmentID
	failed := w.Send("failed", "+4799999901").ShipmentID
	w.Send("rejected", "+4799999903")
	w.Await(id, "SMS_Delivered")
	w.Await(failed, "SMS_Failed_Undelivered")
	if err := w.SMSC.SendMO("+4799999999", "2077", "STOP"); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"vera", "ola", "siri", "kari"} {
		r.logIn(name)
		r.brief = name != "kari" // who sees what the others see
		pages := []string{"/", "/organisations", "/carrier/telco", "/carrier/mx"}
		if name == "siri" || name == "kari" {
			pages = append(pages, "/find", "/message/"+id, "/message/"+failed, "/blocked")
		}
		for _, path := range pages {
			r.open(path)
			r.look(strings.NewReplacer("/", "_", id, "delivered", failed, "failed").Replace(cmp.Or(strings.Trim(path, "/"), "now")))
		}
		links := browsertest.Get(t, r.Browser, chromedp.Evaluate[[]string](`[...document.querySelectorAll("nav a")].map(a => a.getAttribute("href"))`))
		if want := name == "siri" || name == "kari"; slices.Contains(links, "/find") != want || slices.Contains(links, "/blocked") != want {
			t.Errorf("%s has the links %q", name, links)
		}
		r.logOut()
	}
	r.logIn("kari")
	r.live()
	r.search(id)
	r.unblock()
	r.norwegian()
	r.CheckRequests(t, w.base, 30)
}

// live: a pause shows on an open page by itself.
func (r *reader) live() {
	r.t.Helper()
	r.open("/")
	ola := r.w.as("ola")
	ola.post("/carrier/telco/pause", "reason", "planned work")
	r.Do(r.t, chromedp.WaitVisible(`.state.paused`))
	sentence := browsertest.Get(r.t, r.Browser, chromedp.TextContent(`.sentence`))
	if !strings.Contains(sentence, "do not go out") && !strings.Contains(sentence, "look at telco") {
		r.t.Errorf("while telco is paused: %s", sentence)
	}
	r.look("paused")
	ola.post("/carrier/telco/resume", "reason", "done")
	r.Do(r.t, chromedp.WaitVisible(`[data-live="telco:state"].up`))
}

// search: a number leads to its message, and is in no address.
func (r *reader) search(id string) {
	r.t.Helper()
	r.open("/find")
	r.Do(r.t, chromedp.SendKeys(`#text`, "999 99 999"), chromedp.SendKeys(`#reason`, "case 7"), chromedp.Submit(`form[role="search"]`), chromedp.WaitVisible(`main h2`))
	r.look("find-none")
	r.open("/find")
	r.Do(r.t, chromedp.SendKeys(`#text`, "+47 999 99 999"), chromedp.Submit(`form[role="search"]`), chromedp.WaitVisible(`.found a[href="/message/`+id+`"]`))
	r.look("found")
	r.Do(r.t, chromedp.Click(`.found a[href="/message/`+id+`"]`), chromedp.WaitVisible(`#main dl`))
	if text := browsertest.Get(r.t, r.Browser, chromedp.TextContent(`main`)); !strings.Contains(text, "Delivered by telco") {
		r.t.Errorf("the message says %s", text)
	}
	if at := browsertest.Get(r.t, r.Browser, chromedp.Location()); !strings.HasSuffix(at, "/message/"+id) {
		r.t.Errorf("its address is %s", at)
	}
}

// unblock: a person who replied STOP can have messages again.
func (r *reader) unblock() {
	r.t.Helper()
	eventually.True(r.t, "the block", func() bool {
		r.open("/blocked")
		return strings.Contains(browsertest.Get(r.t, r.Browser, chromedp.TextContent(`main`)), "+4799999999")
	})
	r.look("blocked-one")
	r.Do(r.t, chromedp.Click(`summary`), chromedp.SendKeys(`details input[name="reason"]`, "asked by phone"), chromedp.Click(`details button`), chromedp.WaitVisible(`.notice`))
	r.look("unblocked")
	r.w.Await(r.w.Send("again", "+4799999999").ShipmentID, "SMS_Delivered")
}

// norwegian: the switch of languages stays on the page, and holds on the next.
func (r *reader) norwegian() {
	r.t.Helper()
	r.open("/organisations")
	r.Do(r.t, chromedp.Click(`form[action="/language"] button`), chromedp.WaitVisible(`html[lang="nb"] main h1`))
	if at := browsertest.Get(r.t, r.Browser, chromedp.Location()); !strings.HasSuffix(at, "/organisations") {
		r.t.Errorf("the switch led to %s", at)
	}
	r.open("/")
	if text := browsertest.Get(r.t, r.Browser, chromedp.TextContent(`.sentence`)); !strings.Contains(text, "Alt virker") {
		r.t.Errorf("in Norwegian: %s", text)
	}
	r.look("norwegian")
}
