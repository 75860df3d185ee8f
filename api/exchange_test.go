package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
)

func TestRouting(t *testing.T) {
	w := start(t)
	w.sendSMS("k")
	const base = DefaultBasePath
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", base + "/future/orders/instant/sms", 405, "POST"},
		{"DELETE", base + "/future/orders/instant/email", 405, "POST"},
		{"PUT", base + "/future/orders/instant", 405, "POST"},
		{"OPTIONS", base + "/future/orders/instant", 405, "POST"},
		{"POST", base + "/future/shipment/feed", 405, "GET, HEAD"},
		{"PATCH", base + "/future/shipment/1", 405, "GET, HEAD"},
		{"POST", base + "/openapi.yaml", 405, "GET, HEAD"},
		{"GET", base + "/future/shipment/feed/", 200, ""},
		{"HEAD", base + "/future/shipment/feed", 200, ""},
		{"HEAD", base + "/future/shipment/1", 404, ""},
		{"GET", base + "/openapi.yaml", 200, ""},
		{"GET", "/openapi.yaml", 200, ""},
		{"HEAD", "/openapi.yaml", 200, ""},
		{"GET", "/", 404, ""},
		{"GET", base, 404, ""},
		{"POST", base + "/future/orders", 404, ""},
		{"POST", base + "/future/orders/instant/fax", 404, ""},
		{"GET", base + "/future/shipment", 400, ""},
		{"GET", base + "/future/shipment/", 400, ""},
		{"GET", "/Notifications/API/v1/Future/Shipment/FEED", 200, ""},
		{"GET", "/NOTIFICATIONS/api/V1/future/shipment/feed/", 200, ""},
		{"GET", base + "/Future/Orders/Instant/SMS", 405, "POST"},
		{"GET", base + "//future/shipment/feed", 404, ""},
		{"GET", base + "/future/../future/shipment/feed", 404, ""},
		{"GET", base + "/future/shipment/feed//", 404, ""},
		{"GET", "/future/shipment/feed", 404, ""},
		{"BREW", "/pot", 404, ""},
	} {
		a := w.doAt(c.path, c.method, "")
		if a.status != c.status || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, a.status, a.header.Get("Allow"), c.status, c.allow)
		}
		if a.status >= 400 && (c.method == "HEAD") == (a.body != "") {
			t.Errorf("%s %s: body %q", c.method, c.path, a.body)
		}
		if a.status >= 400 && c.method != "HEAD" {
			a.problem(t)
		}
	}
	for _, request := range []string{"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"} { // no path at all; what HTTP/2 begins with
		conn := dial(t, w.server.Listener.Addr().String())
		io.WriteString(conn, request)
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.5s: %v, %v", request, resp, err)
		}
	}
	slash := strings.Replace(smsBody, `"k"`, `"slash"`, 1)
	if a := w.do("POST", "/future/orders/instant/sms/", slash); a.status != 201 {
		t.Errorf("a slash at the end: %d %s", a.status, a.body)
	}
	// Nothing that a client wrote became a label.
	if n := testutil.CollectAndCount(w.registry, "straks_http_requests_total"); n > 250 {
		t.Errorf("%d series", n)
	}
}

