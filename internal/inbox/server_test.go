package inbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestLatest: a test gets the newest message to its recipient, whichever way it writes the number, and waits for one.
func TestLatest(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	w.send("one", "+4799999999", "first")
	w.send("two", "+4799999999", "second")
	w.send("three", "+4799999998", "other")
	for _, to := range []string{"+4799999999", "%2B4799999999", "004799999999", "4799999999", "47%2099%2099%2099%2099"} {
		if a := w.ask("GET", "/messages/latest?to="+to, nil); a.status != 200 || !strings.Contains(a.body, `"text":"second"`) {
			t.Errorf("%s: %+v", to, a)
		}
	}
	if a := w.ask("GET", "/messages/latest?to=4799999999&after=2", nil); a.status != 404 || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("nothing new: %+v", a)
	}
	waiting := make(chan answer)
	go func() { waiting <- w.ask("GET", "/messages/latest?to=4799999997&wait=60", nil) }()
	w.send("four", "+4799999996", "not that")
	w.send("five", "+4799999997", "that")
	if a := <-waiting; !strings.Contains(a.body, `"text":"that"`) {
		t.Errorf("%+v", a)
	}
	for _, query := range []string{"wait=x", "wait=61", "wait=-1", "wait=NaN", "wait=1e300", "after=x", "to=1&limit=2", "colour=red", "channel=fax"} {
		if a := w.ask("GET", "/messages/latest?"+query, nil); a.status != 400 || !strings.Contains(a.body, strings.SplitN(query, "=", 2)[0][:2]) {
			t.Errorf("%s: %+v", query, a)
		}
	}
}

func TestListAndDelete(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	list := func(query string) (all []Message) {
		t.Helper()
		if a := w.ask("GET", "/messages.json"+query, nil); json.Unmarshal([]byte(a.body), &all) != nil || all == nil {
			t.Fatalf("%+v", a)
		}
		return all
	}
	if len(list("")) != 0 {
		t.Error("not empty at first")
	}
	for i := range 5 {
		w.send(fmt.Sprint(i), fmt.Sprintf("+479999999%d", i), fmt.Sprint("text ", i))
	}
	w.box.Mailed(relaytest.Message{To: "ola@example.org", Data: []byte("Subject: Hei\r\n\r\nx")})
	for query, want := range map[string]int{"": 6, "?channel=sms": 5, "?channel=email": 1, "?limit=2": 2, "?after=4": 2, "?q=TEXT%203": 1, "?q=hei": 1, "?to=4799999990": 1} {
		all := list(query)
		if len(all) != want || all[0].ID < all[len(all)-1].ID {
			t.Errorf("%s: %d messages, want %d, newest first", query, len(all), want)
		}
	}
	if a := w.ask("DELETE", "/messages?to=%2B4799999990", nil); a.status != 200 || strings.TrimSpace(a.body) != `{"deleted":1}` || len(list("")) != 5 {
		t.Errorf("%+v", a)
	}
	if a := w.ask("DELETE", "/messages?to=", nil); a.status != 400 {
		t.Errorf("an empty recipient, as of a variable that is not set, deleted something: %+v", a)
	}
	if a := w.ask("DELETE", "/messages", nil); a.status != 200 || len(list("")) != 0 {
		t.Errorf("%+v", a)
	}
	w.send("next", "+4799999999", "x")
	if all := list(""); all[0].ID != 7 {
		t.Errorf("numbers begin again: %d", all[0].ID)
	}
}

// TestForeignPages: neither a name that leads here nor a form of another page gets anything.
func TestForeignPages(t *testing.T) {
	w := start(t, smsctest.Profile{}, func(c *Config) { c.Hosts = []string{"straks.example"} })
	w.send("k", "+4799999999", "x")
	port := w.url[strings.LastIndexByte(w.url, ':'):]
	for host, want := range map[string]int{"localhost" + port: 200, "LOCALHOST.": 200, "a.localhost": 200, "[::1]" + port: 200, "192.0.2.1": 200, "straks.example": 200,
		"evil.example" + port: 421, "localhost.evil.example": 421, "sandbox": 421, "127.0.0.1.evil.example": 421, "host.docker.internal": 421} {
		if a := w.ask("GET", "/messages.json", nil, "Host", host); a.status != want || want != 200 && strings.Contains(a.body, "4799999999") {
			t.Errorf("Host %s: %d, want %d", host, a.status, want)
		}
	}
	for _, headers := range [][]string{{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}} {
		for path, method := range map[string]string{"/delete": "POST", "/try": "POST", "/messages/1/reply": "POST", "/carriers/smsc": "POST", "/messages": "DELETE"} {
			if a := w.ask(method, path, url.Values{"to": {"+4799999999"}, "text": {"STOP"}, "condition": {"down"}}, headers...); a.status != 403 {
				t.Errorf("%s with %s: %d", path, headers, a.status)
			}
		}
	}
	a := w.ask("GET", "/", nil)
	if policy := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.header)
	}
	if a := w.ask("POST", "/try", url.Values{"to": {strings.Repeat("x", maxBody)}}); a.status != 400 {
		t.Errorf("a large form: %d", a.status)
	}
	remote := start(t, smsctest.Profile{}, func(c *Config) { c.Remote = true })
	for host, want := range map[string]int{"sandbox:8081": 200, "host.docker.internal": 200, "evil.example": 421, "": 200} {
		if a := remote.ask("GET", "/healthz", nil, "Host", host); a.status != want {
			t.Errorf("in a container, Host %q: %d, want %d", host, a.status, want)
		}
	}
}

