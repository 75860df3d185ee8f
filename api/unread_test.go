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
