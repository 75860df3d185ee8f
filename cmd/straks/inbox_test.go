package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"straks/api/client"
	"straks/internal/browsertest"
	"straks/internal/daemon/daemontest"
)

// screenshots is a folder for pictures of the inbox's pages, to be looked at.
var screenshots = flag.String("screenshots", "", "`folder` for pictures of the inbox's pages")

// picture stores what the browser shows, if that is asked for.
func picture(t *testing.T, b *browsertest.Browser, name string) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), browsertest.Get(t, b, chromedp.FullScreenshot(100)), 0o600); err != nil {
		t.Error(err)
	}
}

// hostileMail is Html that would script the page, send a form and load things, if it could.
const hostileMail = `<html><head><title>x</title><script>document.title = "scripted"; parent.document.title = "scripted"</script>
<link rel="preconnect" href="https://evil.example"><link rel="stylesheet" href="https://evil.example/x.css">
<meta http-equiv="refresh" content="0;url=https://evil.example/refreshed"><base href="https://evil.example/">
<style>h1 { color: #1b5e8c }</style></head>
<body onload="document.title = 'scripted'" background="https://evil.example/back.png">
<h1 onclick="alert(1)">Your code is 123456</h1><p>Valid for five minutes. <a href="https://example.org/login" target="_top">Log in</a></p>
<img src="https://evil.example/pixel.png" onerror="document.title = 'scripted'"><svg><script>document.title = "scripted"</script></svg>
<iframe src="https://evil.example/frame"></iframe><form action="https://evil.example/form"><input name="a"></form>
<a href="javascript:document.title='scripted'">x</a></body></html>`

