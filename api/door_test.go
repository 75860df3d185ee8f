package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

// calling is the caller on a connection.
func calling(t *testing.T, conn net.Conn) *caller { return &caller{t, conn, bufio.NewReader(conn)} }

// call connects and makes a first request, which is none of the door's.
func call(t *testing.T, addr string) *caller {
	t.Helper()
	c := calling(t, dial(t, addr))
	if resp, _ := c.ask("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	return c
}

// write writes what there is: a net.Pipe waits for a reader of nothing, too.
func (c *caller) write(s string) {
	if s != "" {
		io.WriteString(c.conn, s)
	}
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

const smsPath = DefaultBasePath + "/future/orders/instant/sms"

// post is an order's request; more are further fields, each with its CRLF.
func post(more, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		smsPath, ttdToken, more, len(body), body)
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
	c := calling(t, dial(t, addr))
	asked := 1.0
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

// A request that comes while the one before is under way is turned away in its turn, or
// left to net/http whole.
func TestDoorAndAnEarlyRequest(t *testing.T) {
	for name, early := range map[string]struct {
		request string
		status  int
		byDoor  bool
	}{
		"an order":          {post("", smsBody), 503, true},
		"one for net/http":  {post("Connection: keep-alive\r\n", smsBody), 503, false},
		"an octet too many": {"X" + post("", smsBody), 405, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := afterMail(t, early.request)
			resp, body := c.answer()
			if resp.StatusCode != early.status || byDoor(resp) != early.byDoor {
				t.Errorf("%s %v %s", resp.Status, resp.Header, body)
			}
			if resp, _ := c.ask(post("", smsBody)); !byDoor(resp) {
				t.Errorf("then an order: %s %v", resp.Status, resp.Header)
			}
		})
	}
}

// afterMail returns a caller in a crowd that has sent the request while a mail of its own was
// under way, and has had the answer to that.
func afterMail(t *testing.T, request string) *caller {
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
	io.WriteString(c.conn, request)
	close(gate)
	if resp, body := c.answer(); resp.StatusCode != 201 {
		t.Fatalf("the mail: %s %s", resp.Status, body)
	}
	return c
}

// What looks like an order is none in the head of a request that began with the one before, nor in
// the body of one whose head did.
func TestDoorAndARestLikeAnOrder(t *testing.T) {
	_, addr, _ := crowd(t, Limits{})
	order, get := post("", smsBody), "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n"
	for name, begun := range map[string]string{
		"in a head": get,
		"in a body": strings.TrimSuffix(strings.Replace(post("", order), "/sms ", "/email ", 1), order),
	} {
		t.Run(name, func(t *testing.T) {
			c := call(t, addr)
			if resp, _ := c.ask(get + "\r\n" + begun); resp.StatusCode != 200 {
				t.Fatal(resp.Status)
			}
			resp, _ := c.ask(order)
			if resp.StatusCode != 400 {
				t.Errorf("%s %v", resp.Status, resp.Header)
			}
			if resp.Close { // by net/http, which could not read it
				return
			}
			if resp, _ := c.ask(order); !byDoor(resp) {
				t.Errorf("then an order: %s %v", resp.Status, resp.Header)
			}
		})
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

// A connection may be turned away from its first request on. Then the deadlines of what is let in at
// last are those of any request, counted from then.
func TestDoorAtTheFirstRequest(t *testing.T) {
	order := post("", smsBody)
	head := strings.TrimSuffix(order, smsBody)
	for name, test := range map[string]struct {
		first string
		then  func(Limits) time.Duration
		rest  string
		want  int // 0: the end of the connection
	}{
		"whole":            {order, nil, "", 200},
		"in time":          {head, func(l Limits) time.Duration { return l.Read - time.Second }, smsBody, 200},
		"body too late":    {head, func(l Limits) time.Duration { return l.Read + time.Second }, "", 408},
		"head in time":     {head[:30], func(l Limits) time.Duration { return l.ReadHeader - time.Second }, order[30:], 200},
		"head too late":    {head[:30], func(l Limits) time.Duration { return l.ReadHeader + time.Second }, "", 400},
		"nothing any more": {"", func(l Limits) time.Duration { return l.Idle + time.Second }, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := Limits{}.withDefaults()
				c, leave := turnedAway(t, l)
				leave()
				c.write(test.first)
				if test.then != nil {
					time.Sleep(test.then(l))
				}
				c.write(test.rest)
				if test.want == 0 {
					if rest, err := io.ReadAll(c.in); len(rest) > 0 || err != nil {
						t.Errorf("ended with %q, %v", rest, err)
					}
				} else if resp, _ := c.answer(); resp.StatusCode != test.want {
					t.Errorf("%s, want %d", resp.Status, test.want)
				}
				if test.want != 200 {
					return
				}
				c.write(head) // the next request has no more time than any
				time.Sleep(l.Read + time.Second)
				if resp, _ := c.answer(); resp.StatusCode != 408 {
					t.Errorf("then: %s", resp.Status)
				}
			})
		})
	}
}

