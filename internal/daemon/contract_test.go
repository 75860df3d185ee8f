package daemon_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// contract is a client of one daemon that sees what comes back to the letter, and what reaches the SMSC and the
// relay.
type contract struct {
	*daemontest.World
	keys int
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   string
}

// TestContract goes through the HTTP contract with the values of Altinn's own tests: from a client's socket to
// those of the SMSC and the relay. Overload, outages and the spellings of numbers have tests of their own.
func TestContract(t *testing.T) {
	t.Parallel()
	c := &contract{World: daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{SMTPUTF8: true}, "")}
	c.Start()
	t.Run("phone numbers", c.phoneNumbers)
	t.Run("SMS", c.smsProperties)
	t.Run("e-mail", c.emailProperties)
	t.Run("order answer", c.orderAnswer)
	t.Run("problems", c.problems)
	t.Run("paths", c.paths)
	t.Run("shipment", c.shipment)
	t.Run("feed", c.feed)
}

const (
	smsPath   = "/future/orders/instant/sms"
	emailPath = "/future/orders/instant/email"
)

// call makes a request below the base path. headers are names and values in turn; one without a value is left out.
func (c *contract) call(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+c.Daemon.APIAddr()+"/notifications/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.Token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Del(pair[0])
		if pair[1] != "" {
			r.Header.Set(pair[0], pair[1])
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func (c *contract) key() string {
	c.keys++
	return fmt.Sprint("key-", c.keys)
}

// object reads the answer as a JSON object, which has no null.
func (r reply) object(t *testing.T) (o map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &o); err != nil || strings.Contains(r.body, "null") {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return o
}

// faults returns the paths under errors, with blanks between.
func (r reply) faults(t *testing.T) string {
	t.Helper()
	errors, _ := r.object(t)["errors"].(map[string]any)
	return strings.Join(slices.Sorted(maps.Keys(errors)), " ")
}

// smsOrder returns the body of an SMS order. Each of the pairs replaces a passage of it.
func (c *contract) smsOrder(pairs ...string) string {
	return strings.NewReplacer(append(pairs, "KEY", c.key())...).Replace(`{"idempotencyId":"KEY","sendersReference":"bruker-verifisering-123",` +
		`"recipientSms":{"phoneNumber":"+4799999999","timeToLiveInSeconds":300,"smsSettings":{"sender":"Altinn","body":"Koden din er 123456"}}}`)
}

func (c *contract) emailOrder(pairs ...string) string {
	return strings.NewReplacer(append(pairs, "KEY", c.key())...).Replace(`{"idempotencyId":"KEY","sendersReference":"bruker-verifisering-123",` +
		`"recipientEmail":{"emailAddress":"noreply@altinn.no","emailSettings":{"subject":"Koden din","body":"Koden din er 123456",` +
		`"senderEmailAddress":"sender@altinn.no","contentType":"Plain"}}}`)
}

// taken sends an SMS order, and returns what the SMSC got.
func (c *contract) taken(t *testing.T, body string) (smsctest.Submit, bool) {
	t.Helper()
	c.SMSC.Forget()
	if r := c.call(t, "POST", smsPath, body); r.status != 201 {
		t.Errorf("%s: %d %s", body, r.status, r.body)
		return smsctest.Submit{}, false
	}
	submits := c.SMSC.Submits()
	if len(submits) != 1 {
		t.Errorf("%s: the SMSC got %d messages", body, len(submits))
		return smsctest.Submit{}, false
	}
	return submits[0], true
}

// refused sends an order that has faults, of which nothing must leave.
func (c *contract) refused(t *testing.T, path, body, want string) {
	t.Helper()
	c.SMSC.Forget()
	mails := c.Relay.Taken()
	r := c.call(t, "POST", path, body)
	if got := r.faults(t); r.status != 400 || got != want {
		t.Errorf("%s: %d, faults at %q, want %q: %s", body, r.status, got, want, r.body)
	}
	if n, m := len(c.SMSC.Submits()), c.Relay.Taken()-mails; n+m != 0 {
		t.Errorf("%s: %d SMS and %d mails left", body, n, m)
	}
}

func (c *contract) phoneNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"+4799999999": "4799999999", "004799999999": "4799999999", "+233242426224": "233242426224",
		"+47 999 99 999": "4799999999", `+47\u00a0999\u202f99\t999`: "4799999999", "+47‑999‑99‑999": "4799999999",
		"+47.999.99.999": "4799999999", "+47/999/99/999": "4799999999", "+1 (415) 555-2671": "14155552671",
		"+44 (0)20 7946 0958": "442079460958", "＋４７９９９９９９９９": "4799999999", `\u202a+4799999999\u202c`: "4799999999",
	} {
		if s, ok := c.taken(t, c.smsOrder("+4799999999", in)); ok && s.Dest != want {
			t.Errorf("%q was sent to %s, want %s", in, s.Dest, want)
		}
	}
	for _, in := range []string{"+4712345678", "+4750000004", "+47900000001", "+14790000000", "1234567890", "99315000", "++4799999999", "", " ", "+47VARSLING"} {
		c.refused(t, smsPath, c.smsOrder("+4799999999", in), "recipientSms.phoneNumber")
	}
}

