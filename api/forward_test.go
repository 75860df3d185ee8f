package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"straks/internal/clientcert/certtest"
	"straks/internal/eventually"
	"straks/internal/forward"
	"straks/internal/handover"
	"straks/internal/pemfile"
	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
)

// cluster is nodes over one journal, with a listener for each other.
type cluster struct {
	t       *testing.T
	ca      *certtest.CA
	journal orders.Journal
	nodes   []*node

	mu    sync.Mutex
	known []forward.Node
}

// node is one of them, the second of which can send.
type node struct {
	*world
	peers *httptest.Server
}

// Nodes implements forward.Nodes.
func (c *cluster) Nodes() []forward.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]forward.Node(nil), c.known...)
}

// knows sets what all nodes know of each other.
func (c *cluster) knows(nodes ...forward.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = nodes
}

// files are those of a node whose certificate is of an authority.
func (c *cluster) files(ca *certtest.CA, changes ...func(*x509.Certificate)) *pemfile.Files {
	c.t.Helper()
	cert, key := certtest.Files(c.t, ca.Issue("node", changes...))
	files, err := pemfile.Open(certtest.File(c.t, c.ca), cert, key)
	if err != nil {
		c.t.Fatal(err)
	}
	return files
}

// newCluster starts two nodes. The first can't send, and knows that the second can.
func newCluster(t *testing.T) (c *cluster, first, second *node) {
	t.Helper()
	c = &cluster{t: t, ca: certtest.New("cluster"), journal: bolttest.New(t)}
	first, second = c.start(c.files(c.ca, certtest.Node)), c.start(c.files(c.ca, certtest.Node))
	first.sms.Down(true)
	first.sms.Does(orders.Handover{Outcome: handover.NotSent})
	c.knows(forward.Node{ID: 2, URL: second.peers.URL, Up: []string{"telco"}})
	return c, first, second
}

func (c *cluster) start(files *pemfile.Files) *node {
	c.t.Helper()
	var client *forward.Client
	w := start(c.t, func(cfg *Config, oc *orders.Config) {
		var err error
		client, err = forward.New(forward.Config{Node: len(c.nodes) + 1, Nodes: c, Files: files, Connect: 20 * time.Second, Timeout: 20 * time.Second, Log: cfg.Log, Registerer: cfg.Registerer})
		if err != nil {
			c.t.Fatal(err)
		}
		cfg.Peers, oc.Journal = client, c.journal
	})
	n := &node{world: w, peers: httptest.NewUnstartedServer(forward.Accept(w.api, slog.New(slog.NewJSONHandler(w.log, nil))))}
	n.peers.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	n.peers.Listener = tls.NewListener(n.peers.Listener, forward.ServerTLS(files))
	n.peers.Start()
	n.peers.URL = "https://" + n.peers.Listener.Addr().String()
	c.t.Cleanup(n.peers.Close)
	c.t.Cleanup(client.Close)
	c.nodes = append(c.nodes, n)
	return n
}

