package console

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"straks/internal/eventually"
)

// livePages serves a console, and returns it with a client that has a session.
func livePages(t *testing.T) (c *Console, token string, open func(path string) (*http.Response, *bufio.Reader)) {
	t.Helper()
	c, err := New(Config{Source: empty{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c)
	t.Cleanup(func() {
		c.Close()
		server.Close()
	})
	token = c.sessions.begin(User{Name: "kari", Roles: []Role{View}})
	return c, token, func(path string) (*http.Response, *bufio.Reader) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: token})
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp, bufio.NewReader(resp.Body)
	}
}

// TestLive: the page comes at once; the stream ends with its session, and says so.
func TestLive(t *testing.T) {
	c, token, open := livePages(t)
	resp, lines := open("/live?page=now")
	if first, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(first, "data: ") || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%q %v %v", first, err, resp.Header)
	}
	c.sessions.end(withCookie(token))
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.HasSuffix(string(rest), "event: ended\ndata: \n\n") {
		t.Errorf("it ends with %q, %v", rest[max(len(rest)-100, 0):], err)
	}
	if resp, _ := open("/live?page=now"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("without a session: %d", resp.StatusCode)
	}
}

// TestLiveIsBounded: a session has some streams and no more; Close ends them; each gives its place back.
func TestLiveIsBounded(t *testing.T) {
	c, _, open := livePages(t)
	var all []*bufio.Reader
	for range maxSessionStreams {
		resp, lines := open("/live?page=now")
		if _, err := lines.ReadString('\n'); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.StatusCode, err)
		}
		all = append(all, lines)
	}
	if resp, _ := open("/live?page=now"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", resp.StatusCode)
	}
	c.Close()
	for _, lines := range all {
		if _, err := io.ReadAll(lines); err != nil {
			t.Error(err)
		}
	}
	eventually.True(t, "the streams to end", func() bool { return len(c.streams) == 0 })
}