func (c *contract) smsProperties(t *testing.T) {
	for _, order := range []struct {
		name       string
		pairs      []string
		from, text string
	}{
		{"as it is", nil, "Altinn", "Koden din er 123456"},
		{"shortest TTL", []string{"300", "60"}, "Altinn", "Koden din er 123456"},
		{"longest TTL", []string{"300", "172800"}, "Altinn", "Koden din er 123456"},
		{"quoted TTL", []string{"300", `"300"`}, "Altinn", "Koden din er 123456"},
		{"no reference", []string{`"sendersReference":"bruker-verifisering-123",`, ""}, "Altinn", "Koden din er 123456"},
		{"no sender", []string{`"sender":"Altinn",`, ""}, "straks", "Koden din er 123456"},
		{"blank sender", []string{`"Altinn"`, `"  "`}, "straks", "Koden din er 123456"},
		{"null for the sender", []string{`"Altinn"`, `null`}, "straks", "Koden din er 123456"},
		{"sender of 12 letters", []string{"Altinn", "Skatteetaten"}, "Skatteetate", "Koden din er 123456"},
		{"sender with a look-alike", []string{"Altinn", "NAV – Oslo"}, "NAV - Oslo", "Koden din er 123456"},
		{"number as sender", []string{"Altinn", "+4799999999"}, "4799999999", "Koden din er 123456"},
		{"names in another case", []string{"idempotencyId", "IdempotencyID", "recipientSms", "RECIPIENTSMS", "phoneNumber", "phonenumber",
			"timeToLiveInSeconds", "TimeToLiveInSeconds", "smsSettings", "SmsSettings", "body", "Body"}, "Altinn", "Koden din er 123456"},
		{"unknown properties", []string{`"sender"`, `"sendingTimePolicy":"Anytime","sender"`, `{"idempotencyId"`, `{"x":{"y":[null]},"idempotencyId"`}, "Altinn", "Koden din er 123456"},
		{"Norwegian letters", []string{"Koden din", "Blåbærsyltetøy, 10 €:"}, "Altinn", "Blåbærsyltetøy, 10 €: er 123456"},
	} {
		if s, ok := c.taken(t, c.smsOrder(order.pairs...)); ok && (s.Source != order.from || s.Text() != order.text) {
			t.Errorf("%s: from %q, %q; want %q, %q", order.name, s.Source, s.Text(), order.from, order.text)
		}
	}
	const ttl, settings = "recipientSms.timeToLiveInSeconds", "recipientSms.smsSettings"
	for _, order := range []struct {
		want  string
		pairs []string
	}{
		{ttl, []string{"300", "59"}}, {ttl, []string{"300", "172801"}}, {ttl, []string{"300", "0"}}, {ttl, []string{"300", "-300"}}, {ttl, []string{"300", `"59"`}},
		{ttl, []string{"300", "60.5"}}, {ttl, []string{"300", `"five"`}}, {ttl, []string{"300", "null"}}, {ttl, []string{`"timeToLiveInSeconds":300,`, ""}},
		{"idempotencyId", []string{"KEY", ""}}, {"idempotencyId", []string{"KEY", `\t `}}, {"idempotencyId", []string{`"idempotencyId":"KEY",`, ""}},
		{settings + ".body", []string{"Koden din er 123456", " "}}, {settings + ".body", []string{`,"body":"Koden din er 123456"`, ""}},
		{settings + ".body", []string{"Koden", strings.Repeat("x", 16*153)}}, // 17 parts, which theirs cuts
		{settings + ".sender", []string{"Altinn", "日本"}},
		{settings, []string{`,"smsSettings":{"sender":"Altinn","body":"Koden din er 123456"}`, ""}},
		{"recipientSms", []string{"recipientSms", "recipient"}},
		{"idempotencyId recipientSms.phoneNumber " + settings + ".body " + ttl, []string{"KEY", " ", "+4799999999", "99315000", "Koden din er 123456", " ", "300", "5"}},
		{"RecipientSms.PhoneNumber", []string{"recipientSms", "RecipientSms", "phoneNumber", "PhoneNumber", "+4799999999", "1234567890"}}, // as the client wrote it
		{"$", []string{"{", "["}}, {"$", []string{`300`, `300 seconds`}},
	} {
		c.refused(t, smsPath, c.smsOrder(order.pairs...), order.want)
	}
}