func TestOtherBasePath(t *testing.T) {
	for base, path := range map[string]string{"/": "", "/x/y": "/x/y", "/x/": "/x"} {
		w := start(t, func(cfg *Config, _ *orders.Config) { cfg.BasePath = base })
		a := w.doAt(path+"/future/orders/instant/sms", "POST", smsBody)
		if a.status != 201 || !strings.HasPrefix(a.header.Get("Location"), path+"/future/shipment/") {
			t.Errorf("%s: %d, Location %q", base, a.status, a.header.Get("Location"))
		}
		want := "- url: " + path + "\n"
		if path == "" {
			want = "- url: /\n"
		}
		if a := w.doAt("/openapi.yaml", "GET", ""); !strings.Contains(a.body, want) {
			t.Errorf("%s: the document lacks %q", base, want)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	w := start(t)
	for i, c := range []struct {
		contentType, encoding string
		ok                    bool
	}{
		{"application/json", "", true},
		{"application/json; charset=utf-8", "identity", true},
		{`APPLICATION/JSON;charset="UTF-8"`, "", true},
		{"text/json", "", true},
		{"application/vnd.api+json", "", true},
		{"", "", false},
		{"text/plain", "", false},
		{"application/xml", "", false},
		{"application/x-www-form-urlencoded", "", false},
		{"application/json; charset=utf-16", "", false},
		{"application/json; charset=iso-8859-1", "", false},
		{"application/json;;", "", false},
		{"json", "", false},
		{"application/json", "gzip", false},
	} {
		a := w.sendSMS(fmt.Sprint(i), header("Content-Type", c.contentType), header("Content-Encoding", c.encoding), lenient)
		if want := map[bool]int{true: 201, false: 415}[c.ok]; a.status != want {
			t.Errorf("%q %q: %d %s; want %d", c.contentType, c.encoding, a.status, a.body, want)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	w := start(t)
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	wrapped := strings.Replace(smsBody, `"recipientSms":`, `"recipient":{"recipientSms":`, 1) + "}"
	for _, c := range []struct {
		path, body string
		most       int
	}{
		{"/future/orders/instant/sms", smsBody, 256 << 10},
		{"/future/orders/instant", wrapped, 256 << 10},
		{"/future/orders/instant/email", emailBody, 1 << 20},
	} {
		body := strings.Replace(c.body, `"k"`, `"`+c.path+`"`, 1)
		order := func(size int) string { // an order of that many octets
			return body[:len(body)-1] + `,"x":"` + strings.Repeat("x", size-len(body)-7) + `"}`
		}
		if a := w.do("POST", c.path, order(c.most)); a.status != 201 {
			t.Errorf("%s, %d octets: %d %s", c.path, c.most, a.status, a.body)
		}
		if a := w.do("POST", c.path, order(c.most), chunked); a.status != 200 {
			t.Errorf("%s, in chunks: %d %s", c.path, a.status, a.body)
		}
		if a := w.do("POST", c.path, order(c.most+1)); a.status != 413 || !strings.Contains(a.body, fmt.Sprint(c.most)) {
			t.Errorf("%s, one octet more: %d %s", c.path, a.status, a.body)
		}
		if a := w.do("POST", c.path, order(c.most+1), chunked); a.status != 413 {
			t.Errorf("%s, one octet more in chunks: %d %s", c.path, a.status, a.body)
		}
	}
}

// A smaller limit for all requests is one for SMS too.
func TestSmallestBodyLimitCounts(t *testing.T) {
	w := start(t, func(cfg *Config, _ *orders.Config) { cfg.MaxBody = 5000 })
	if a := w.do("POST", "/future/orders/instant/sms", `{"x":"`+strings.Repeat("x", 6000)+`"}`); a.status != 413 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRateLimit(t *testing.T) {
	w := start(t, func(cfg *Config, _ *orders.Config) {
		cfg.Rates = map[string]Rate{"ttd": {PerSecond: 1e-3, Burst: 2}}
	})
	for i := range 3 {
		a := w.sendSMS(fmt.Sprint(i))
		if i < 2 && a.status != 201 || i == 2 && (a.status != 429 || a.problem(t).Code != "NOT-00005" || a.header.Get("Retry-After") == "") {
			t.Errorf("order %d: %d %s, %v", i, a.status, a.body, a.header)
		}
	}
	if a := w.sendSMS("0"); a.status != 200 {
		t.Errorf("a repeat beyond the rate: %d %s", a.status, a.body)
	}
	if a := w.sendSMS("k", as(otherToken)); a.status != 201 {
		t.Errorf("another organisation: %d", a.status)
	}
	if n := len(w.sms.Sent()); n != 3 {
		t.Errorf("%d messages left; want 3", n)
	}
}

// An order that could not be sent in time gets a 503, which speaks of this call only: an earlier one with
// the same key may be under way. Reads are answered all the while, and orders again when there is room.
func TestOverload(t *testing.T) {
	w := start(t, func(_ *Config, cfg *orders.Config) { cfg.MaxInFlight = 1 })
	entered, gate := make(chan struct{}), make(chan struct{})
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orders.Handover{Outcome: handover.Unknown}
	})
	first := make(chan answer)
	go func() { first <- w.sendSMS("1") }()
	<-entered
	if a := w.do("GET", "/future/shipment/feed", ""); a.status != 200 {
		t.Errorf("a read got %d", a.status)
	}
	a := w.sendSMS("2")
	if p := a.problem(t); p.Detail != "Too much is in flight. This call sent nothing: repeat it with the same idempotencyId." {
		t.Errorf("told %q", p.Detail)
	}
	if a.status != 503 || a.problem(t).Code != "NOT-00004" || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s, %v", a.status, a.body, a.header)
	}
	if log := w.log.String(); !strings.Contains(log, "order refused") || !strings.Contains(log, `"channel":"SMS"`) {
		t.Errorf("the log:\n%s", log)
	}
	close(gate)
	if a := <-first; a.status != 201 {
		t.Errorf("the first: %d", a.status)
	}
	w.sms.Sends(nil)
	eventually.True(t, "the second order", func() bool { return w.sendSMS("2").status == 201 }) // the first may end a moment after its answer
}

// A client that sends its body slowly takes no room from others.
func TestSlowBodyTakesNoRoom(t *testing.T) {
	w := start(t, func(_ *Config, cfg *orders.Config) { cfg.MaxInFlight = 1 })
	conn := dial(t, w.server.Listener.Addr().String())
	request := post("", smsOf("slow"))
	io.WriteString(conn, request[:len(request)-1])
	inFlight := func() float64 { return series(t, w, "straks_http_requests_in_flight")[0].GetGauge().GetValue() }
	eventually.True(t, "an order in flight", func() bool { return inFlight() == 1 })
	if a := w.sendSMS("quick"); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
	eventually.True(t, "no order in flight", func() bool { return w.service.InFlight() == 0 })
	io.WriteString(conn, request[len(request)-1:])
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 201 {
		t.Errorf("%v, %v", resp, err)
	}
}

// Beyond the bound on requests, which streams of HTTP/2 can reach, there is a 503 at once.
func TestMaxRequests(t *testing.T) {
	w := start(t, func(cfg *Config, _ *orders.Config) { cfg.MaxRequests = 1 })
	entered, gate := make(chan struct{}), make(chan struct{})
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orders.Handover{Outcome: handover.Unknown}
	})
	first := make(chan answer)
	go func() { first <- w.sendSMS("1") }()
	<-entered
	for _, a := range []answer{w.sendSMS("1"), w.do("GET", "/future/shipment/feed", "")} {
		if p := a.problem(t); a.status != 503 || p.Code != "NOT-00004" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	close(gate)
	if a := <-first; a.status != 201 {
		t.Errorf("the first: %d", a.status)
	}
	eventually.True(t, "a repeat", func() bool { return w.sendSMS("1").status == 200 })
}

// gated is a journal whose feed can't be read before the gate is open.
type gated struct {
	orders.Journal
	entered, gate chan struct{}
}

func (g *gated) Feed(ctx context.Context, q orders.FeedQuery) ([]orders.FeedEntry, error) {
	g.entered <- struct{}{}
	<-g.gate
	return g.Journal.Feed(ctx, q)
}

// Reads wait for each other, and for half a second at most; orders do not wait for them.
func TestReadsAreBounded(t *testing.T) {
	g := &gated{entered: make(chan struct{}, 2), gate: make(chan struct{})}
	w := start(t, func(cfg *Config, oc *orders.Config) {
		cfg.MaxReads, g.Journal, oc.Journal = 1, oc.Journal, g
	})
	first := make(chan answer)
	go func() { first <- w.do("GET", "/future/shipment/feed", "") }()
	<-g.entered
	a := w.do("GET", "/future/shipment/feed", "")
	if p := a.problem(t); a.status != 503 || strings.Contains(p.Detail, "sent") || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.sendSMS("k"); a.status != 201 {
		t.Errorf("an order: %d %s", a.status, a.body)
	}
	close(g.gate)
	if a := <-first; a.status != 200 {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
	if a := w.do("GET", "/future/shipment/feed", ""); a.status != 200 {
		t.Errorf("then: %d %s", a.status, a.body)
	}
}

// A panic costs its own request, and the log shows its place but not its value.
func TestPanic(t *testing.T) {
	w := start(t)
	w.sms.Checks(func(m orders.Message) []orders.Fault { panic("the text " + m.Body) })
	if a := w.sendSMS("k"); a.status != 500 || strings.Contains(a.body, "Koden") {
		t.Errorf("%d %s", a.status, a.body)
	} else {
		a.problem(t)
	}
	if log := w.log.String(); !strings.Contains(log, "exchange.go") || strings.Contains(log, "Koden") {
		t.Errorf("the log:\n%s", log)
	}
	w.sms.Checks(nil)
	if a := w.sendSMS("k"); a.status != 201 {
		t.Errorf("afterwards: %d", a.status)
	}
	if got := series(t, w, "straks_http_requests_in_flight")[0].GetGauge().GetValue(); got != 0 {
		t.Errorf("%v requests in flight", got)
	}
}

// A client that goes away is a 499 for the operator; its order goes on.
func TestAbandoned(t *testing.T) {
	w := start(t)
	entered, gate := make(chan struct{}), make(chan struct{})
	w.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orders.Handover{Outcome: handover.Accepted, Total: 1, Parts: []orders.PartAnswer{{Refs: []string{"1"}, Taken: true}}}
	})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		r, _ := http.NewRequestWithContext(ctx, "POST", w.server.URL+DefaultBasePath+"/future/orders/instant/sms", strings.NewReader(smsBody))
		as(ttdToken)(r)
		header("Content-Type", "application/json")(r)
		_, err := w.server.Client().Do(r)
		gone <- err
	}()
	<-entered
	leave()
	if err := <-gone; err == nil {
		t.Fatal("an answer")
	}
	eventually.True(t, "status 499 in the log", func() bool { return strings.Contains(w.log.String(), `"status":499`) })
	close(gate)
	if a := w.sendSMS("k"); a.status != 200 || len(w.sms.Sent()) != 1 {
		t.Errorf("the repeat: %d %s", a.status, a.body)
	}
	if !strings.Contains(w.log.String(), `"outcome":"abandoned"`) {
		t.Errorf("the log:\n%s", w.log)
	}
}

