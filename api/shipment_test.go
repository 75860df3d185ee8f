package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

func TestShipment(t *testing.T) {
	w := start(t)
	_, id := ids(t, w.sendSMS("k"))
	a := w.do("GET", "/future/shipment/"+id, "")
	at := `"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"`
	want := regexp.MustCompile(`^\{"shipmentId":"` + id + `","sendersReference":"r","type":"Instant","status":"Order_Processed","lastUpdate":(` + at + `),` +
		`"recipients":\[\{"type":"SMS","destination":"\+4799999999","status":"SMS_Accepted","lastUpdate":(` + at + `)\}\]\}$`)
	m := want.FindStringSubmatch(a.body)
	if a.status != 200 || m == nil || m[1] != m[2] {
		t.Fatalf("%d %s", a.status, a.body)
	}
	_, id = ids(t, w.sendEmail("e"))
	a = w.do("GET", "/future/shipment/"+strings.ToUpper(id), "")
	if a.status != 200 || strings.Contains(a.body, "sendersReference") || !strings.Contains(a.body, `"type":"Email","destination":"gørild@blåbær.no","status":"Email_Succeeded"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Another's shipment is as unknown as none, and so is what is no UUID.
func TestShipmentNotFound(t *testing.T) {
	w := start(t)
	_, id := ids(t, w.sendSMS("k"))
	var first string
	for _, c := range []struct {
		id      string
		options []option
	}{
		{id, []option{as(otherToken)}},
		{"0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1", nil},
		{"1", nil}, {"x%2Fy", nil}, {"%00", nil}, {strings.Repeat("a", 1000), nil},
		{"{" + id, nil}, {"{" + id + ")", nil}, {"urn:uuid:" + id, nil}, {id[:35] + "g", nil}, {strings.ReplaceAll(id, "-", "") + "0000", nil},
	} {
		a := w.do("GET", "/future/shipment/"+c.id, "", c.options...)
		p := a.problem(t)
		if a.status != 404 || p.Code != "NOT-00003" {
			t.Errorf("%.50s: %d %s", c.id, a.status, a.body)
		}
		a.body = strings.Replace(a.body, p.TraceID, "", 1)
		if first == "" {
			first = a.body
		}
		if a.body != first {
			t.Errorf("%.50s differs from another's: %s", c.id, a.body)
		}
	}
}

// TestShipmentSpellings: .NET writes a Guid in many ways, and reads them all.
func TestShipmentSpellings(t *testing.T) {
	w := start(t)
	_, id := ids(t, w.sendSMS("k"))
	bare := strings.ReplaceAll(id, "-", "")
	for _, spelling := range []string{id, strings.ToUpper(id), bare, strings.ToUpper(bare), "{" + id + "}", "(" + id + ")", "%7B" + id + "%7D", "%28" + id + "%29"} {
		if a := w.do("GET", "/future/shipment/"+spelling, "", lenient); a.status != 200 || !strings.Contains(a.body, id) {
			t.Errorf("%s: %d %s", spelling, a.status, a.body)
		}
	}
}

// TestShipmentByKey: a service that crashed between its call and its commit finds out what became of it.
func TestShipmentByKey(t *testing.T) {
	w := start(t)
	_, id := ids(t, w.sendSMS("a key/with & odd = characters"))
	const query = "/future/shipment?idempotencyId=a%20key%2Fwith%20%26%20odd%20%3D%20characters"
	one := w.do("GET", "/future/shipment/"+id, "")
	if a := w.do("GET", query, ""); a.status != 200 || a.body != one.body {
		t.Errorf("%d %s; want %s", a.status, a.body, one.body)
	}
	if a := w.do("GET", strings.ToLower(query), "", lenient); a.status != 200 || a.body != one.body {
		t.Errorf("the name in another case: %d %s", a.status, a.body)
	}
	if a := w.do("GET", query, "", as(otherToken)); a.status != 404 || a.problem(t).Code != "NOT-00003" {
		t.Errorf("another organisation: %d %s", a.status, a.body)
	}
	w.sms.Does(orders.Handover{Outcome: handover.NotSent, Total: 1})
	if a := w.sendSMS("free"); a.status != 503 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, unknown := range []string{"never", "free"} {
		if a := w.do("GET", "/future/shipment?idempotencyId="+unknown, ""); a.status != 404 {
			t.Errorf("%s: %d %s", unknown, a.status, a.body)
		}
	}
	for _, bad := range []string{"", "?idempotencyId=", "?idempotencyId=%20", "?idempotencyId=a&idempotencyId=b", "?idempotencyId=a&IDEMPOTENCYID=b", "?idempotencyId=%zz", "?key=a"} {
		if a := w.do("GET", "/future/shipment"+bad, ""); a.status != 400 || a.problem(t).Errors["idempotencyId"] == nil {
			t.Errorf("%q: %d %s", bad, a.status, a.body)
		}
	}
}

// TestShipmentByKeyInFlight: the answer waits for the outcome, since a key that is under way may yet become free.
func TestShipmentByKeyInFlight(t *testing.T) {
	w := start(t)
	sending, outcome := make(chan struct{}), make(chan orders.Handover)
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		close(sending)
		return <-outcome
	})
	sent, asked := make(chan answer, 1), make(chan answer, 1)
	go func() { sent <- w.sendSMS("k") }()
	<-sending
	go func() { asked <- w.do("GET", "/future/shipment?idempotencyId=k", "") }()
	select {
	case a := <-asked:
		t.Errorf("answered before the outcome: %d %s", a.status, a.body)
	case <-time.After(20 * time.Millisecond):
	}
	outcome <- orders.Handover{Outcome: handover.NotSent, Total: 1}
	if a := <-asked; a.status != 404 {
		t.Errorf("of what was not sent: %d %s", a.status, a.body)
	}
	if a := <-sent; a.status != 503 {
		t.Errorf("the order: %d %s", a.status, a.body)
	}
}

func TestTimestamp(t *testing.T) {
	oslo := time.FixedZone("", 3600)
	for _, c := range []struct {
		in   time.Time
		want string
	}{
		{time.Date(2026, 2, 4, 12, 33, 9, 649920000, oslo), `"2026-02-04T11:33:09.649920Z"`},
		{time.Date(2026, 2, 4, 11, 33, 9, 0, time.UTC), `"2026-02-04T11:33:09.000000Z"`},
		{time.Date(2026, 2, 4, 11, 33, 9, 999999999, time.UTC), `"2026-02-04T11:33:09.999999Z"`},
	} {
		if got, err := json.Marshal(timestamp(c.in)); string(got) != c.want || err != nil {
			t.Errorf("%v: %s, %v; want %s", c.in, got, err, c.want)
		}
	}
}

// Every status of the domain has its two names on the wire.
func TestEveryStatusOnTheWire(t *testing.T) {
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range orders.Statuses() {
		body, err := json.Marshal(answerOf(orders.Shipment{Status: status, Channel: status.Channel(), Recipient: "x", Updated: time.Now()}))
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequest("GET", "http://localhost"+DefaultBasePath+"/future/shipment/0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1", nil)
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody}
		resp.Body = readCloser(string(body))
		if ok, errs := v.ValidateHttpResponse(r, resp); !ok {
			t.Errorf("%s: %v", body, errs)
		}
	}
}

// feed returns the sequence numbers and statuses of a page.
func feed(t testing.TB, w *world, query string, options ...option) (string, answer) {
	t.Helper()
	a := w.do("GET", "/future/shipment/feed"+query, "", options...)
	var page []struct {
		SequenceNumber uint64
		Recipients     []struct{ Destination string }
	}
	if a.status != 200 {
		return "", a
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, e := range page {
		numbers = append(numbers, fmt.Sprint(e.SequenceNumber))
	}
	return strings.Join(numbers, " "), a
}

// everyChange has the feed of ttd and other show every change where a request does not say.
func everyChange(c *Config, _ *orders.Config) {
	c.FeedsWithAll = map[string]bool{"ttd": true, "other": true}
}

func TestFeed(t *testing.T) {
	w := start(t, everyChange)
	if got, a := feed(t, w, ""); got != "" || a.body != "[]" {
		t.Fatalf("an empty feed: %s", a.body)
	}
	for i := range 5 {
		w.sendSMS(fmt.Sprint(i))
	}
	w.sendSMS("k", as(otherToken))
	for _, c := range []struct{ query, want string }{
		{"", "1 2 3 4 5"},
		{"?seq=0", "1 2 3 4 5"},
		{"?seq=2", "3 4 5"},
		{"?seq=5", ""},
		{"?seq=1&pageSize=2", "2 3"},
		{"?pageSize=1", "1"},
		{"?pageSize=0", "1"},
		{"?pageSize=-7", "1"},
		{"?pageSize=501", "1 2 3 4 5"},
		{"?pageSize=99999999999999999999", "1 2 3 4 5"},
		{"?pageSize=-99999999999999999999", "1"},
		{"?orderBy=asc", "1 2 3 4 5"},
		{"?orderBy=desc", "5 4 3 2 1"},
		{"?orderBy=DESC&seq=0", "5 4 3 2 1"},
		{"?orderBy=Desc&seq=3", "2 1"},
		{"?orderBy=desc&seq=1", ""},
		{"?orderBy=desc&seq=4&pageSize=2", "3 2"},
		{"?SEQ=3&PageSize=1&ORDERBY=ASC&x=1&x=2", "4"},
	} {
		if got, a := feed(t, w, c.query, lenient); a.status != 200 || got != c.want {
			t.Errorf("%s: %d %q; want %q", c.query, a.status, got, c.want)
		}
	}
	if got, _ := feed(t, w, "", as(otherToken)); got != "1" {
		t.Errorf("the other organisation sees %q", got)
	}
	_, a := feed(t, w, "?seq=4")
	if !strings.HasPrefix(a.body, `[{"sequenceNumber":5,"shipmentId":"`) || !strings.Contains(a.body, `"type":"Instant","shipmentType":"Instant"`) {
		t.Errorf("%s", a.body)
	}
}

// TestFeedChanges: final entries are what a request gets that does not say, unless the organisation is
// set up for all. Either can be asked for.
func TestFeedChanges(t *testing.T) {
	for _, c := range []struct {
		all  bool
		want map[string]string // by query
	}{
		{false, map[string]string{"": "2", "?changes=all": "1 2 3", "?changes=Final": "2", "?CHANGES=ALL": "1 2 3"}},
		{true, map[string]string{"": "1 2 3", "?changes=all": "1 2 3", "?changes=final": "2"}},
	} {
		w := start(t, func(cfg *Config, _ *orders.Config) { cfg.FeedsWithAll = map[string]bool{"ttd": c.all} })
		w.sendSMS("accepted")
		w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1})
		w.sendSMS("refused")
		w.sms.Sends(nil)
		w.sendSMS("accepted too")
		for query, want := range c.want {
			if got, a := feed(t, w, query, lenient); got != want {
				t.Errorf("all by default %v, %q: %q, want %q: %s", c.all, query, got, want, a.body)
			}
		}
	}
}