func (c *contract) emailProperties(t *testing.T) {
	for _, order := range []struct {
		name  string
		pairs []string
		to    string
		has   []string // in what the relay got
	}{
		{"as it is", nil, "noreply@altinn.no", []string{"From: <sender@altinn.no>", "Subject: Koden din", "Content-Type: text/plain"}},
		{"blanks round the address", []string{"noreply@altinn.no", ` noreply@altinn.no\n`}, "noreply@altinn.no", nil},
		{"Norwegian letters", []string{"noreply@altinn.no", "gørild@blåbær.no"}, "gørild@xn--blbr-roah.no", nil},
		{"line breaks in the subject", []string{"Koden din\"", `Koden\r\nBcc: x@altinn.no\tdin"`}, "noreply@altinn.no", []string{"Subject: Koden Bcc: x@altinn.no din"}},
		{"sender with blanks", []string{"sender@altinn.no", "  sender@altinn.no "}, "noreply@altinn.no", []string{"From: <sender@altinn.no>"}},
		{"no sender", []string{`"senderEmailAddress":"sender@altinn.no",`, ""}, "noreply@altinn.no", []string{"From: <no-reply@"}},
		{"null for the sender", []string{`"sender@altinn.no"`, "null"}, "noreply@altinn.no", []string{"From: <no-reply@"}},
		{"HTML", []string{"Plain", "hTmL"}, "noreply@altinn.no", []string{"Content-Type: text/html"}},
		{"plain in capitals", []string{"Plain", "PLAIN"}, "noreply@altinn.no", []string{"Content-Type: text/plain"}},
		{"no content type", []string{`,"contentType":"Plain"`, ""}, "noreply@altinn.no", []string{"Content-Type: text/plain"}},
		{"names in another case", []string{"emailAddress", "EMAILADDRESS", "emailSettings", "EmailSettings", "subject", "Subject"}, "noreply@altinn.no", nil},
	} {
		before := c.Relay.Taken()
		r := c.call(t, "POST", emailPath, c.emailOrder(order.pairs...))
		mails := c.Relay.Messages()
		if r.status != 201 || len(mails) != before+1 {
			t.Errorf("%s: %d %s; %d mails", order.name, r.status, r.body, len(mails)-before)
			continue
		}
		m := mails[before]
		for _, want := range order.has {
			if !strings.Contains(strings.ReplaceAll(string(m.Data), "\r\n ", " "), want) {
				t.Errorf("%s: %q is missing in\n%s", order.name, want, m.Data)
			}
		}
		if m.To != order.to {
			t.Errorf("%s: to %s, want %s", order.name, m.To, order.to)
		}
	}
	const to, settings = "recipientEmail.emailAddress", "recipientEmail.emailSettings"
	for _, order := range []struct {
		want  string
		pairs []string
	}{
		{to, []string{"noreply@altinn.no", ""}}, {to, []string{"noreply@altinn.no", "noreply"}}, {to, []string{"noreply@altinn.no", "noreply@altinn"}},
		{to, []string{"noreply@altinn.no", "a@altinn.no,b@altinn.no"}}, {to, []string{"noreply@altinn.no", "a@altinn.no; b@altinn.no"}},
		{to, []string{"noreply@altinn.no", "Altinn <noreply@altinn.no>"}}, {to, []string{"noreply@altinn.no", "no reply@altinn.no"}},
		{settings + ".subject", []string{`"Koden din"`, `""`}}, {settings + ".subject", []string{`"Koden din"`, `" \r\n"`}}, {settings + ".subject", []string{`"subject":"Koden din",`, ""}},
		{settings + ".body", []string{"Koden din er 123456", " "}},
		{settings + ".senderEmailAddress", []string{"sender@altinn.no", "sender"}}, {settings + ".senderEmailAddress", []string{"sender@altinn.no", "a@altinn.no,b@altinn.no"}},
		{settings + ".contentType", []string{"Plain", "Markdown"}}, {settings + ".contentType", []string{`"Plain"`, "1"}},
		{"recipientEmail", []string{"recipientEmail", "recipientSms"}},
	} {
		c.refused(t, emailPath, c.emailOrder(order.pairs...), order.want)
	}
}