// A client that closes its half of the connection within the body may read on:
// it sees the connection end, and no status that is for logs and metrics only.
func TestAbandonedHalf(t *testing.T) {
	w := start(t)
	conn := dial(t, w.server.Listener.Addr().String())
	io.WriteString(conn, "POST "+DefaultBasePath+"/future/orders/instant/sms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+ttdToken+
		"\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"+smsBody[:10])
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
		t.Errorf("answered %q, %v", got, err)
	}
	labels := []string{"/future/orders/instant/sms", "POST", "499"}
	eventually.True(t, "the counter", func() bool { return counter(t, w, labels) == 1 })
	if !strings.Contains(w.log.String(), `"outcome":"abandoned","status":499`) {
		t.Errorf("the log:\n%s", w.log)
	}
}

// What the log says of orders, and what it never does.
func TestOrderLog(t *testing.T) {
	w := start(t)
	_, shipment := ids(t, w.sendSMS("the-key"))
	w.sendSMS("the-key")
	w.sendEmail("e")
	w.do("POST", "/future/orders/instant/sms", strings.Replace(smsBody, "300", "3", 1))
	w.do("POST", "/future/orders/instant/sms", smsBody, header("Content-Type", "text/plain"), lenient)
	w.do("POST", "/future/orders/instant/email", strings.Replace(emailBody, "@", "@example.org, ola@example.org Ola ", 1))
	w.sms.Does(orders.Handover{Outcome: handover.NotSent, Detail: "no bind is up"})
	w.sendSMS("not sent")
	w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedInvalidRecipient, Total: 1, Detail: "ESME_RINVDSTADR"})
	w.sendSMS("refused")
	log := w.log.String()
	for _, want := range []string{
		`"detail":"not sent: no carrier could take it in time: no bind is up"`,
		`"detail":"ESME_RINVDSTADR"`,
		`"channel":"Email","to":"***","faults":["recipientEmail.emailAddress"]`,
		`"organisation":"ttd","token":"backend","channel":"SMS","to":"+4799***","shipment":"` + shipment + `","state":"SMS_Accepted","smsc":"telco","parts":1,"outcome":"created","status":201,"ms":`,
		`"outcome":"repeated","status":200`,
		`"to":"***@blåbær.no"`,
		`"faults":["recipientSms.timeToLiveInSeconds"],"outcome":"invalid","status":400`,
		`"outcome":"error","status":415`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in the log:\n%s", want, log)
		}
	}
	for _, secret := range []string{"Koden", "99999999", "gørild", "the-key", ttdToken} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
}

