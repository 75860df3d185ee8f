package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/codes"
	"straks/orders"
)

const verifyBody = `{"idempotencyId":"k","sendersReference":"r","recipientSms":{"phoneNumber":"+47 99 99 99 99"}}`

// codesKey is one of all worlds, as all nodes have the same.
var codesKey = codes.NewKey()

// newCodes returns verifications over the journal of a world.
func newCodes(service *orders.Service, store codes.Store, log *slog.Logger) *codes.Service {
	return codes.New(codes.Config{Keys: codes.Keys{Active: codesKey}, Store: store, Orders: service, Language: "nb", Log: log,
		Templates: []codes.Template{{Name: "login", SMS: map[string]string{"nb": "{code}", "de": "Ihr {code}"}}}})
}

func (w *world) verify(body string, options ...option) (answer, verificationAnswer) {
	w.t.Helper()
	a := w.do("POST", "/verifications", body, options...)
	var v verificationAnswer
	if a.status < 300 {
		if err := json.Unmarshal([]byte(a.body), &v); err != nil {
			w.t.Fatal(err)
		}
	}
	return a, v
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *timestamp) UnmarshalJSON(b []byte) error { return (*time.Time)(t).UnmarshalJSON(b) }

var numberAtStart = regexp.MustCompile(`^[0-9A-Z]+`)

// sentCode returns the code in the last SMS.
func (w *world) sentCode() string {
	w.t.Helper()
	sent := w.sms.Sent()
	if len(sent) == 0 {
		w.t.Fatal("nothing was sent")
	}
	return numberAtStart.FindString(sent[len(sent)-1].Body)
}

func checkBody(code string) string { return fmt.Sprintf(`{"code":%q}`, code) }