func TestFeedFaults(t *testing.T) {
	w := start(t)
	for _, c := range []struct{ query, want string }{
		{"?seq=-1", "seq"}, {"?seq=x", "seq"}, {"?seq=", "seq"}, {"?seq=1.0", "seq"}, {"?seq=9223372036854775808", "seq"}, {"?seq=%2B1", "seq"},
		{"?pageSize=x", "pageSize"}, {"?pageSize=", "pageSize"}, {"?pageSize=1.5", "pageSize"},
		{"?changes=x", "changes"}, {"?changes=", "changes"}, {"?orderBy=x", "orderBy"}, {"?orderBy=", "orderBy"},
		{"?seq=1&seq=2", "seq"}, {"?SEQ=x", "SEQ"},
		{"?seq=%zz", "$"}, {"?a=1;b=2", "$"},
		{"?seq=x&pageSize=y&orderBy=z", "orderBy pageSize seq"},
	} {
		_, a := feed(t, w, c.query)
		if got := strings.Join(paths(a.problem(t).Errors), " "); a.status != 400 || got != c.want {
			t.Errorf("%s: %d, faults at %q; want 400 and %q", c.query, a.status, got, c.want)
		}
		if strings.Contains(a.problem(t).Detail, "sent") {
			t.Errorf("%s: the answer to a question speaks of sending: %s", c.query, a.body)
		}
	}
	if _, a := feed(t, w, "?seq=1&SEQ=2"); a.status != 400 {
		t.Errorf("one parameter under two spellings: %d", a.status)
	}
}

func TestFeedPageLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("stores 501 orders")
	}
	w := start(t)
	w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1})
	for i := range maxPage + 1 {
		w.sendSMS(fmt.Sprint(i))
	}
	for _, query := range []string{"", "?pageSize=500", "?pageSize=501"} {
		if got, _ := feed(t, w, query); len(strings.Fields(got)) != maxPage {
			t.Errorf("%s: %d entries", query, len(strings.Fields(got)))
		}
	}
}