// TestInboxInBrowser is a developer's first minutes: an SMS appears while the page is open, an
// Html mail is shown and can do nothing, buttons make orders fail. The console has no error, and
// no other host is asked.
func TestInboxInBrowser(t *testing.T) {
	b := browsertest.Start(t)
	sb := runSandbox(t)
	c, err := client.New(sb.BaseURL, sb.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Do(t, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(sb.Inbox), chromedp.WaitVisible("#live.on"))
	picture(t, b, "empty")
	if welcome := browsertest.Get(t, b, chromedp.Text("main")); !strings.Contains(welcome, sb.Token) {
		t.Errorf("the page does not say how to begin: %s", welcome)
	}

	// It appears by itself, and so does its receipt.
	order := daemontest.SMS("live", "+4799999999")
	order.Recipient.Settings.Body = "Koden din er 482913 <b>&amp; 🙂" + strings.Repeat(" og så videre", 12)
	if _, err := c.SendSMS(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	b.Do(t, chromedp.WaitVisible(".list .state.DELIVRD"), chromedp.Click(".list li a"), chromedp.WaitVisible("#sms"))
	if text := browsertest.Get(t, b, chromedp.Evaluate[string](`document.querySelector(".phone .sms").textContent.replace(/[234]$/, "")`)); !strings.Contains(text, "482913 <b>&amp; 🙂 og") {
		t.Errorf("the SMS reads %q", text)
	}
	if n := browsertest.Get(t, b, chromedp.Evaluate[int](`document.querySelectorAll(".phone .break").length`)); n != 2 {
		t.Errorf("the SMS has %d breaks, want 2 for three parts", n)
	}
	picture(t, b, "sms")

	// The phone answers STOP, and gets no more.
	b.Do(t, chromedp.Click(`button[value="STOP"]`), chromedp.WaitVisible(".answer"))
	b.Do(t, chromedp.Navigate(sb.Inbox+"/try"), chromedp.Click(`button[name="limited"]`), chromedp.WaitVisible(".retry"))
	b.Do(t, chromedp.Click(`.endings button[value="+4799999903"]`), waitText("#orders", "SMS_Failed_Rejected"))
	b.Do(t, chromedp.Click(`.send button:not([name])`), waitText("#orders", "SMS_Failed_RecipientReserved"))
	b.Do(t, chromedp.Click(`form[action="/carriers/relay"] button[value="throttles"]`), chromedp.WaitVisible("#trouble .banner"))
	b.Do(t, chromedp.Click(`.endings button[value="slow@example.org"]`), waitText("#orders", "503"))
	picture(t, b, "try")
	b.Do(t, chromedp.Click("#trouble .banner button"),
		chromedp.WaitVisible(`form[action="/carriers/relay"] button[value="normal"][aria-pressed="true"]`))

	// A mail from elsewhere is shown, without what it would do.
	mail := daemontest.Mail("html", "kari@example.org")
	mail.Recipient.Settings.ContentType, mail.Recipient.Settings.Body = "Html", hostileMail
	if _, err := c.SendEmail(t.Context(), mail); err != nil {
		t.Fatal(err)
	}
	b.Do(t, chromedp.Navigate(sb.Inbox), chromedp.Click(".list li a"), chromedp.WaitVisible(".links"))
	picture(t, b, "mail")
	title := browsertest.Get(t, b, chromedp.Evaluate[string]("document.title"))
	framed := browsertest.Get(t, b, chromedp.Evaluate[string](`document.querySelector("iframe").contentDocument === null ? "apart" : "together"`))
	if title == "scripted" || framed != "apart" {
		t.Errorf("the page's title is %q, the frame is %s", title, framed)
	}
	b.Do(t, chromedp.Navigate(browsertest.Get(t, b, chromedp.Evaluate[string](`document.querySelector("iframe").src`))))
	if text, title := browsertest.Get(t, b, chromedp.Text("h1")), browsertest.Get(t, b, chromedp.Evaluate[string]("document.title")); text != "Your code is 123456" || title == "scripted" {
		t.Errorf("the mail alone reads %q, with the title %q", text, title)
	}

	b.Do(t, chromedp.EmulateViewport(390, 780), chromedp.Navigate(sb.Inbox), chromedp.WaitVisible("#live.on"))
	picture(t, b, "phone")
	b.Do(t, chromedp.Click(".list li:last-child a"), chromedp.WaitVisible("#sms"))
	if wide := browsertest.Get(t, b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")); wide > 390 {
		t.Errorf("on a phone of 390 pixels the page has %d", wide)
	}
	b.Do(t, dark())
	picture(t, b, "phone-dark")
	b.Do(t, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(sb.Inbox+"/try"))
	picture(t, b, "try-dark")
	checkCalm(t, b, sb.Inbox)
}

// TestInboxWithoutScripts: everything but the live parts works without JavaScript.
func TestInboxWithoutScripts(t *testing.T) {
	b := browsertest.Start(t)
	sb := runSandbox(t)
	b.Do(t, withoutScripts(), chromedp.Navigate(sb.Inbox), chromedp.Click(".quick button"), chromedp.WaitVisible("#orders table"),
		chromedp.Navigate(sb.Inbox), chromedp.Click(".list li a"), chromedp.WaitVisible("#sms"),
		chromedp.Click("button[form=delete]"), chromedp.WaitVisible(".welcome"))
	checkCalm(t, b, sb.Inbox)
}

// waitText waits until an element has a text.
func waitText(selector, text string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(fmt.Sprintf(`//*[@id="%s" and contains(., "%s")]`, strings.TrimPrefix(selector, "#"), text))
}

// dark makes the browser prefer dark pages.
func dark() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
		return err
	})
}

// withoutScripts turns JavaScript off for the pages that follow.
func withoutScripts() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// checkCalm checks that the console has no error, and that no other host was asked.
func checkCalm(t *testing.T, b *browsertest.Browser, origin string) {
	t.Helper()
	if errors := b.Errors(); len(errors) > 0 {
		t.Errorf("the console has %q", errors)
	}
	b.CheckRequests(t, origin, 3)
}