func TestMetrics(t *testing.T) {
	w := start(t)
	before := testutil.CollectAndCount(w.registry)
	w.sendSMS("k")
	w.sendSMS("k")
	w.do("GET", "/future/shipment/1", "")
	w.do("GET", "/nowhere", "")
	after := testutil.CollectAndCount(w.registry)
	if problems, err := testutil.GatherAndLint(w.registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for labels, want := range map[string]float64{
		"/future/orders/instant/sms POST 201": 1,
		"/future/orders/instant/sms POST 200": 1,
		"/future/shipment/{id} GET 404":       1,
		"unknown other 404":                   1,
	} {
		if got := counter(t, w, strings.Fields(labels)); got != want {
			t.Errorf("%s: %v; want %v", labels, got, want)
		}
	}
	if after != before+1 { // the unknown path's; all others were there from the start
		t.Errorf("%d series, then %d", before, after)
	}
}

// New reports all faults, and does not panic.
func TestNewFaults(t *testing.T) {
	_, err := New(Config{BasePath: "x/../y", MaxBody: -1})
	for _, want := range []string{"Service", "Authenticator", "base path", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want word of %s", err, want)
		}
	}
	w := start(t)
	if _, err := New(Config{Service: w.service, Auth: says{}, Registerer: w.registry}); err == nil {
		t.Error("registered twice without an error")
	}
}
