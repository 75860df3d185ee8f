package api

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// What net/http refuses by itself is answered like everything else, and the
// connection is closed. None of what was sent comes back.
func TestUnreadRequests(t *testing.T) {
	w := start(t)
	server := Server(w.api, Limits{HeaderBytes: 1000}, slogDiscard())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(w.api.Listener(ln, Limits{}))
	t.Cleanup(func() { server.Close() })

	for request, want := range map[string]int{
		"secret\r\n\r\n":                                                                 400,
		"GET /secret HTTP/1.1\r\n\r\n":                                                   400, // no Host
		"GET / HTTP/1.1\r\nHost: secret/secret\r\n\r\n":                                  400,
		"GET / HTTP/1.1\r\nHost: x\r\nsecret header: x\r\n\r\n":                          400,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("secret", 2000) + "\r\n\r\n": 431,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: secret\r\n\r\n":                501,
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: secret\r\n\r\n":                           417,
		"GET /secret HTTP/9.9\r\nHost: x\r\n\r\n":                                        505,
	} {
		conn := dial(t, ln.Addr().String())
		io.WriteString(conn, request)
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%.40q: %v", request, err)
		}
		body, err := io.ReadAll(resp.Body)
		var p problem
		if err != nil || json.Unmarshal(body, &p) != nil || p.Status != want || p.Title != http.StatusText(want) || p.Detail == "" {
			t.Errorf("%.40q: %s (%v)", request, body, err)
		}
		if resp.StatusCode != want || !resp.Close || resp.ContentLength != int64(len(body)) || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.40q: %s %v", request, resp.Status, resp.Header)
		}
		if strings.Contains(resp.Status+string(body), "secret") {
			t.Errorf("%.40q: comes back in %s", request, body)
		}
		if more, err := io.ReadAll(in); len(more) > 0 {
			t.Errorf("%.40q: then %q, %v", request, more, err)
		}
	}
}

// Who speaks HTTP to a port for TLS is told so, in what it can read, and then the connection ends.
func TestPlainHTTPWhereTLSIsWanted(t *testing.T) {
	w, addr, _ := secured(t)
	for name, request := range map[string]string{
		"an order": post("", smsBody), "one in many reads": post("X: "+strings.Repeat("x", 5000)+"\r\n", smsBody), "a look": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c := calling(t, dial(t, addr))
		if resp, body := c.ask(request); resp.StatusCode != 400 || !resp.Close || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, "https") {
			t.Errorf("%s: %s %v %s", name, resp.Status, resp.Header, body)
		}
		if more, _ := io.ReadAll(c.in); len(more) > 0 {
			t.Errorf("%s: then %q", name, more)
		}
	}
	if n := len(w.sms.messages()); n > 0 {
		t.Errorf("%d were sent", n)
	}
}

// What handlers answer passes untouched, whatever is in it.
func TestHandlersAnswersAreTheirs(t *testing.T) {
	for _, b := range []string{
		"", "HTTP/1.1 ", "HTTP/1.1 4\r\n", "HTTP/1.1 400 Bad Request",
		"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nDate: x\r\nConnection: close\r\n\r\n",
		`{"x":"` + string(unreadLine) + `400` + string(unreadHead),
		`HTTP/1.1 417 Expectation Failed","and more JSON":"which has no line of its own"}`,
		"HTTP/1.1 200 OK\r\nDate: x" + string(unreadHead) + "x",
	} {
		if status, ok := unread([]byte(b)); ok {
			t.Errorf("%q is taken for a %d", b, status)
		}
	}
}