// A peer that takes nothing of what TLS says within a read has the connection no longer than any.
func TestDoorAndADeafPeer(t *testing.T) {
	lender := httptest.NewTLSServer(nil)
	lender.Close()
	synctest.Test(t, func(t *testing.T) {
		l := Limits{}.withDefaults()
		here, there := net.Pipe()
		ln := &pipeListener{conns: make(chan net.Conn, 1)}
		ln.conns <- there
		server := Server(http.NotFoundHandler(), l, slogDiscard())
		go server.Serve(&doorListener{tls.NewListener(ln, lender.TLS), &door{}, l})
		defer server.Close()
		c := tls.Client(&deaf{here, make(chan struct{})}, &tls.Config{InsecureSkipVerify: true})
		go c.Handshake()
		time.Sleep(l.ReadHeader + time.Second)
		if n, err := here.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %d octets, %v", n, err)
		}
		c.Close()
	})
}

// deaf is a connection whose peer reads nothing until it is closed.
type deaf struct {
	net.Conn
	closed chan struct{}
}

func (d *deaf) Read([]byte) (int, error) {
	<-d.closed
	return 0, net.ErrClosed
}

func (d *deaf) Close() error {
	close(d.closed)
	return d.Conn.Close()
}

// A refusal that left in part is the last word of a connection: another would be read as its rest.
func TestDoorAndHalfARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{}.withDefaults()
		conn, _ := behindDoor(t, l, func(http.ResponseWriter, *http.Request) {})
		io.WriteString(conn, post("", smsBody))
		io.ReadFull(conn, make([]byte, 60))
		time.Sleep(l.Idle/4 + l.Write + time.Second)
		if _, err := io.WriteString(conn, post("", smsBody)); err == nil {
			answer := make([]byte, 60)
			n, _ := io.ReadFull(conn, answer)
			t.Errorf("then it said %q", answer[:n])
		}
	})
}

// turnedAway returns a caller whose connection has seen nothing but refusals for some
// minutes, and what makes room.
func turnedAway(t *testing.T, l Limits) (c *caller, leave func()) {
	conn, r := behindDoor(t, l, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	c = calling(t, conn)
	for range 3 {
		if resp, _ := c.ask(post("", smsBody)); !byDoor(resp) {
			t.Fatalf("%s %v", resp.Status, resp.Header)
		}
		time.Sleep(l.Idle - time.Second)
	}
	return c, r.leave
}

// behindDoor returns a connection to a server of its own, whose door guards a room with one place
// that is taken.
func behindDoor(t *testing.T, l Limits, handler http.HandlerFunc) (net.Conn, *room) {
	d, r := doorOfRoom(t, Room{Most: 1})
	r.enter()
	here, there := net.Pipe()
	serveOne(t, Server(handler, l, slogDiscard()), there, func(ln net.Listener) net.Listener { return &doorListener{ln, d, l} })
	t.Cleanup(func() { here.Close() })
	return here, r
}

// serveOne serves one connection behind a door until the test ends.
func serveOne(t *testing.T, server *http.Server, conn net.Conn, door func(net.Listener) net.Listener) {
	ln := &pipeListener{conns: make(chan net.Conn, 1)}
	ln.conns <- conn
	go server.Serve(door(ln))
	t.Cleanup(func() { server.Close() })
}

// doorOfRoom returns a door that guards a room of that size, and the room.
func doorOfRoom(t *testing.T, size Room) (*door, *room) {
	counts, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(size, func() int64 { return 0 }, func() bool { return false })
	return &door{refusal: busy().render(), paths: map[string]doorway{smsPath: {r, counts.route(route{})}}}, r
}

// pipeListener accepts connections that are there already.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.conns) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
