package console

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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

// ofNodes is a source whose journal is shared by nodes.
type ofNodes struct{ empty }

func (ofNodes) Now() Now {
	return Now{At: time.Now(), Journal: Journal{Shared: &Shared{Node: 2, Live: []int{2, 3}, Keeper: true, Lease: 4500 * time.Millisecond, Offset: -20 * time.Millisecond, Parked: 7}}}
}

// TestSharedJournal: of a journal that nodes share, the page shows what there is of one, and nothing of a file.
func TestSharedJournal(t *testing.T) {
	c, err := New(Config{Source: ofNodes{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", "en")
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: c.sessions.begin(User{Name: "kari", Roles: []Role{View}})})
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	page := w.Body.String()
	for _, want := range []string{"<dd>2, 3</dd>", "<dd>2, keeps deadlines</dd>", "<dd>4.5 s</dd>", "<dd>-0.020 s</dd>", "<dd>7</dd>"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(page, "Disk lasts") || strings.Contains(page, "Last backup") {
		t.Error("the page shows a file")
	}
	if t.Failed() {
		t.Log(w.Code, page)
	}
}
