package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"straks/api"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
)

// peer is a scripted straks: it has one answer for each call, and keeps the requests.
type peer struct {
	answers []answer
	asked   []string // "METHOD /path?query body"
}

type answer struct {
	status int
	body   string
}

const aShipment = `{"shipmentId":"0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1","sendersReference":"ref\u001b[2J","type":"Instant","status":"%s",` +
	`"lastUpdate":"2026-02-04T11:33:09.64992Z","recipients":[{"type":"SMS","destination":"+4799999999","status":"%s","lastUpdate":"2026-02-04T11:33:09.64992Z"}]}`

func shipmentJSON(order, status string) string { return fmt.Sprintf(aShipment, order, status) }

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Authorization") != "Bearer hemlig" || len(p.answers) == 0 {
		http.Error(w, "unexpected", http.StatusTeapot)
		return
	}
	p.asked = append(p.asked, fmt.Sprintf("%s %s %s", r.Method, r.URL, body))
	a := p.answers[0]
	p.answers = p.answers[1:]
	w.Header().Set("Content-Type", "application/json")
	if a.status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "3")
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

// serve starts a peer, and sets the commands' environment to it.
func serve(t *testing.T, answers ...answer) *peer {
	t.Helper()
	p := &peer{answers: answers}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	t.Setenv("STRAKS_URL", server.URL+"/base")
	t.Setenv("STRAKS_TOKEN", "hemlig")
	return p
}

const (
	orderID    = "7c0f1b3a-8f5c-4c1e-9a54-5a8f3c3ad9f0"
	shipmentID = "0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1"
	placed     = `{"notificationOrderId":"` + orderID + `","notification":{"shipmentId":"` + shipmentID + `"}}`
)

func TestSendSMS(t *testing.T) {
	p := serve(t, answer{201, placed},
		answer{200, shipmentJSON("Order_Processed", "SMS_Accepted")},
		answer{200, shipmentJSON("Order_Processed", "SMS_Accepted")},
		answer{200, shipmentJSON("Order_Completed", "SMS_Delivered")})
	code, stdout, stderr := straks(t, "din kode: 1234", "send", "sms", "-to", "+4799999999", "-ttl", "5m", "-key", "k-1", "-reference", "r", "-wait")
	if code != exitDone || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	want := `POST /base/future/orders/instant/sms {"idempotencyId":"k-1","sendersReference":"r","recipientSms":{"phoneNumber":"+4799999999",` +
		`"timeToLiveInSeconds":300,"smsSettings":{"body":"din kode: 1234"}}}`
	if p.asked[0] != want {
		t.Errorf("asked %s\nwant  %s", p.asked[0], want)
	}
	if n := strings.Count(stdout, "SMS_Accepted"); n != 1 || !strings.Contains(stdout, "SMS_Delivered") || !strings.Contains(stdout, "shipment "+shipmentID) {
		t.Errorf("printed %q", stdout)
	}
	if strings.Contains(stdout, "1234") {
		t.Errorf("the text is printed: %q", stdout)
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("an escape sequence reaches the terminal: %q", stdout)
	}
}

func TestSendEmailAgain(t *testing.T) {
	p := serve(t, answer{200, placed}, answer{200, shipmentJSON("Order_Processed", "Email_Succeeded")})
	code, stdout, _ := straks(t, "", "send", "email", "-to", "ola@example.org", "-subject", "Kode", "-html", "<b>1</b>", "-sender", "x@example.org")
	if code != exitDone || !strings.Contains(stdout, "nothing was sent now") {
		t.Errorf("exit %d: %q", code, stdout)
	}
	if !strings.Contains(p.asked[0], `"emailSettings":{"subject":"Kode","body":"\u003cb\u003e1\u003c/b\u003e","senderEmailAddress":"x@example.org","contentType":"Html"}`) {
		t.Errorf("asked %s", p.asked[0])
	}
}