// orderAnswer: 201 and then 200 for one key, whatever the rest of the body says.
func (c *contract) orderAnswer(t *testing.T) {
	body := c.smsOrder()
	key := fmt.Sprint("key-", c.keys)
	first := c.call(t, "POST", smsPath, body)
	o := first.object(t)
	n, _ := o["notification"].(map[string]any)
	id, _ := n["shipmentId"].(string)
	if first.status != 201 || len(o) != 2 || len(n) != 2 || o["notificationOrderId"] == "" || n["sendersReference"] != "bruker-verifisering-123" {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if got := first.header.Get("Location"); got != "/notifications/api/v1/future/shipment/"+id {
		t.Errorf("Location %q", got)
	}
	// The receipt may have been stored before the answer was written.
	if got := first.header.Get("Straks-Status"); got != "SMS_Accepted" && got != "SMS_Delivered" {
		t.Errorf("Straks-Status %q", got)
	}
	c.Await(id, "SMS_Delivered")
	older := `{"idempotencyId":"` + key + `","recipient":{"recipientSms":{"phoneNumber":"+4799999999","timeToLiveInSeconds":60,"smsSettings":{"body":"x"}}}}`
	for path, repeat := range map[string]string{
		smsPath: strings.Replace(body, "Koden", "Noe annet", 1), "/future/orders/instant": older, emailPath: strings.Replace(c.emailOrder(), fmt.Sprint("key-", c.keys), key, 1),
	} {
		again := c.call(t, "POST", path, repeat)
		if again.status != 200 || again.body != first.body || again.header.Get("Straks-Status") != "SMS_Delivered" {
			t.Errorf("%s: %d %s, Straks-Status %q", path, again.status, again.body, again.header.Get("Straks-Status"))
		}
	}
	c.SMSC.Forget()
	r := c.call(t, "POST", "/future/orders/instant", strings.Replace(older, key, "older form", 1))
	if n, _ := r.object(t)["notification"].(map[string]any); r.status != 201 || len(n) != 1 || len(c.SMSC.Submits()) != 1 {
		t.Errorf("the older form, without a reference: %d %s", r.status, r.body)
	}
}

// problems: the status and code of each kind, in the form of RFC 9457.
func (c *contract) problems(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, p := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
		header                   string // that the answer has
	}{
		{"malformed", "POST", smsPath, "{", nil, 400, "", ""},
		{"no token", "GET", "/future/shipment/feed", "", []string{"Authorization", ""}, 401, "", "WWW-Authenticate"},
		{"unknown token", "GET", "/future/shipment/feed", "", []string{"Authorization", "Bearer x"}, 401, "", "WWW-Authenticate"},
		{"another scheme", "POST", smsPath, "{}", []string{"Authorization", "Basic eDp5"}, 401, "", "WWW-Authenticate"},
		{"no such shipment", "GET", "/future/shipment/0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1", "", nil, 404, "NOT-00003", ""},
		{"no id", "GET", "/future/shipment/1234", "", nil, 404, "NOT-00003", ""},
		{"no such key", "GET", "/future/shipment?idempotencyId=never", "", nil, 404, "NOT-00003", ""},
		{"wrong method", "GET", smsPath, "", nil, 405, "", "Allow"},
		{"too large", "POST", smsPath, `{"x":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "", ""},
		{"not JSON", "POST", smsPath, "<sms/>", []string{"Content-Type", "application/xml"}, 415, "", ""},
	} {
		r := c.call(t, p.method, p.path, p.body, append(p.headers, "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")...)
		o := r.object(t)
		code, _ := o["code"].(string)
		if r.status != p.status || code != p.code || o["status"] != float64(p.status) || o["title"] == "" || o["detail"] == "" || o["errorCode"] != nil {
			t.Errorf("%s: %d %s", p.name, r.status, r.body)
		}
		if want := map[bool]string{true: "about:blank", false: "urn:altinn:error:" + code}[code == ""]; o["type"] != want {
			t.Errorf("%s: type %v, want %s", p.name, o["type"], want)
		}
		if o["traceId"] != trace || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: traceId %v, %s", p.name, o["traceId"], r.header.Get("Content-Type"))
		}
		if p.header != "" && r.header.Get(p.header) == "" {
			t.Errorf("%s: no %s", p.name, p.header)
		}
	}
}

// paths: in any letter case, with or without a slash at the end.
func (c *contract) paths(t *testing.T) {
	for _, path := range []string{"/Future/Orders/Instant/SMS", "/future/orders/instant/sms/", "/FUTURE/ORDERS/INSTANT/SMS/"} {
		if r := c.call(t, "POST", path, c.smsOrder()); r.status != 201 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	for _, path := range []string{"/future/shipment/FEED", "/Future/Shipment/Feed/"} {
		if r := c.call(t, "GET", path, ""); r.status != 200 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func (c *contract) shipment(t *testing.T) {
	body := c.smsOrder()
	key := fmt.Sprint("key-", c.keys)
	n, _ := c.call(t, "POST", smsPath, body).object(t)["notification"].(map[string]any)
	id, _ := n["shipmentId"].(string)
	c.Await(id, "SMS_Delivered")
	bare := strings.ReplaceAll(id, "-", "")
	for _, path := range []string{"/" + id, "/" + strings.ToUpper(id), "/" + bare, "/%7B" + id + "%7D", "/(" + id + ")", "/" + id + "/", "?idempotencyId=" + key, "?IDEMPOTENCYID=" + key} {
		r := c.call(t, "GET", "/future/shipment"+path, "")
		o := r.object(t)
		recipients, _ := o["recipients"].([]any)
		if r.status != 200 || len(recipients) != 1 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
			continue
		}
		to, _ := recipients[0].(map[string]any)
		want := fmt.Sprintf(`{"shipmentId":"%s","sendersReference":"bruker-verifisering-123","type":"Instant","status":"Order_Completed","lastUpdate":"%v",`+
			`"recipients":[{"type":"SMS","destination":"+4799999999","status":"SMS_Delivered","lastUpdate":"%v"}]}`, id, o["lastUpdate"], to["lastUpdate"])
		if r.body != want {
			t.Errorf("%s: %s; want %s", path, r.body, want)
		}
	}
	if r := c.call(t, "GET", "/future/shipment?idempotencyId=", ""); r.status != 400 {
		t.Errorf("no key: %d %s", r.status, r.body)
	}
}

// feed: what the calls before have left, by default one entry for each final status.
func (c *contract) feed(t *testing.T) {
	page := func(query string) (entries []map[string]any) {
		t.Helper()
		r := c.call(t, "GET", "/future/shipment/feed"+query, "")
		if err := json.Unmarshal([]byte(r.body), &entries); r.status != 200 || err != nil {
			t.Fatalf("%s: %d %s: %v", query, r.status, r.body, err)
		}
		return entries
	}
	eventually.True(t, "the receipt of each SMS", func() bool {
		sms, final := make(map[string]bool), 0
		for _, e := range c.Feed() {
			sms[e.ShipmentID] = sms[e.ShipmentID] || e.Recipients[0].Type == "SMS"
			if e.Status == "Order_Completed" {
				final++
			}
		}
		maps.DeleteFunc(sms, func(_ string, isSMS bool) bool { return !isSMS })
		return final == len(sms)
	})
	seq := func(e map[string]any) int {
		n, _ := e["sequenceNumber"].(float64)
		return int(n)
	}
	all := page("?changes=all")
	newest := seq(page("?changes=all&orderBy=desc&pageSize=1")[0])
	if len(all) == 0 || seq(all[0]) != 1 || seq(all[len(all)-1]) != len(all) || newest != len(all) {
		t.Fatalf("%d entries, of which the newest is %d: a gap", len(all), newest)
	}
	final := page("")
	for i, e := range final {
		if e["shipmentType"] != "Instant" || e["type"] != "Instant" || e["status"] != "Order_Completed" || i > 0 && seq(e) <= seq(final[i-1]) {
			t.Errorf("entry %d: %v", i, e)
		}
	}
	if len(final) == 0 || len(final) >= len(all) {
		t.Errorf("%d final entries of %d", len(final), len(all))
	}
	second := seq(final[1])
	for query, want := range map[string]int{
		"?pageSize=1": 1, "?pageSize=0": 1, "?pageSize=-5": 1, "?pageSize=501&changes=all&seq=0": len(all), "?pageSize=99999999999": len(final),
		"?orderBy=ASC": len(final), "?orderBy=Desc": len(final), fmt.Sprint("?orderBy=desc&seq=", second): 1, fmt.Sprint("?seq=", second): len(final) - 2,
		"?SEQ=0&PAGESIZE=2&ORDERBY=aSc": 2,
	} {
		if got := page(query); len(got) != want {
			t.Errorf("%s: %d entries, want %d", query, len(got), want)
		}
	}
	for _, query := range []string{"?seq=-1", "?seq=x", "?seq=1.5", "?pageSize=x", "?orderBy=up", "?changes=some", "?wait=61", fmt.Sprint("?seq=", 1<<40), "?wait=1&seq=99999999"} {
		if r := c.call(t, "GET", "/future/shipment/feed"+query, ""); r.status != 400 || r.faults(t) == "" {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	if r := c.call(t, "GET", "/future/shipment/feed?seq=99999999", "", "Accept", "text/event-stream"); r.status != 400 {
		t.Errorf("a stream from beyond the newest: %d %s", r.status, r.body)
	}
}