// insist repeats an order while a node is too busy for it, or the other has not answered in time, as clients do.
func (n *node) insist(key string) answer {
	for {
		if a := n.sendSMS(key); a.status != http.StatusServiceUnavailable || n.t.Context().Err() != nil {
			return a
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// forwarded returns how many orders of a node were forwarded with that result.
func (n *node) forwarded(result string) float64 {
	n.t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "straks_forwarded_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	n.t.Fatalf("no result %s", result)
	return 0
}

// TestForward: a node that can't send has another answer, for the caller that it has authenticated. The answer is passed
// on as it is.
func TestForward(t *testing.T) {
	c, first, second := newCluster(t)
	_ = c
	a := first.sendSMS("k", header("Straks-Forwarded", "eyJvcmdhbmlzYXRpb24iOiJvdGhlciIsIm5vZGUiOjF9"), header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	if a.status != http.StatusCreated || a.header.Get("Location") == "" || a.header.Get("Straks-Status") != "SMS_Accepted" || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if again := first.sendSMS("k"); again.status != http.StatusOK || again.body != a.body {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	if direct := second.sendSMS("k"); direct.status != http.StatusOK || direct.body != a.body {
		t.Errorf("at the other node: %d %s", direct.status, direct.body)
	}
	if other := first.sendSMS("k", as(otherToken)); other.status != http.StatusCreated || other.body == a.body {
		t.Errorf("another organisation: %d %s", other.status, other.body)
	}
	if len(first.sms.Sent()) != 0 || len(second.sms.Sent()) != 2 || second.sms.Sent()[1].Organisation != "other" {
		t.Errorf("sent by the first %d, by the second %+v", len(first.sms.Sent()), second.sms.Sent())
	}
	if mail := first.sendEmail("m"); mail.status != http.StatusCreated || len(first.email.Sent()) != 1 {
		t.Errorf("what can be sent here: %d", mail.status)
	}
	if n := first.forwarded("answered"); n != 3 {
		t.Errorf("%v forwarded", n)
	}
	log := first.log.String()
	if !strings.Contains(log, `"msg":"order forwarded","organisation":"ttd","token":"backend"`) || !strings.Contains(log, `"node":2,"status":201`) || strings.Contains(log, "99999999") {
		t.Errorf("log of the first: %s", log)
	}
	if log := second.log.String(); !strings.Contains(log, `"msg":"order","organisation":"ttd","token":"backend"`) || !strings.Contains(log, `"from_node":1`) || !strings.Contains(log, "0af7651916cd43dd8448eb211c80319c") {
		t.Errorf("log of the second: %s", log)
	}
	if a := first.do("POST", "/future/orders/instant/sms", `{}`, lenient); a.status != http.StatusBadRequest || first.forwarded("answered") != 3 {
		t.Errorf("a faulty order: %d", a.status)
	}
}

// TestForwardRefused: whatever the other node answers is the answer.
func TestForwardRefused(t *testing.T) {
	_, first, second := newCluster(t)
	second.sms.Does(orders.Handover{Outcome: handover.NotSent})
	a := first.sendSMS("k")
	if p := a.problem(t); a.status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "surely was not sent") || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.status, p)
	}
	if a := first.sendEmail("m", header("Content-Type", "application/json")); a.status != http.StatusCreated {
		t.Errorf("%d", a.status)
	}
}

// TestNowhereToForward: where no other node can send, or can be reached, the order is placed here.
func TestNowhereToForward(t *testing.T) {
	c, first, second := newCluster(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	stranger := &cluster{t: t, ca: certtest.New("another")}
	foreign := httptest.NewUnstartedServer(http.NotFoundHandler())
	foreign.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	foreign.Listener = tls.NewListener(foreign.Listener, forward.ServerTLS(stranger.files(stranger.ca, certtest.Node)))
	foreign.Start()
	defer foreign.Close()
	port := func(s *httptest.Server) string { _, p, _ := net.SplitHostPort(s.Listener.Addr().String()); return p }
	for i, tt := range []struct {
		name, url string
		up        []string
		result    string
	}{
		{"no bind", second.peers.URL, []string{"another"}, "none"},
		{"no listener", "", []string{"telco"}, "none"},
		{"down", strings.Replace(closed.URL, "http", "https", 1), []string{"telco"}, "unreached"},
		{"a foreign certificate", "https://127.0.0.1:" + port(foreign), []string{"telco"}, "unreached"},
		{"a certificate for another host", "https://localhost:" + port(second.peers), []string{"telco"}, "unreached"},
	} {
		before := first.forwarded(tt.result)
		c.knows(forward.Node{ID: 2, URL: tt.url, Up: tt.up})
		a := first.sendSMS(fmt.Sprint("k", i))
		if p := a.problem(t); a.status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "surely was not sent") {
			t.Errorf("%s: %d %v", tt.name, a.status, p)
		}
		if n := first.forwarded(tt.result); n != before+1 {
			t.Errorf("%s: %v %s", tt.name, n-before, tt.result)
		}
	}
	if n := len(first.sms.Sent()); n != 5 || len(second.sms.Sent()) != 0 {
		t.Errorf("%d placed here, %d there", n, len(second.sms.Sent()))
	}
	c.knows(forward.Node{ID: 3, URL: strings.Replace(closed.URL, "http", "https", 1), Up: []string{"telco"}}, forward.Node{ID: 2, URL: second.peers.URL, Up: []string{"telco"}})
	for i := range 10 { // whichever is asked first
		if a := first.sendSMS(fmt.Sprint("n", i)); a.status != http.StatusCreated {
			t.Errorf("one of two is down: %d", a.status)
		}
	}
}

// TestForwardBreaks: of a node that hangs, or breaks off, nothing is known, and the answer says so.
func TestForwardBreaks(t *testing.T) {
	c, first, _ := newCluster(t)
	for name, reply := range map[string]string{
		"no answer":      "",
		"half a header":  "HTTP/1.1 201 Created\r\nContent-Le",
		"half a body":    "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{",
		"half a chunk":   "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
		"no HTTP":        "220 mx ESMTP\r\n",
		"too long":       "HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
		"an endless one": "HTTP/1.1 201 Created\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 50),
	} {
		ln, err := tls.Listen("tcp", "127.0.0.1:0", forward.ServerTLS(c.files(c.ca, certtest.Node)))
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				io.Copy(io.Discard, r.Body)
			}
			io.WriteString(conn, reply)
		}()
		c.knows(forward.Node{ID: 2, URL: "https://" + ln.Addr().String(), Up: []string{"telco"}})
		before := first.forwarded("broken")
		a := first.sendSMS("k " + name)
		if p := a.problem(t); a.status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "nothing is known of it") || p.Code != codeUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", name, a.status, p)
		}
		if first.forwarded("broken") != before+1 || len(first.sms.Sent()) != 0 {
			t.Errorf("%s: placed here too", name)
		}
		<-served
		ln.Close()
	}
}

