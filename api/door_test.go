package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// crowd is a world whose one place for SMS is taken until open is called.
func crowd(t *testing.T, l Limits) (w *world, addr string, open func()) {
	w = start(t, func(cfg *Config, _ *orders.Config) { cfg.Rooms = map[orders.Channel]Room{orders.SMS: {Most: 1}} })
	entered, gate := make(chan struct{}), make(chan struct{})
	w.sms.sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orders.Handover{Outcome: handover.Unknown}
	})
	first := make(chan answer, 1)
	go func() { first <- w.sendSMS("first") }()
	<-entered
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(w.api, l, slogDiscard())
	go server.Serve(w.api.Listener(ln, l))
	opened := false
	open = func() {
		if !opened {
			opened = true
			w.sms.sends(nil)
			close(gate)
			<-first
		}
	}
	t.Cleanup(func() {
		open()
		server.Close()
	})
	return w, ln.Addr().String(), open
}

// caller is a client on one connection that writes its requests by hand.
type caller struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// call connects and makes a first request, which is none of the door's.
func call(t *testing.T, addr string) *caller {
	t.Helper()
	conn := dial(t, addr)
	c := &caller{t, conn, bufio.NewReader(conn)}
	if resp, _ := c.ask("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	return c
}

func (c *caller) ask(request string) (*http.Response, string) {
	c.t.Helper()
	io.WriteString(c.conn, request)
	return c.answer()
}

func (c *caller) answer() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(body)
}

// post is an order's request; more are further fields, each with its CRLF.
func post(more, body string) string {
	return fmt.Sprintf("POST %s/future/orders/instant/sms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		DefaultBasePath, ttdToken, more, len(body), body)
}

func smsOf(key string) string { return strings.Replace(smsBody, `"k"`, fmt.Sprintf("%q", key), 1) }

// byDoor tells who answered: only net/http tells the time (RFC 9110 §6.6.1 wants
// it of no 503).
func byDoor(resp *http.Response) bool { return resp.StatusCode == 503 && resp.Header.Get("Date") == "" }

// What the door says in a crowd is what the handler would say, time and time
// again on one connection, and counts like it. Then there is room again.
func TestDoor(t *testing.T) {
	w, addr, open := crowd(t, Limits{})
	polite, body := call(t, addr).ask(post("Connection: keep-alive\r\n", smsBody)) // that field is none of the door's
	if byDoor(polite) || polite.StatusCode != 503 {
		t.Fatalf("%s %v", polite.Status, polite.Header)
	}
	polite.Header.Del("Date")
	c := call(t, addr)
	asked := 1.0
	eventually(t, func() bool { // its first octet may come before net/http has done with the last request
		asked++
		resp, _ := c.ask(post("", smsBody))
		return byDoor(resp)
	})
	for range 3 {
		asked++
		resp, got := c.ask(post("", smsBody))
		if !byDoor(resp) || resp.Status != polite.Status || got != body || fmt.Sprint(resp.Header) != fmt.Sprint(polite.Header) {
			t.Fatalf("the door says %s %v %s, the handler %s %v %s", resp.Status, resp.Header, got, polite.Status, polite.Header, body)
		}
	}
	counted := 0.0
	for _, m := range series(t, w, "straks_http_requests_total") {
		if labels := fmt.Sprint(m.GetLabel()); strings.Contains(labels, "instant/sms") && strings.Contains(labels, "503") {
			counted += m.GetCounter().GetValue()
		}
	}
	if counted != asked {
		t.Errorf("%v refusals counted of %v", counted, asked)
	}
	if resp, _ := c.ask("GET " + DefaultBasePath + "/future/shipment/feed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ttdToken + "\r\n\r\n"); resp.StatusCode != 200 {
		t.Errorf("the feed: %s", resp.Status)
	}
	open()
	eventually(t, func() bool { resp, _ := c.ask(post("", smsBody)); return resp.StatusCode/100 == 2 })
}

// Whatever is not a plain order is net/http's, and gets an answer of its own.
func TestDoorLeavesTheRestAlone(t *testing.T) {
	_, addr, _ := crowd(t, Limits{})
	plain := post("", smsBody)
	for name, request := range map[string]string{
		"chunked":               strings.Replace(plain, fmt.Sprintf("Content-Length: %d", len(smsBody)), "Transfer-Encoding: chunked", 1)[:strings.Index(plain, "Content-Length")] + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"closing":               post("connection: close\r\n", smsBody),
		"expecting":             post("EXPECT: 100-continue\r\n", smsBody),
		"a line feed alone":     post("X: a\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
		"a folded line":         post("X: a\r\n b\r\n", smsBody),
		"two lengths":           post(fmt.Sprintf("Content-Length: %d\r\n", len(smsBody)), smsBody),
		"a length with a sign":  strings.Replace(plain, "Content-Length: ", "Content-Length: +", 1),
		"a space in a name":     post("X : a\r\n", smsBody),
		"HTTP/1.0":              strings.Replace(plain, "HTTP/1.1", "HTTP/1.0", 1),
		"another method":        strings.Replace(plain, "POST", "PUT", 1),
		"a query":               strings.Replace(plain, " HTTP", "?a=b HTTP", 1),
		"mail":                  strings.Replace(plain, "/sms ", "/email ", 1),
		"more than one read":    post("X: "+strings.Repeat("x", 8000)+"\r\n", smsBody),
		"an octet of something": "X" + plain,
	} {
		c := call(t, addr)
		io.WriteString(c.conn, request)
		resp, _ := c.answer()
		if resp.StatusCode == http.StatusContinue {
			resp, _ = c.answer()
		}
		if byDoor(resp) {
			t.Errorf("%s: %s %v", name, resp.Status, resp.Header)
		}
	}
}

// Requests that come before the last answer was given are all answered, in
// their order, and the door is at its place again afterwards.
func TestDoorAndPipelining(t *testing.T) {
	w, addr, open := crowd(t, Limits{})
	open()
	eventually(t, func() bool { return w.sendSMS("first").status == 200 })
	entered, gate := make(chan struct{}), make(chan struct{})
	w.sms.sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		w.sms.sends(nil)
		return orders.Handover{Outcome: handover.Unknown}
	})
	c := call(t, addr)
	io.WriteString(c.conn, post("", smsOf("a")))
	<-entered
	io.WriteString(c.conn, post("", smsOf("b"))+post("", smsOf("c")))
	close(gate)
	for _, key := range []string{"a", "b", "c"} {
		if resp, body := c.answer(); resp.StatusCode != 201 && resp.StatusCode != 503 {
			t.Errorf("%s: %s %s", key, resp.Status, body)
		}
	}
	eventually(t, func() bool { resp, _ := c.ask(post("", smsOf("d"))); return resp.StatusCode/100 == 2 })
}