// otherCode returns one that is wrong.
func otherCode(code string) string {
	if code[0] == '0' {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func TestVerify(t *testing.T) {
	w := start(t)
	a, v := w.verify(verifyBody)
	if a.status != 201 || v.Status != codes.Pending || v.AttemptsLeft != 5 || v.Messages != 1 || v.SendersReference != "r" || v.ShipmentID == nil ||
		a.header.Get("Location") != DefaultBasePath+"/verifications/"+v.ID.String() || a.header.Get("Straks-Status") != "SMS_Accepted" {
		t.Fatalf("%d %s %v", a.status, a.body, a.header)
	}
	code, path := w.sentCode(), "/verifications/"+v.ID.String()
	if a, again := w.verify(verifyBody); a.status != 200 || again.ID != v.ID || *again.ShipmentID != *v.ShipmentID {
		t.Errorf("repeat: %d %s", a.status, a.body)
	}
	if a, again := w.verify(strings.Replace(verifyBody, `"k"`, `"k2"`, 1)); a.status != 200 || again.ID != v.ID || len(w.sms.Sent()) != 1 {
		t.Errorf("another key: %d %s", a.status, a.body)
	}
	if a := w.do("GET", path, ""); a.status != 200 || strings.Contains(a.body, code) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.do("POST", path+"/check", checkBody(otherCode(code))); a.status != 200 || a.body != fmt.Sprintf(`{"verificationId":%q,"status":"pending","attemptsLeft":4}`, v.ID) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.do("POST", path+"/check", checkBody(code), as(otherToken)); a.status != 404 || a.problem(t).Code != codeNotFound {
		t.Errorf("another organisation: %d %s", a.status, a.body)
	}
	for range 2 { // a double click
		if a := w.do("POST", path+"/check", checkBody(code[:3]+" "+code[3:])); a.status != 200 || a.body != fmt.Sprintf(`{"verificationId":%q,"status":"approved","attemptsLeft":3}`, v.ID) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	for _, call := range [][2]string{{"POST", path + "/resend"}, {"DELETE", path}} {
		if a := w.do(call[0], call[1], "{}"); a.status != 410 || a.problem(t).Code != codeUsed {
			t.Errorf("%s: %d %s", call[0], a.status, a.body)
		}
	}
	for _, call := range [][2]string{{"GET", "/verifications/x"}, {"DELETE", "/verifications/x"}, {"POST", "/verifications/x/check"}, {"POST", "/verifications/x/resend"}} {
		if a := w.do(call[0], call[1], checkBody("1")); a.status != 404 {
			t.Errorf("%s %s: %d", call[0], call[1], a.status)
		}
	}
	if strings.Contains(w.log.String(), code) || strings.Contains(w.log.String(), "99999999") {
		t.Errorf("the log has the code or the number:\n%s", w.log)
	}
}

func TestVerifyExhausted(t *testing.T) {
	w := start(t)
	_, v := w.verify(strings.Replace(verifyBody, "{", `{"attempts":2,"alphabet":"letters","codeLength":8,`, 1))
	code, path := w.sentCode(), "/verifications/"+v.ID.String()+"/check"
	if len(code) != 8 || strings.Trim(code, "BCDFGHJKLMNPQRSTVWXZ") != "" {
		t.Error(code)
	}
	w.do("POST", path, checkBody("1"))
	for _, c := range []string{"1", code} {
		if a := w.do("POST", path, checkBody(c)); a.status != 410 || a.problem(t).Code != codeExhausted || a.problem(t).Type != errorType+codeExhausted {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestVerifyByRecipient(t *testing.T) {
	w := start(t)
	by := func(to, code string, more ...string) answer {
		return w.do("POST", "/verifications/check", fmt.Sprintf(`{"recipient":%q,"code":%q%s}`, to, code, strings.Join(more, "")))
	}
	if a := by("+4799999999", "123456"); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	_, v := w.verify(strings.Replace(verifyBody, "}}", `},"recipientEmail":{"emailAddress":" ola@example.org "},"fallbackAfterSeconds":60}`, 1))
	code := w.sentCode()
	if a := by("004799999999", otherCode(code)); a.status != 200 || !strings.Contains(a.body, `"attemptsLeft":4`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := by("+4799999999", code, `,"template":"login"`); a.status != 404 {
		t.Errorf("another template: %d %s", a.status, a.body)
	}
	if a := by("ola@example.org", code); a.status != 200 || !strings.Contains(a.body, v.ID.String()) || !strings.Contains(a.body, `"approved"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestVerifyFaults: all faults of a body are told at once, by their paths.
func TestVerifyFaults(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		path, body string
		want       []string
	}{
		{"", `{}`, []string{"idempotencyId", "recipientSms"}},
		{"", `[]`, []string{"$"}},
		{"", `{"idempotencyId":"k","RecipientSMS":{"phoneNumber":"12","sender":7},"recipientEmail":{},"codeLength":3,"alphabet":"runes","timeToLiveInSeconds":59,"attempts":11,"origin":"https://example.no/","template":"none","resendAfterSeconds":0}`,
			[]string{"RecipientSMS.phoneNumber", "RecipientSMS.sender", "alphabet", "attempts", "codeLength", "fallbackAfterSeconds", "origin", "recipientEmail.emailAddress", "resendAfterSeconds", "template", "timeToLiveInSeconds"}},
		{"", `{"idempotencyId":"k","recipientSms":{"phoneNumber":"+4799999999"},"fallbackAfterSeconds":60,"language":"de"}`, []string{"fallbackAfterSeconds", "language"}},
		{"", `{"idempotencyId":"k","recipientEmail":{"emailAddress":"ola@example.org"},"template":"login","timeToLiveInSeconds":3601}`, []string{"template", "timeToLiveInSeconds"}},
		{"", `{"idempotencyId":"k","recipientSms":{"phoneNumber":"+4799999999"},"recipientEmail":{"emailAddress":"ola@example.org"},"fallbackAfterSeconds":300}`, []string{"fallbackAfterSeconds"}},
		{"/check", `{"code":123456}`, []string{"code", "recipient"}},
		{"/check", `{"code":" - ","recipient":"ola"}`, []string{"code", "recipient"}},
		{"/check", `{"code":"123456","recipient":"ola@"}`, []string{"recipient"}},
		{"/01a20a30-0000-7000-8000-000000000001/check", `{"code":"` + strings.Repeat("1", 200) + `"}`, []string{"code"}},
		{"/01a20a30-0000-7000-8000-000000000001/resend", `{"channel":"fax"}`, []string{"channel"}},
	} {
		a := w.do("POST", "/verifications"+c.path, c.body)
		if got := paths(a.problem(t).Errors); a.status != 400 || !slices.Equal(got, c.want) {
			t.Errorf("%s %s:\n%d %q, want %q\n%s", c.path, c.body, a.status, got, c.want, a.body)
		}
	}
	if len(w.sms.Sent())+len(w.email.Sent()) > 0 {
		t.Error("something was sent")
	}
	if a, v := w.verify(verifyBody); a.status == 201 { // and a repeat is answered, whatever its faults
		if a, again := w.verify(`{"idempotencyId":"k"}`); a.status != 200 || again.ID != v.ID {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := w.do("POST", "/verifications/"+v.ID.String()+"/resend", `{"channel":"Email"}`); a.status != 400 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestVerifyLanguage(t *testing.T) {
	w := start(t)
	for i, c := range []struct{ more, accept, want string }{
		{"", "", "er koden din"}, {`"language":"en-GB",`, "nn", "is your code"}, {"", "de, se;q=0.9, en;q=0.8", "lea du koda"}, {`"template":"login",`, "de-AT", "Ihr "},
		{`"origin":"Example.no",`, "", "\n\n@example.no #"}, {`"origin":"blåbær.no",`, "", "\n\n@xn--blbr-roah.no #"},
	} {
		body := fmt.Sprintf(`{%s"idempotencyId":"%d","recipientSms":{"phoneNumber":"+4799999%03d"}}`, c.more, i, i+100)
		if a, _ := w.verify(body, header("Accept-Language", c.accept)); a.status != 201 || !strings.Contains(w.sms.Sent()[i].Body, c.want) {
			t.Errorf("%+v: %d %s %q", c, a.status, a.body, w.sms.Sent()[i].Body)
		}
	}
}

// TestVerifyFeed: each change of status is an entry of a feed of its own, also as an event.
func TestVerifyFeed(t *testing.T) {
	w := start(t)
	_, v := w.verify(verifyBody)
	code := w.sentCode()
	w.do("POST", "/verifications/"+v.ID.String()+"/check", checkBody(code))
	a := w.do("GET", "/verifications/feed?seq=0", "")
	var page []verificationEntry
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || len(page) != 2 || page[0].Status != codes.Pending || page[1].Status != codes.Approved || page[1].Sequence != 2 ||
		page[1].ID != v.ID || page[1].SendersReference != "r" || strings.Contains(a.body, code) || strings.Contains(a.body, "9999") {
		t.Errorf("%s %v", a.body, err)
	}
	for query, want := range map[string]string{"?seq=1": `"approved"`, "?changes=final": `"approved"`, "?orderBy=desc&pageSize=1": `"approved"`, "?orderBy=desc&seq=2": `"pending"`} {
		if a := w.do("GET", "/verifications/feed"+query, ""); strings.Count(a.body, "sequenceNumber") != 1 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	if a := w.do("GET", "/verifications/feed?seq=3", ""); a.status != 400 || !strings.Contains(a.body, "beyond the newest entry, 2") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.do("GET", "/verifications/feed", "", as(otherToken)); a.body != "[]" {
		t.Errorf("another organisation's: %s", a.body)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan answer, 1)
	go func() {
		got <- w.do("GET", "/verifications/feed?seq=2&wait=30", "", func(r *http.Request) { *r = *r.WithContext(ctx) })
	}()
	w.waiting(1)
	w.verify(strings.NewReplacer(`"k"`, `"k3"`, "99 99 99 99", "99 99 99 98").Replace(verifyBody))
	if a := <-got; a.status != 200 || !strings.Contains(a.body, `"sequenceNumber":3`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestVerifyLimits: the rate of the organisation holds, and a repeat is answered all the same.
func TestVerifyLimits(t *testing.T) {
	w := start(t, func(c *Config, _ *orders.Config) { c.Rates = map[string]Rate{"ttd": {PerSecond: 0.001, Burst: 1}} })
	_, v := w.verify(verifyBody)
	if a, again := w.verify(verifyBody); a.status != 200 || again.ID != v.ID {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a, _ := w.verify(strings.Replace(verifyBody, `"k"`, `"k2"`, 1)); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.do("POST", "/verifications/"+v.ID.String()+"/resend", ""); a.status != 429 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.do("POST", "/verifications/"+v.ID.String()+"/check", checkBody(w.sentCode())); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestVerifyMethods: a path with several calls allows all of their methods.
func TestVerifyMethods(t *testing.T) {
	w := start(t)
	_, v := w.verify(verifyBody)
	path := "/verifications/" + v.ID.String()
	if a := w.do("PUT", path, "{}"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD, DELETE" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := w.do("HEAD", path, ""); a.status != 200 {
		t.Error(a.status)
	}
	for range 2 {
		if a := w.do("DELETE", path, ""); a.status != 200 || !strings.Contains(a.body, `"cancelled"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := w.do("POST", path+"/check", checkBody(w.sentCode())); a.status != 410 || a.problem(t).Code != codeCancelled {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, token := range []string{"scopeless-token"} {
		if a := w.do("POST", path+"/check", checkBody("1"), as(token)); a.status != 403 {
			t.Error(a.status)
		}
	}
}

// TestVerifyNotSetUp: without a key, the calls say so.
func TestVerifyNotSetUp(t *testing.T) {
	w := start(t)
	w.api.api.codes = nil
	if a, _ := w.verify(verifyBody); a.status != 404 || !strings.Contains(a.body, "not set up") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
