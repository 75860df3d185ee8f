package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"straks/internal/browsertest"
)

// TestVerifyInBrowser is a person who logs in on the sandbox's page: reads the code in the inbox and types it; is wrong
// five times; comes too late. Browsers are told that the field takes a code.
func TestVerifyInBrowser(t *testing.T) {
	b := browsertest.Start(t)
	sb := runSandbox(t)
	text := func(selector string) string { return browsertest.Get(t, b, chromedp.Text(selector)) }
	b.Do(t, chromedp.EmulateViewport(390, 780), chromedp.Navigate(sb.Inbox+"/verify"), chromedp.WaitVisible("#live.on"))
	picture(t, b, "verify")
	b.Do(t, chromedp.SetValue("input[name=origin]", "example.no"), chromedp.Click("form[action='/verify/start'] button"), chromedp.WaitVisible("#code"))
	field := browsertest.Get(t, b, chromedp.Evaluate[string](`(e => [e.autocomplete, e.inputMode, e.labels[0].textContent.trim(), document.activeElement === e].join())(document.querySelector("#code"))`))
	if field != "one-time-code,numeric,Code,true" {
		t.Errorf("the field is %s", field)
	}

	// The code is read where the person reads it, and typed with a blank.
	b.Do(t, chromedp.WaitVisible("#state a"), chromedp.Click("#state a"), chromedp.WaitVisible("#sms"))
	sms := text(".phone .sms")
	code := regexp.MustCompile(`^[0-9]{6}`).FindString(sms)
	if code == "" || !strings.HasSuffix(sms, "@example.no #"+code) {
		t.Fatalf("the SMS reads %q", sms)
	}
	check := func(typed, then string) {
		t.Helper()
		b.Do(t, chromedp.SetValue("#code", typed), chromedp.Click("form[action='/verify/check'] button"), chromedp.WaitVisible(then))
	}
	b.Do(t, chromedp.Navigate(sb.Inbox+"/verify"), chromedp.WaitVisible("#code"))
	check("1", "#said.bad")
	picture(t, b, "verify-wrong")
	b.Do(t, chromedp.Click("form[action='/verify/resend'] button"), waitText("#said", "Nothing was sent"))
	b.Do(t, chromedp.Click("button[value='30']"), chromedp.WaitNotPresent("#said"), chromedp.Click("form[action='/verify/resend'] button"), waitText("#said", "sent again"))
	check(code[:3]+" "+code[3:], ".outcome.approved")
	picture(t, b, "verify-approved")

	ask := func(to string) {
		t.Helper()
		b.Do(t, chromedp.SetValue("input[name=to]", to), chromedp.Click("form[action='/verify/start'] button"), chromedp.WaitVisible("#code"))
	}
	ask("ola@example.org")
	for _, left := range []string{"4", "3", "2", "1"} {
		check("1", "//*[@id='state' and contains(., 'Attempts left: "+left+"')]")
	}
	check("1", ".outcome.exhausted")

	// What expires while the page is open is seen there without a click.
	ask("+4799999998")
	b.Do(t, chromedp.Click("button[value='3600']"), chromedp.WaitVisible(".outcome.expired"))
	if wide := browsertest.Get(t, b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")); wide > 390 {
		t.Errorf("on a phone of 390 pixels the page has %d", wide)
	}

	// All of it works without scripts too.
	b.Do(t, withoutScripts(), chromedp.Navigate(sb.Inbox+"/verify"), chromedp.WaitVisible("input[name=to]"))
	ask("+4799999997")
	check(regexp.MustCompile(`^[0-9]{6}`).FindString(latest(t, sb.Inbox, "+4799999997")), ".outcome.approved")
	checkCalm(t, b, sb.Inbox)
}
