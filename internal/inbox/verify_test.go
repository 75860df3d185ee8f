package inbox

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"straks/smpp/smsctest"
)

// person is a browser on the page of verifications.
type person struct {
	*world
	cookie string
}

// does sends a form, and returns the page that the browser then sees.
func (p *person) does(step string, form url.Values) string {
	p.T.Helper()
	a := p.ask("POST", "/verify/"+step, form, "Cookie", p.cookie)
	if a.status != 303 || a.header.Get("Location") != "/verify" {
		p.T.Fatalf("%s: %+v", step, a)
	}
	if set := a.header.Get("Set-Cookie"); set != "" {
		if !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") {
			p.T.Errorf("the cookie %q", set)
		}
		p.cookie, _, _ = strings.Cut(set, ";")
	}
	return p.sees()
}

func (p *person) sees() string {
	p.T.Helper()
	a := p.ask("GET", "/verify", nil, "Cookie", p.cookie)
	if a.status != 200 {
		p.T.Fatalf("%+v", a)
	}
	return html.UnescapeString(a.body)
}

// code returns that of the newest message to a recipient.
func (p *person) code(to string) string {
	p.T.Helper()
	list, _ := p.box.List(Query{To: to}, 1)
	if len(list) == 0 {
		p.T.Fatalf("there is no message to %s", to)
	}
	return regexp.MustCompile(`[0-9]{6}`).FindString(list[0].Text)
}

// TestVerifyPage: a login of each kind, with what the person reads and what the API was asked.
func TestVerifyPage(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	const phone = "+47 999 99 999"
	ola := &person{world: w}
	has := func(page string, all ...string) {
		t.Helper()
		for _, want := range all {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
	}
	has(ola.sees(), "Number or address")
	has(ola.does("check", url.Values{"code": {"1"}}), "Ask for a code first")
	has(ola.does("start", url.Values{"to": {"+47123"}}), "phoneNumber", "400 Bad Request", `value="+47123"`)
	has(ola.does("start", url.Values{"to": {phone}, "seconds": {"x"}}), "for how many seconds")
	has(ola.does("start", url.Values{"to": {phone}, "seconds": {"60"}, "origin": {"example.no"}}), `autocomplete="one-time-code"`, `inputmode="numeric"`,
		"Attempts left: 5", "201 Created", "@example.no #"+ola.code(phone)[:3])
	has(ola.does("resend", nil), "Nothing was sent", "Messages: 1")
	has(ola.does("clock", url.Values{"seconds": {"30"}}), "Attempts left: 5")
	has(ola.does("resend", nil), "The same code was sent again", "Messages: 2")
	has(ola.does("check", url.Values{"code": {""}}), "code is required", "Attempts left: 5")
	has(ola.does("check", url.Values{"code": {"1"}}), "That is not the code", "Attempts left: 4")

	// Another browser has its own login, and continues the same code only by asking for it.
	kari := &person{world: w}
	if page := kari.sees(); strings.Contains(page, "one-time-code") || strings.Contains(page, "999 99") {
		t.Errorf("another browser sees the login:\n%s", page)
	}
	has(kari.does("start", url.Values{"to": {phone}}), "under way already", "200 OK", "Attempts left: 4")

	sent := ola.code(phone)
	has(ola.does("check", url.Values{"code": {sent[:3] + " " + sent[3:]}}), "Approved.", "logged in")
	has(kari.does("check", url.Values{"code": {"1"}}), "Approved.", "NOT-00012", "410 Gone")

	has(ola.does("start", url.Values{"to": {"ola@example.org"}, "language": {"en"}}), "Messages: 1")
	for range 4 {
		ola.does("check", url.Values{"code": {"1"}})
	}
	has(ola.does("check", url.Values{"code": {"1"}}), "Exhausted.", "NOT-00013")
	has(ola.does("start", url.Values{"to": {phone}, "seconds": {"60"}}), "Attempts left: 5")
	has(ola.does("clock", url.Values{"seconds": {"60"}}), "Expired.")
	has(ola.does("check", url.Values{"code": {ola.code(phone)}}), "Expired.", "NOT-00011")
	ola.does("start", url.Values{"to": {phone}})
	has(ola.does("cancel", nil), "cancelled", "Send a code")

	for _, seconds := range []string{"", "0", "-1", "3601", "x"} {
		if a := w.ask("POST", "/verify/clock", url.Values{"seconds": {seconds}}); a.status != 400 {
			t.Errorf("%q seconds: %d", seconds, a.status)
		}
	}
	if a := w.ask("POST", "/verify/start", url.Values{"to": {phone}}, "Origin", "https://evil.example"); a.status != 403 {
		t.Errorf("a form of another page: %d", a.status)
	}
}

// TestLoginsBounded: the oldest logins go.
func TestLoginsBounded(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	first := &person{world: w}
	first.does("check", nil)
	if !strings.Contains(first.sees(), "Ask for a code first") {
		t.Error("the login is not kept")
	}
	for range maxLogins {
		(&person{world: w}).does("check", nil)
	}
	if strings.Contains(first.sees(), "Ask for a code first") {
		t.Errorf("more than %d logins are kept", maxLogins)
	}
}