// TestForwardHangs: a node that is frozen holds a request for a while, and no longer.
func TestForwardHangs(t *testing.T) {
	c, _, second := newCluster(t)
	var came atomic.Int32
	release := make(chan struct{})
	second.sms.Sends(func(context.Context, orders.Message) orders.Handover {
		came.Add(1)
		<-release
		return orders.Handover{Outcome: handover.NotSent}
	})
	defer close(release)
	// On a slow machine the time is over before the request has arrived: then again, with twice as much.
	for timeout := 200 * time.Millisecond; came.Load() == 0; timeout *= 2 {
		client, err := forward.New(forward.Config{Node: 1, Nodes: c, Files: c.files(c.ca, certtest.Node), Timeout: timeout, Log: slogDiscard()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Forward(t.Context(), []string{"telco"}, forward.Request{Path: DefaultBasePath + "/future/orders/instant/sms", Body: []byte(smsBody),
			Header: http.Header{"Content-Type": {"application/json"}}, Caller: forward.Caller{Organisation: "ttd", Address: "192.0.2.1:1"}})
		client.Close()
		if err == nil || came.Load() > 0 && !errors.Is(err, forward.ErrBroken) {
			t.Fatalf("within %v: %v", timeout, err)
		}
	}
}

// TestForwardAbandoned: the other node carries an order on whose client has left.
func TestForwardAbandoned(t *testing.T) {
	_, first, second := newCluster(t)
	release, at := make(chan struct{}), make(chan struct{})
	second.sms.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		close(at)
		<-release
		return orderstest.Accepts(ctx, m)
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-at; leave() }()
	r, _ := http.NewRequestWithContext(ctx, "POST", first.server.URL+DefaultBasePath+"/future/orders/instant/sms", strings.NewReader(smsBody))
	as(ttdToken)(r)
	r.Header.Set("Content-Type", "application/json")
	if _, err := first.server.Client().Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	eventually.True(t, "the end of the forwarded request", func() bool { return first.forwarded("abandoned") == 1 })
	close(release)
	eventually.True(t, "the outcome", func() bool { return second.service.InFlight() == 0 })
	if a := first.sendSMS("k"); a.status != http.StatusOK || a.header.Get("Straks-Status") != "SMS_Accepted" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// TestForwardOnce: a request that was forwarded goes no further, whatever the nodes think of each other.
func TestForwardOnce(t *testing.T) {
	c, first, second := newCluster(t)
	second.sms.Down(true)
	c.knows(forward.Node{ID: 1, URL: first.peers.URL, Up: []string{"telco"}}, forward.Node{ID: 2, URL: second.peers.URL, Up: []string{"telco"}})
	if a := first.sendSMS("k"); a.status != http.StatusCreated || len(second.sms.Sent()) != 1 || len(first.sms.Sent()) != 0 {
		t.Errorf("%d; %d here, %d there", a.status, len(first.sms.Sent()), len(second.sms.Sent()))
	}
	if second.forwarded("answered") != 0 || first.forwarded("answered") != 1 {
		t.Error("forwarded twice")
	}
}

// TestForwardRate: a rate is taken where the client is, and once.
func TestForwardRate(t *testing.T) {
	_, first, second := newCluster(t)
	for _, n := range []*node{first, second} {
		n.api.Reconfigure(Settings{Rates: map[string]Rate{"ttd": {PerSecond: 0.001, Burst: 1}}})
	}
	if a := first.sendSMS("a"); a.status != http.StatusCreated {
		t.Errorf("%d", a.status)
	}
	if a := first.sendSMS("b"); a.status != http.StatusTooManyRequests {
		t.Errorf("%d", a.status)
	}
	if a := second.sendSMS("c"); a.status != http.StatusCreated {
		t.Errorf("the other node's own rate: %d", a.status)
	}
}

// TestOnlyNodesForward: the peers' listener speaks to nodes only, and believes nobody else.
func TestOnlyNodesForward(t *testing.T) {
	c, _, second := newCluster(t)
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.Cert)
	caller := "eyJub2RlIjoxLCJvcmdhbmlzYXRpb24iOiJ0dGQifQ" // {"node":1,"organisation":"ttd"}
	ask := func(cert *tls.Certificate, method, caller string) (int, error) {
		conf := &tls.Config{RootCAs: roots}
		if cert != nil {
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
		r, _ := http.NewRequestWithContext(t.Context(), method, second.peers.URL+DefaultBasePath+"/future/orders/instant/sms", strings.NewReader(smsBody))
		r.Header.Set("Content-Type", "application/json")
		as(ttdToken)(r) // means nothing here
		if caller != "" {
			r.Header.Set("Straks-Forwarded", caller)
		}
		resp, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	good, forClients, foreign := c.ca.Issue("node", certtest.Node), c.ca.Issue("client"), certtest.New("another").Issue("node", certtest.Node)
	for name, cert := range map[string]*tls.Certificate{"none": nil, "a client's": &forClients, "another authority's": &foreign} {
		if status, err := ask(cert, "POST", caller); err == nil {
			t.Errorf("%s certificate: %d", name, status)
		}
	}
	for name, bad := range map[string]string{"none": "", "no base64": "{}", "no JSON": "eyJub2Rl", "nobody": "eyJub2RlIjoxfQ", "too long": strings.Repeat("a", 9000)} {
		if status, err := ask(&good, "POST", bad); status != http.StatusBadRequest {
			t.Errorf("caller: %s: %d, %v", name, status, err)
		}
	}
	if status, _ := ask(&good, "GET", caller); status != http.StatusBadRequest {
		t.Errorf("GET: %d", status)
	}
	if n := len(second.sms.Sent()); n != 0 {
		t.Fatalf("%d sent", n)
	}
	if status, err := ask(&good, "POST", caller); status != http.StatusCreated {
		t.Errorf("a node: %d, %v", status, err)
	}
}

// TestForwardAtOnce: many at a time, each key at both nodes: each is sent once, and each caller learns the same.
func TestForwardAtOnce(t *testing.T) {
	_, first, second := newCluster(t)
	const keys = 64
	var wg sync.WaitGroup
	answers := make([]answer, 2*keys)
	for i := range answers {
		wg.Go(func() { answers[i] = []*node{first, second}[i%2].insist(fmt.Sprint("k", i/2)) })
	}
	wg.Wait()
	for i := range keys {
		a, b := answers[2*i], answers[2*i+1]
		if a.body != b.body || a.status+b.status != http.StatusCreated+http.StatusOK {
			t.Errorf("%d %s; %d %s", a.status, a.body, b.status, b.body)
		}
	}
	if n := len(second.sms.Sent()); n != keys { // the first one has tried those that the second was too busy for
		t.Errorf("%d sent", n)
	}
}

// TestForwardVerification: one that begins goes to the node that can send its code.
func TestForwardVerification(t *testing.T) {
	_, first, second := newCluster(t)
	a, v := first.verify(verifyBody)
	if a.status != http.StatusCreated || v.ShipmentID == nil || a.header.Get("Straks-Status") != "SMS_Accepted" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if len(first.sms.Sent()) != 0 || len(second.sms.Sent()) != 1 {
		t.Errorf("%d sent here, %d there", len(first.sms.Sent()), len(second.sms.Sent()))
	}
	if again, w := first.verify(verifyBody); again.status != http.StatusOK || w.ID != v.ID || len(second.sms.Sent()) != 1 {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	first.sms.Down(false)
	if a, _ := first.verify(strings.NewReplacer(`"k"`, `"k2"`, "+47 99 99 99 99", "+47 99 99 99 98").Replace(verifyBody)); a.status != http.StatusServiceUnavailable || len(first.sms.Sent()) != 1 {
		t.Errorf("what can be sent here: %d", a.status)
	}
}

// TestForwardResend: a code that must be sent again goes to the node that can send it, on the channel that is asked for.
// Nothing is stored before.
func TestForwardResend(t *testing.T) {
	c, first, second := newCluster(t)
	body := strings.TrimSuffix(verifyBody, "}") + `,"recipientEmail":{"emailAddress":"ola@example.org"},"fallbackAfterSeconds":200,"resendAfterSeconds":1}`
	a, v := second.verify(body)
	if a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	code := second.sentCode()
	resend := func(n *node, body string) (answer, verificationAnswer) {
		t.Helper()
		a := n.do("POST", "/verifications/"+v.ID.String()+"/resend", body)
		var v verificationAnswer
		if a.status < 300 {
			if err := json.Unmarshal([]byte(a.body), &v); err != nil {
				t.Fatal(err)
			}
		}
		return a, v
	}
	for _, body := range []string{"", `{"channel":"sms"}`} {
		before, messages := first.forwarded("answered"), len(second.sms.Sent())
		calls := 0.0
		eventually.True(t, "another message", func() bool {
			a, again := resend(first, body)
			calls++
			if a.status != http.StatusOK || again.ID != v.ID || again.ShipmentID == nil || a.header.Get("Straks-Status") != "SMS_Accepted" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			return again.Messages > messages
		})
		if first.forwarded("answered") != before+calls || len(first.sms.Sent()) != 0 || len(second.sms.Sent()) != messages+1 || second.sentCode() != code {
			t.Errorf("body %q: %v of %v calls forwarded, %d sent here, %d there", body, first.forwarded("answered")-before, calls, len(first.sms.Sent()), len(second.sms.Sent()))
		}
	}
	before := first.forwarded("answered")
	eventually.True(t, "the mail", func() bool {
		a, _ := resend(first, `{"channel":"email"}`)
		return a.status != http.StatusOK || len(first.email.Sent()) == 1
	})
	if first.forwarded("answered") != before || len(first.email.Sent()) != 1 || len(second.email.Sent()) != 0 {
		t.Errorf("what can be sent here: %v forwarded, %d mails here", first.forwarded("answered")-before, len(first.email.Sent()))
	}
	gone := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	gone.Listener = tls.NewListener(gone.Listener, forward.ServerTLS(c.files(c.ca, certtest.Node)))
	gone.Start()
	defer gone.Close()
	c.knows(forward.Node{ID: 2, URL: "https://" + gone.Listener.Addr().String(), Up: []string{"telco"}})
	stored := func() string { return second.do("GET", "/verifications/"+v.ID.String(), "").body }
	untouched := stored()
	a, _ = resend(first, "")
	if p := a.problem(t); a.status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "may have sent the code again") || strings.Contains(p.Detail, "idempotencyId") {
		t.Errorf("no answer: %d %v", a.status, p)
	}
	if after := stored(); after != untouched {
		t.Errorf("something was stored: %s, before %s", after, untouched)
	}
	if a := first.do("POST", someVerification+"/resend", ""); a.status != http.StatusNotFound {
		t.Errorf("an unknown one: %d", a.status)
	}
	if a := second.do("POST", "/verifications/"+v.ID.String()+"/check", checkBody(code)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a, _ := resend(first, ""); a.status != http.StatusGone {
		t.Errorf("one that has ended: %d %s", a.status, a.body)
	}
}