// TestTextsAreText: whatever a message has, pages show it as it is.
func TestTextsAreText(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	const nasty = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`
	w.send("k", "+4799999999", nasty)
	w.box.Mailed(relaytest.Message{From: nasty, To: nasty, Data: []byte("Subject: " + nasty + "\r\nX-Nasty: " + nasty + "\r\n\r\n" + nasty + " javascript:alert(1)")})
	for _, path := range []string{"/", "/messages/1", "/messages/2", "/?q=" + url.QueryEscape(nasty)} {
		if a := w.ask("GET", path, nil); a.status != 200 || strings.Contains(a.body, "<script>") || strings.Contains(a.body, "<img") || !strings.Contains(a.body, "&lt;script&gt;") {
			t.Errorf("%s: %d\n%s", path, a.status, a.body)
		}
	}
}

// TestConditions: each carrier ails as its button says, for every recipient, and gets well.
func TestConditions(t *testing.T) {
	p := smsctest.Profile{}
	if err := p.AddEndings(); err != nil {
		t.Fatal(err)
	}
	w := start(t, p, nil)
	set := func(carrier, name string) {
		t.Helper()
		if a := w.ask("POST", "/carriers/"+carrier, url.Values{"condition": {name}}); a.status != 303 {
			t.Fatalf("%s: %+v", name, a)
		}
		if page := w.ask("GET", "/", nil).body; strings.Contains(page, "Back to normal") != (name != "normal") {
			t.Errorf("with %s the page has it otherwise", name)
		}
	}
	set("smsc", "throttles")
	if p := w.Refused("throttled", "+4799999903"); p.Status != 503 {
		t.Errorf("throttles: %d", p.Status)
	}
	set("smsc", "slow")
	if b := w.SMSC.Profile(); b.Delay != slowBy || b.Rules[0].Delay != slowBy || b.Rules[5].Delay < 5*time.Second {
		t.Errorf("slow: %+v", b)
	}
	set("smsc", "down")
	eventually.True(t, "the SMSC to be gone", func() bool { return w.Daemon.Ready() != nil })
	if p := w.Refused("down", "+4799999999"); p.Status != 503 {
		t.Errorf("down: %d", p.Status)
	}
	set("smsc", "normal")
	eventually.True(t, "the SMSC to be back", func() bool { return w.Daemon.Ready() == nil })
	w.Send("well", "+4799999999")
	set("relay", "throttles")
	if err := w.mail("busy"); err == nil {
		t.Error("a busy relay took a mail")
	}
	set("relay", "normal")
	eventually.True(t, "the relay to take mails again", func() bool { return w.mail(time.Now().String()) == nil })
	for path, name := range map[string]string{"/carriers/smsc": "sick", "/carriers/post": "down"} {
		if a := w.ask("POST", path, url.Values{"condition": {name}}); a.status != 400 {
			t.Errorf("%s %s: %d", path, name, a.status)
		}
	}
}

// TestOrdersOfButtons: the page shows what the API answered, and what became of it.
func TestOrdersOfButtons(t *testing.T) {
	w := start(t, smsctest.Sandbox(), nil)
	for to, want := range map[string]string{"+4799999903": "SMS_Failed_Rejected", "ola@example.org": "Email_Succeeded", "later@example.org": "503 Service Unavailable", "+47123": "400 Bad Request", " 4799999904": "SMS_Failed_InvalidRecipient"} {
		if a := w.ask("POST", "/try", url.Values{"to": {to}}); a.status != 303 {
			t.Fatalf("%s: %+v", to, a)
		}
		eventually.True(t, want+" of "+to, func() bool { return strings.Contains(w.ask("GET", "/try", nil).body, want) })
	}
	if a := w.ask("POST", "/try", url.Values{"to": {" "}}); a.status != 400 {
		t.Errorf("no recipient: %d", a.status)
	}
}

// TestStreams: a page is told at once and with each change; streams are bounded.
func TestStreams(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	open := func() (*http.Response, *bufio.Scanner) {
		t.Helper()
		resp, err := http.Get(w.url + "/events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp, bufio.NewScanner(resp.Body)
	}
	_, lines := open()
	next := func() {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == "event: change" {
				return
			}
		}
		t.Fatal("the stream has ended")
	}
	next()
	w.Send("k", "+4799999999")
	next()
	for range maxStreams - 1 {
		if resp, _ := open(); resp.StatusCode != 200 {
			t.Fatalf("%d", resp.StatusCode)
		}
	}
	if resp, _ := open(); resp.StatusCode != 503 {
		t.Errorf("one stream too many: %d", resp.StatusCode)
	}
}

func TestStatic(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	for name, want := range map[string]int{"inbox.css": 200, "inbox.js": 200, "icon.svg": 200, "layout.html": 404, "..%2Fserver.go": 404, "x.css": 404} {
		if a := w.ask("GET", "/static/"+name, nil); a.status != want {
			t.Errorf("%s: %d, want %d", name, a.status, want)
		}
	}
}