// An octet that net/http has read already belongs to the request that follows it.
func TestDoorAndAnEarlyOctet(t *testing.T) {
	w, addr, _ := crowd(t, Limits{})
	entered, gate := make(chan struct{}), make(chan struct{})
	w.email.sends(func(context.Context, orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orders.Handover{Outcome: handover.Unknown}
	})
	c := call(t, addr)
	io.WriteString(c.conn, strings.Replace(post("", emailBody), "/sms ", "/email ", 1))
	<-entered
	io.WriteString(c.conn, "X"+post("", smsBody))
	close(gate)
	for _, want := range []int{201, 405} {
		if resp, body := c.answer(); resp.StatusCode != want {
			t.Fatalf("%s %s, want %d", resp.Status, body, want)
		}
	}
	if resp, _ := c.ask(post("", smsBody)); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
}

// Who is turned away is not idle: the connection lives as long as there are requests.
func TestDoorKeepsTheConnection(t *testing.T) {
	const idle = 100 * time.Millisecond
	_, addr, _ := crowd(t, Limits{Idle: idle})
	c := call(t, addr)
	for began := time.Now(); time.Since(began) < 3*idle; {
		if resp, _ := c.ask(post("", smsBody)); resp.StatusCode != 503 {
			t.Fatal(resp.Status)
		}
	}
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("idle now, it ended with %v", err)
	}
}

// What the door takes for a plain order, net/http takes for the same request,
// of the same length.
func FuzzDoor(f *testing.F) {
	d := &door{paths: map[string]doorway{DefaultBasePath + "/future/orders/instant/sms": {}}}
	for _, seed := range []string{post("", smsBody), post("X: a\r\n", ""), post("X:\r\nY: \x80\r\n", "{}"), "POST / HTTP/1.1\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := d.meets(b); !ok {
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		rest, _ := io.ReadAll(in)
		if err != nil || int64(len(body)) != r.ContentLength || len(rest) != 0 || r.Method != "POST" || r.Close ||
			r.URL.Path != DefaultBasePath+"/future/orders/instant/sms" || r.TransferEncoding != nil {
			t.Errorf("%+v, %v, %d octets beyond it", r, err, len(rest))
		}
	})
}