// TestSendTellsWhatBecameOfIt: 201 is the answer for an accepted message, for a refused
// one, and for one whose outcome is unknown.
func TestSendTellsWhatBecameOfIt(t *testing.T) {
	accepted, refused := shipmentJSON("Order_Processed", "SMS_Accepted"), shipmentJSON("Order_Completed", "SMS_Failed_InvalidRecipient")
	for name, tt := range map[string]struct {
		args     []string
		answers  []answer
		code     int
		out, err string
	}{
		"taken":       {nil, []answer{{201, placed}, {200, accepted}}, exitDone, "sent: shipment " + shipmentID + ", order " + orderID + ", key k-1\n", ""},
		"refused":     {nil, []answer{{201, placed}, {200, refused}}, exitEnded, "failed, SMS_Failed_InvalidRecipient: shipment " + shipmentID, "sends nothing any more"},
		"unanswered":  {nil, []answer{{201, placed}, {200, shipmentJSON("Order_Processing", "SMS_Sending")}}, exitDone, "perhaps sent", ""},
		"the same":    {nil, []answer{{200, placed}, {200, refused}}, exitEnded, "nothing was sent now; SMS_Failed_InvalidRecipient: shipment " + shipmentID, "SMS_Failed_InvalidRecipient"},
		"not told":    {nil, []answer{{201, placed}, {503, `{"title":"Busy"}`}}, exitFailed, "ordered: shipment " + shipmentID, "straks shipment " + shipmentID},
		"failed late": {[]string{"-wait"}, []answer{{201, placed}, {200, accepted}, {200, shipmentJSON("Order_Completed", "SMS_Failed")}}, exitEnded, "SMS_Failed ", "ended as SMS_Failed;"},
	} {
		serve(t, tt.answers...)
		code, stdout, stderr := straks(t, "", append([]string{"send", "sms", "-to", "+4799999999", "-key", "k-1", "hei"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stdout, tt.out) || !strings.Contains(stderr, tt.err) || (stderr == "") != (tt.err == "") {
			t.Errorf("%s: exit %d, %q, %s", name, code, stdout, stderr)
		}
	}
	if out := succeed(t, "send", "sms", "-h"); !strings.Contains(out, "\n  3  the carrier refused") {
		t.Errorf("the exit status is not documented: %s", out)
	}
}

// TestSendThroughADaemon: as above, with a real daemon.
func TestSendThroughADaemon(t *testing.T) {
	w := daemontest.New(t, smsctest.Sandbox(), "")
	t.Setenv("STRAKS_URL", "http://"+w.Daemon.APIAddr()+api.DefaultBasePath)
	t.Setenv("STRAKS_TOKEN", w.Token)
	for _, tt := range []struct {
		number string
		code   int
		out    string
	}{
		{"+4799999907", exitDone, "sent: "},
		{"+4799999907", exitDone, "ordered before"},
		{"+4799999904", exitEnded, "failed, SMS_Failed_InvalidRecipient: "},
		{"+4799999904", exitEnded, "ordered before"},
	} {
		code, stdout, stderr := straks(t, "", "send", "sms", "-to", tt.number, "-key", tt.number, "hei")
		if code != tt.code || !strings.HasPrefix(stdout, tt.out) {
			t.Errorf("%s: exit %d, %q, %s", tt.number, code, stdout, stderr)
		}
	}
}

func TestSendFails(t *testing.T) {
	for _, tt := range []struct {
		answer answer
		again  bool // advises to repeat it with the same key
		told   []string
	}{
		{answer{503, `{"title":"Not sent","code":"NOT-00004"}`}, true, []string{"NOT-00004", "Try again in 3s"}},
		{answer{400, `{"title":"Invalid","errors":{"recipientSms.phoneNumber":["is no number"]}}`}, false, []string{"recipientSms.phoneNumber: is no number"}},
		{answer{401, `{"title":"Unauthorized"}`}, false, []string{"Is STRAKS_TOKEN right"}},
		{answer{404, ``}, false, []string{"base path"}},
		{answer{408, ``}, true, nil},
		{answer{429, ``}, true, nil},
		{answer{500, ``}, true, nil},
		{answer{502, ``}, true, nil},
		{answer{504, `a proxy's page`}, true, []string{"504"}},
	} {
		serve(t, tt.answer)
		code, stdout, stderr := straks(t, "", "send", "sms", "-to", "+4799999999", "-key", "k-1", "hei")
		if code != exitFailed || stdout != "" {
			t.Errorf("%d: exit %d, %q", tt.answer.status, code, stdout)
		}
		if strings.Contains(stderr, "-key k-1 is safe") != tt.again {
			t.Errorf("%d: %s", tt.answer.status, stderr)
		}
		for _, want := range tt.told {
			if !strings.Contains(stderr, want) {
				t.Errorf("%d: %q is missing: %s", tt.answer.status, want, stderr)
			}
		}
	}
}

// TestSendReadsTheText: the text is read whole or not at all, and reading ends with the context.
func TestSendReadsTheText(t *testing.T) {
	if code, _, stderr := straks(t, strings.Repeat("x", maxText+1), "send", "sms", "-to", "+4799999999"); code != exitUsage || !strings.Contains(stderr, "longer than 1048576") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	stdin, never := io.Pipe()
	defer never.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, errs strings.Builder
	if code := run(ctx, []string{"send", "sms", "-to", "+4799999999"}, stdin, &out, &errs); code != exitFailed {
		t.Errorf("interrupted: exit %d, %s", code, errs.String())
	}
}

func TestEnvironmentIsAsked(t *testing.T) {
	t.Setenv("STRAKS_URL", "")
	t.Setenv("STRAKS_TOKEN", "")
	code, _, stderr := straks(t, "", "feed")
	if code != exitFailed || !strings.Contains(stderr, "STRAKS_URL") || !strings.Contains(stderr, "STRAKS_TOKEN") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func entry(seq int, status string) string {
	return fmt.Sprintf(`{"sequenceNumber":%d,%s`, seq, shipmentJSON("Order_Processed", status)[1:])
}

func TestFeed(t *testing.T) {
	answers := []answer{{200, "[" + entry(8, "SMS_Accepted") + "," + entry(9, "SMS_Delivered") + "]"}, {200, "[]"}}
	p := serve(t, answers...)
	code, stdout, stderr := straks(t, "", "feed", "-seq", "7")
	if code != exitDone || strings.Count(stdout, "\n") != 2 || !strings.HasPrefix(stdout, "       8  2026-02-04T11:33:09.649Z") {
		t.Errorf("exit %d, %q, %s", code, stdout, stderr)
	}
	if !strings.Contains(p.asked[0], "seq=7") || !strings.Contains(p.asked[1], "seq=9") {
		t.Errorf("asked %q", p.asked)
	}

	serve(t, answers...)
	_, stdout, _ = straks(t, "", "feed", "-json", "-seq", "7")
	for l := range strings.Lines(stdout) {
		var got struct{ SequenceNumber int }
		if err := json.Unmarshal([]byte(l), &got); err != nil || got.SequenceNumber < 8 {
			t.Errorf("%s: %v", l, err)
		}
	}
}

// TestFeedFollow: -follow continues after a temporary error, and ends at a permanent one.
func TestFeedFollow(t *testing.T) {
	serve(t, answer{200, "[" + entry(1, "SMS_Accepted") + "]"}, answer{200, "[]"}, answer{503, `{"title":"Busy"}`},
		answer{200, "[" + entry(2, "SMS_Delivered") + "]"}, answer{401, `{"title":"Unauthorized"}`})
	code, stdout, stderr := straks(t, "", "feed", "-follow")
	if code != exitFailed || strings.Count(stdout, "\n") != 2 || !strings.Contains(stderr, "503 Busy") || !strings.Contains(stderr, "STRAKS_TOKEN") {
		t.Errorf("exit %d, %q, %s", code, stdout, stderr)
	}
}

func TestShipment(t *testing.T) {
	serve(t, answer{200, shipmentJSON("Order_Completed", "SMS_Delivered")})
	code, stdout, _ := straks(t, "", "shipment", "0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1")
	if code != exitDone || !strings.Contains(stdout, "SMS_Delivered") {
		t.Errorf("exit %d, %q", code, stdout)
	}
}
